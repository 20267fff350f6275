# The log reaches the limit of file size (RLIMIT_FSIZE). A full log costs no session, so SIGXFSZ must not end the
# server. If the signal is ignored, the write fails with EFBIG (setrlimit(2)).
from lab import *
log = open(scratch() + "/log", "wb")
h = Hebra(stderr=log, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
held = h.connect(); held.sendall(b"hi"); held.recv(9)
done = 0
try:
    for _ in range(60):
        s = h.connect(); s.sendall(b"x"); s.recv(1); s.close(); done += 1; time.sleep(0.005)
except OSError:
    pass
time.sleep(0.3)
code = h.process.poll()
try:
    held.sendall(b"yes"); answer = held.recv(9)
except OSError as error:
    answer = error
verdict(code is None and answer == b"yes", f"{done} of 60 clients served; exit code {code}; the session that was there reads {answer!r}", "60, none, b'yes'")
