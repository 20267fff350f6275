# In character mode telnet sends Enter as CR NUL, which ends a line as CR LF does (RFC 1123 3.3.1).
from lab import *
h = Hebra()
results = {}
for name, pieces in {"one read": [b"bye\r\0"], "typed": [b"b", b"y", b"e", b"\r\0"],
                     "second line": [b"hola\r\0", b"bye\r\0"]}.items():
    s = h.connect()
    for piece in pieces:
        s.sendall(piece)
        time.sleep(0.08)
    results[name] = read_for(s, 10)[1]
    s.close()
verdict(all(results.values()), f"session ended: {results}", "all (RFC 1123 3.3.1: CR NUL has the effect of CR LF)")
