# The terminal is gone and SIGHUP is ignored. A chat and `hebra connect` end by themselves and do not spin.
from lab import *
h = Hebra()
results = {}
for name, command in {"connect": [HEBRA, "connect", f"127.0.0.1:{h.port}"], "chat": [HEBRA, "serve", "--service", "chat", "--listen", "127.0.0.1:0"]}.items():
    t = Terminal(["sh", "-c", "trap '' HUP; exec \"$@\"", "x"] + command)
    t.pump(1)
    os.close(t.master)
    try:
        results[name] = t.process.wait(15)
    except subprocess.TimeoutExpired:
        results[name] = "runs"
        t.process.kill()
verdict("runs" not in results.values(), results, "both end by themselves")
