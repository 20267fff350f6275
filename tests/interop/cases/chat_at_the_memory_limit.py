# A limit of address space (RLIMIT_AS) lets a chat start, and not much more. No client that joins ends the process by
# a signal: the server does not start and reports why (exit code 1), or it turns the client away.
from lab import *
def serve(kb):
    """A chat that has served one client under this limit, or None."""
    try:
        h = Hebra("--service", "chat", "--room", "--workers", "70", stdin=subprocess.PIPE,
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (kb * 1024, kb * 1024)))
        s = h.connect(timeout=1); s.sendall(b"hi\n")
        wait(lambda: "<1> hi" in h.shown() or h.process.poll() is not None, 2)
        return h if "<1> hi" in h.shown() else None
    except (OSError, RuntimeError):
        return None
low, high = 4_000, 400_000
while high - low > 400:
    middle = (low + high) // 2
    h = serve(middle)
    low, high = (low, middle) if h else (middle, high)
    cleanup()
died = {}
for more in (200, 600, 1000, 1400):
    h, clients = serve(high + more), []
    try:
        while h and len(clients) < 40:
            clients.append(h.connect(timeout=1)); clients[-1].sendall(b"hi\n"); time.sleep(0.004)
    except OSError:
        pass
    time.sleep(0.2)
    if h and (h.process.poll() or 0) < 0:
        died[f"{high + more} KiB"] = (h.process.returncode, len(clients))
    cleanup()
verdict(not died, f"it starts from {high} KiB on; limit: (exit code, clients that came) {died}", "no end by a signal")
