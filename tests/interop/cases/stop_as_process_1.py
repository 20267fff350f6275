# As process 1 of a container, where signals have no default action, the server is drained by SIGTERM and ends.
from lab import *
if subprocess.run(["unshare", "-pf", "--mount-proc", "true"], stderr=subprocess.DEVNULL).returncode:
    skip("needs root for unshare -p")
h = Hebra(prefix=["unshare", "-pf", "--mount-proc", "--kill-child"])
s = h.connect(); s.sendall(b"hola"); s.recv(9)
began = time.time()
os.kill(children(h.process.pid)[0], signal.SIGTERM)
_, ended = read_for(s, 10); s.close()
code = h.process.wait(10)
verdict(ended is True and code == 0 and time.time() - began < 5, f"end of stream {ended}, exit code {code}, {time.time()-began:.1f} s")
