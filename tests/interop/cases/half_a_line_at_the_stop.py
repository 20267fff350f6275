# In line framing SIGTERM comes after `uno` and half a line. The rest at the end of the stream is a message, so it is
# answered before exit code 0.
from lab import *
h = Hebra("--framing", "line")
s = h.connect(); s.sendall(b"uno\nmedia")
read_until(s, b"\n"); time.sleep(0.2)
h.process.send_signal(signal.SIGTERM)
got, end = read_for(s, 10); s.close()
code = h.stop(None)
verdict(code != 0 or got.startswith(b"media"), f"exit code {code}; after `uno` it reads {got!r}, end of stream {end}", "b'media'")
