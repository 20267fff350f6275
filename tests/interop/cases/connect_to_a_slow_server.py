# `hebra connect` in a pipe talks to a server that has closed its sending side and reads 8 KiB a second without a
# pause. The client goes on, because the server takes something all the time, or reports that input was lost.
from lab import *
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); l.bind(("127.0.0.1", 0)); l.listen()
p = start([HEBRA, "connect", f"127.0.0.1:{l.getsockname()[1]}"], stdin=subprocess.PIPE)
feed(p.stdin, b"x" * 4_000_000)
c, _ = l.accept(); c.shutdown(socket.SHUT_WR); c.settimeout(5)
got, began, longest, last = 0, time.time(), 0, time.time()
while time.time() < began + 11 and p.poll() is None:
    got += len(c.recv(2048)); longest, last = max(longest, time.time() - last), time.time()
    time.sleep(0.25)
took = time.time() - began
code = p.poll()
told = p.stderr.read().decode().strip() if code is not None else ""
verdict(code is None or (code != 0 and told), f"after {took:.1f} s, {got} of 4000000 bytes read and never a pause over {longest:.1f} s: exit code {code} {told!r}", "it runs on")
