# Standard error is a full pipe with O_NONBLOCK. The number of log lines that were lost is logged later.
from lab import *
import fcntl
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK | fcntl.fcntl(w, fcntl.F_GETFL))
h = Hebra("--log-messages", "all", stderr=w)
os.close(w)
got = b""
def drain(seconds):
    global got
    end = time.time() + seconds
    while time.time() < end:
        if select.select([r], [], [], 0.05)[0]:
            piece = os.read(r, 65536)
            if not piece:
                return
            got += piece
s = h.connect()
N = 3000
for i in range(N):
    s.sendall(b"m%05d\n" % i); read_until(s, b"\n", 5)
time.sleep(0.5)
drain(1)                      # The reader is back: from now on everything can be logged.
s.sendall(b"last\n"); read_until(s, b"\n", 5); s.close()
drain(2); h.process.send_signal(signal.SIGTERM); drain(10); h.process.wait(10)
lines = got.decode("utf-8", "replace").splitlines()
says = sum(" says " in l for l in lines)
reported = reported_lost(lines)
verdict(says + reported >= N + 1 - 2, f"{says} of {N + 1} messages in the log, {reported} reported as lost", "all of them, or the missing counted")
