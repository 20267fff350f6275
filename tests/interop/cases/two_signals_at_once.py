# Two SIGTERMs a millisecond apart are one request to stop, because `timeout` and supervisors signal a process and its
# group. With a silent client the server drains.
from lab import *
h = Hebra()
s = h.connect(); s.sendall(b"x"); s.recv(1)
h.process.send_signal(signal.SIGTERM); time.sleep(0.001); h.process.send_signal(signal.SIGTERM)
_, end = read_for(s, 10)
time.sleep(0.2); s.close()
code = h.stop(None)
totals = "totals:" in h.text()
verdict(code == 0 and end is True and totals, f"exit code {code}, the client's end of stream {end}, totals logged {totals}", "0, True, True")
