# Raw framing echoes a byte that was sent as urgent data, because it is a byte of the stream (RFC 862, RFC 6093:
# SO_OOBINLINE).
from lab import *
h = Hebra("--framing", "raw")
s = h.connect()
s.send(b"abc", socket.MSG_OOB)
time.sleep(0.1)
s.sendall(b"def")
s.shutdown(socket.SHUT_WR)
got, _ = read_for(s, 10)
verdict(got == b"abcdef", got, "b'abcdef' (RFC 862: any data received is sent back; RFC 6093: SO_OOBINLINE)")
