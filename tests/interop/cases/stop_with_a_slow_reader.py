# SIGTERM comes while a client that goes on sending reads its replies at 400 KB a second. Exit code 0 means that
# everything was answered and no session was cut off, so every byte arrives, then the end of the stream.
from lab import *
h = Hebra("--drain-timeout", "10s")
s = h.connect(window=16384)
talk(s, b"x" * 1_000_000, b"0123456789", every=0.1)
threading.Timer(0.8, lambda: h.process.send_signal(signal.SIGTERM)).start()
got, _, end = read_at(s, 400_000)
s.close()
code = h.stop(None)
reason, sent = h.ended()
verdict((got, end, code) == (sent, "end of stream", 0), f"exit code {code}; the server counts {sent} bytes as sent ({reason}); the client read {got}, then {end}", "all of them, end of stream, 0")
