# `hebra connect` in a pipe prints every byte as it is, also one that the server sent as urgent data (RFC 6093).
from lab import *
l = socket.create_server(("127.0.0.1", 0))
p = subprocess.Popen([HEBRA, "connect", f"127.0.0.1:{l.getsockname()[1]}"], stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env())
c, _ = l.accept()
c.send(b"abc", socket.MSG_OOB)
time.sleep(0.1)
c.sendall(b"def")
c.close()
out = p.communicate(timeout=10)[0]
verdict(out == b"abcdef", out, "b'abcdef'")
