# PROXY headers of both versions are data if the server does not expect them: they are echoed, whole and once.
from lab import *
h = Hebra()
ok = []
for header in (b"PROXY TCP4 192.0.2.1 192.0.2.9 5555 1234\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x15\xb3\4\xd2"):
    s = h.connect(); s.sendall(header + b"hola\r\n"); s.shutdown(socket.SHUT_WR)
    ok.append(read_for(s, 10)[0] == header + b"hola\r\n"); s.close()
verdict(all(ok), ok)
