# Log collectors cut lines at 16 KiB. A long datagram cannot place text at the beginning of a piece.
from lab import *
h = Hebra(udp=True)
forged = "[2026-01-01T00:00:00Z INFO  hebra] client 7 (10.0.0.7:4000) disconnected: bye"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))
head = len(f"[2026-11-25T15:00:00Z INFO  hebra] datagram from 127.0.0.1:{s.getsockname()[1]}: \"")
s.sendto(b"A" * (16384 - head) + forged.encode(), ("127.0.0.1", h.port))
h.wait_log("datagram from", 5); time.sleep(0.3)
pieces = [line[i:i + 16384] for line in h.log for i in range(0, len(line), 16384)]
bad = [p[:60] for p in pieces if p.startswith(forged[:40])]
verdict(not bad, f"a 16 KiB piece begins with {bad}", "no line over 16 KiB, or nothing of a sender's at the start of a piece")
