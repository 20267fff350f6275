# For --max-per-ip each link-local address is a peer of its own, because all hosts of a link are in fe80::/64 (RFC
# 4291 2.5.6).
from lab import *
inside_namespace("for a in a b c; do ip -6 addr add fe80::$a/64 dev lo nodad; done")
h = Hebra("--max-per-ip", "1", listen="[::]:0")
lo = socket.if_nametoindex("lo")
got, kept = {}, []
for host in ("fe80::a", "fe80::b", "fe80::c", "fe80::a"):
    s = socket.socket(socket.AF_INET6); s.settimeout(2); s.bind((host, 0, 0, lo)); s.connect((host, h.port, 0, lo)); s.sendall(b"x")
    got.setdefault(host, []).append(s.recv(99)[:5]); kept.append(s)
verdict(got == {"fe80::a": [b"x", b"busy:"], "fe80::b": [b"x"], "fe80::c": [b"x"]}, got, "three neighbours served, the second connection of one refused")
