# --idle-timeout passes while a client still reads replies at 400 KB a second. What it sends next destroys neither the
# replies nor the line that gives the reason.
from lab import *
h = Hebra("--idle-timeout", "500ms")
s = h.connect(window=16384)
talk(s, b"x" * 1_000_000, b"0123456789", every=1.0)
got, tail, end = read_at(s, 400_000)
s.close()
reason, sent = h.ended()
verdict(got == sent and end == "end of stream" and b"idle:" in tail, f"{reason}: the server counts {sent} bytes as sent; the client read {got}, then {end}; idle line: {b'idle:' in tail}", "all of them, the line, end of stream")
