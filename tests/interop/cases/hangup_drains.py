# SIGHUP, as when a terminal or an ssh session ends, stops the server as SIGTERM does. If it was ignored at the start
# (nohup), it stays ignored.
from lab import *
h = Hebra()
s = h.connect(); s.sendall(b"hola"); s.recv(9)
h.process.send_signal(signal.SIGHUP)
_, end = read_for(s, 10); s.close()
code, totals = h.stop(None), "totals:" in h.text()
n = Hebra(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None)
n.process.send_signal(signal.SIGHUP); time.sleep(0.4)
verdict(code == 0 and totals and end is True and n.process.poll() is None, f"exit code {code}, totals logged {totals}, end of stream {end}; ignored at the start: {'goes on' if n.process.poll() is None else 'ends'}", "0, True, True; goes on")
