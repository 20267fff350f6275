# `hebra connect` can talk to services that want CR LF, as most text protocols do (RFC 5321 2.3.8): it sends that, or
# has a flag for it.
from lab import *
l = socket.create_server(("127.0.0.1", 0))
t = Terminal([HEBRA, "connect", f"127.0.0.1:{l.getsockname()[1]}"])
c, _ = l.accept()
t.pump(0.5)
t.send("EHLO x\r")
got = read_until(c, b"\n")
t.end()
verdict(got.endswith(b"\r\n") or b"crlf" in run_hebra("connect", "--help").stdout.lower(), got, "a flag for CR LF (README: any TCP service that speaks in lines)")
