# In line framing Are You There is answered with something that can be seen (RFC 854; RFC 1123 3.2.3: MUST).
from lab import *
h = Hebra("--framing", "line")
s = h.connect()
s.sendall(b"\xff\xf6")
got = read_until(s, b"\n")
verdict(any(32 < b < 127 for b in got), got, "something printable")
