# UDP echo with --rate 1: 5,000 other addresses have just sent a datagram each. Newcomers are answered all the same,
# because a full table forgets its oldest entry.
from lab import *
h = Hebra("--echo", "--rate", "1", "--log-messages", "off", udp=True, listen="0.0.0.0:0")
many = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); many.bind(("0.0.0.0", 0))
for i in range(5000):
    source = struct.pack("=I4s4s", 0, socket.inet_aton(f"127.7.{i >> 8}.{i & 255}"), bytes(4))
    many.sendmsg([b"x"], [(socket.IPPROTO_IP, 8, source)], 0, ("127.0.0.1", h.port))       # 8: IP_PKTINFO
    if i % 50 == 0:
        time.sleep(0.002)
newcomers = []
for i in range(5):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((f"127.9.0.{i + 1}", 0)); s.settimeout(2)
    s.sendto(b"hola", ("127.0.0.1", h.port)); newcomers.append(s)
answered = 0
for s in newcomers:
    try:
        answered += s.recv(9) == b"hola"
    except OSError:
        pass
h.stop()
verdict(answered == 5, f"{answered} of 5 newcomers answered; {h.log[-1].partition('totals: ')[2]}", "5")
