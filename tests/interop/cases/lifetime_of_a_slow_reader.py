# --max-lifetime ends the session of a client that sends all the time and reads 2 MB a second. Everything that the
# server counts as sent arrives, and the line that gives the reason.
from lab import *
h = Hebra("--max-lifetime", "700ms")
s = h.connect(window=65536)
talk(s, b"", b"x" * 4096, every=0)
got, tail, end = read_at(s, 2_000_000)
s.close()
reason, sent = h.ended()
told = tail.endswith(b"error: the session has lasted too long\r\n") or b"error:" in tail
verdict(got == sent and end == "end of stream" and told, f"{reason}: the server counts {sent} bytes as sent; the client read {got}, then {end}; error line: {told}", "all of them, the line, end of stream")
