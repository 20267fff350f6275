# A client sends 1.5 MB, closes its sending side and never reads. After --write-timeout the kernel holds none of the
# reply either (RFC 5482: TCP_USER_TIMEOUT).
from lab import *
h = Hebra("--write-timeout", "2s", "--max-per-ip", "1")
s = h.connect(window=2048)
s.sendall(b"x" * 1_500_000); s.shutdown(socket.SHUT_WR)
h.wait_log("disconnected", 5)
gone = wait(lambda: not send_queues(h.port), 7)
verdict(gone, f"7 s later, its session over ({h.ended()[0]}), the kernel still holds (state, bytes) {send_queues(h.port)}", "nothing")
