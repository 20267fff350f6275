# Simple clients send a whole zeroed buffer, so that text is padded with NUL, which is no operation (RFC 854). A
# padded `bye` is still `bye`.
from lab import *
h = Hebra()
results = {}
for name, messages in {"bye first": [b"bye\n"], "hola, then bye": [b"hola\n", b"bye\n"], "bye without line feed": [b"bye"]}.items():
    s = h.connect()
    for m in messages:
        s.sendall(m.ljust(80, b"\0"))
        time.sleep(0.15)
    results[name] = read_for(s, 10)[1]
    s.close()
verdict(all(results.values()), f"session ended: {results}", "all (RFC 854: NUL is no operation)")
