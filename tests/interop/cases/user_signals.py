# SIGUSR1 and SIGUSR2, which people send to servers to ask for their state or to reopen logs, do not end sessions.
from lab import *
results = {}
for sig in (signal.SIGUSR1, signal.SIGUSR2):
    h = Hebra()
    s = h.connect(); s.sendall(b"hola"); s.recv(9)
    h.process.send_signal(sig); time.sleep(0.4)
    try:
        s.sendall(b"sigo"); got = s.recv(9)
    except OSError as error:
        got = error
    results[sig.name] = (h.process.poll(), got)
verdict(all(r == (None, b"sigo") for r in results.values()), f"(exit code, answer) {results}", "it goes on")
