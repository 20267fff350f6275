# A chat shows a character of two bytes as one character, although its bytes come in two reads.
from lab import *
h = Hebra("--service", "chat", stdin=subprocess.PIPE)
s = h.connect(); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
h.wait_out("joined")
s.sendall(b"se\xc3"); time.sleep(0.2); s.sendall(b"\xb1or\n")
h.wait_out("or")
said = [line for line in h.out if line.startswith("<1>")]
verdict(not any("\\x" in line for line in said), said, "no half characters: 'señor', in one line or two")
