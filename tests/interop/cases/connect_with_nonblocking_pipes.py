# `hebra connect` passes every byte although another process has set O_NONBLOCK on its standard input or output.
from lab import *
import fcntl
def pipe(end):
    ends = os.pipe()
    fcntl.fcntl(ends[end], fcntl.F_SETFL, os.O_NONBLOCK | fcntl.fcntl(ends[end], fcntl.F_GETFL))
    return ends
h = Hebra("--framing", "raw", "--log-messages", "off")
data = os.urandom(1 << 20)
r, w = pipe(1)
p = subprocess.Popen([HEBRA, "connect", f"127.0.0.1:{h.port}"], stdin=subprocess.PIPE, stdout=w, stderr=subprocess.PIPE, env=clean_env())
os.close(w)
def feed():
    try:
        p.stdin.write(data); p.stdin.close()
    except OSError:
        pass
threading.Thread(target=feed, daemon=True).start()
time.sleep(0.7)
got = b""
while piece := os.read(r, 65536):
    got += piece
first = (len(got), p.wait(10))
r, w = pipe(0)
q = subprocess.Popen([HEBRA, "connect", f"127.0.0.1:{h.port}"], stdin=r, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env())
os.close(r); time.sleep(0.5)
try:
    os.write(w, b"hola\n")
except OSError:
    pass
os.close(w)
second = q.communicate(timeout=10)[0]
verdict(first == (len(data), 0) and second == b"hola\n", f"stdout: {first[0]} of {len(data)} bytes, exit code {first[1]}; stdin: {second!r}, exit code {q.returncode}", "all bytes, 0")
