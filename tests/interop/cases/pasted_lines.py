# Two lines that are pasted at the operator's prompt (bracketed paste) are two lines, and not one with an escape in
# it.
from lab import *
import re
t = Terminal([HEBRA, "serve", "--service", "chat", "--room", "--listen", "127.0.0.1:0"])
t.expect("listening on 127.0.0.1:"); t.pump(0.5)
s = socket.create_connection(("127.0.0.1", int(re.search(rb"127.0.0.1:(\d+)", t.got).group(1))))
t.expect("joined")
t.send("\x1b[200~uno\ndos\x1b[201~"); t.pump(0.3); t.send("\r"); t.pump(0.3)
got = read_until(s, b"dos\r\n")
t.end()
verdict(b"\\n" not in got and b"uno\r\n" in got, got, "two lines, uno and dos")
