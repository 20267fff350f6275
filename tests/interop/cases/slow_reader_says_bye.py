# A client says `bye` after three megabytes, reads 2 MB a second and goes on sending. Closing must not destroy replies
# that are under way (RFC 1122 4.2.2.13: data that arrives after a close resets the connection; RFC 9112 9.6: closing
# in stages).
from lab import *
h = Hebra()
s = h.connect()
talk(s, b"x" * 3_000_000 + b"\nbye\n", b"more", every=0.1)
got, _, end = read_at(s, 2_000_000)
s.close()
reason, sent = h.ended()
verdict((got, end) == (3_000_001, "end of stream"), f"the server counts {sent} bytes as sent ({reason}); the client read {got}, then {end}", "3000001, then end of stream")
