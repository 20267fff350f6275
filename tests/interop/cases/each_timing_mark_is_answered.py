# In line framing each IAC DO TIMING-MARK is answered, unlike other options, which are refused once (RFC 860). IAC IP
# before it is what telnet sends for Ctrl-C.
from lab import *
h = Hebra("--framing", "line")
s = h.connect()
answers = []
for _ in range(3):
    s.sendall(b"\xff\xf4\xff\xfd\x06")
    answers.append(read_until(s, b"\x06", 5))
verdict(all(a in (b"\xff\xfc\x06", b"\xff\xfb\x06") for a in answers), answers, "WONT or WILL TIMING-MARK each time")
