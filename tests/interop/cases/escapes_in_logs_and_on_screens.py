# Terminal escapes, forged lines, C1 controls and marks that turn the writing direction are escaped in logs, in a chat
# and by the UDP server.
from lab import *
evil = ["\x1b[2J\x1b]0;t\x07", "\x1b]8;;http://x\x1b\\a\x1b]8;;\x1b\\", "\u009b31m", "a\r\n[2026-01-01T00:00:00Z INFO  hebra] client 9", "\u202egnp.exe", "\u2066x\u2069", "\x90q\x9c", "\u2028line", "\x08\x08\x7f"]
h, u, c = Hebra(), Hebra(udp=True), Hebra("--service", "chat", "--room", stdin=subprocess.PIPE)
s, r, w = h.connect(), c.connect(), c.connect()
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard = b""
for text in evil:
    s.sendall(text.encode()); read_for(s, 0.1); d.sendto(text.encode(), ("127.0.0.1", u.port)); r.sendall(text.encode() + b"\n")
heard, _ = read_for(w, 1)
time.sleep(0.3)
for x in (h, u, c):
    x.stop()
shown = h.log + u.log + c.log + c.out + heard.decode().split("\r\n")
bad = [l for l in shown if any(ord(ch) < 32 or 0x7f <= ord(ch) < 0xa0 or ch in "\u2028\u202e\u2066\u2069" for ch in l) or l.startswith("[2026-01-01")]
verdict(not bad, bad or f"{len(shown)} lines, none with a control character or a forged beginning")
