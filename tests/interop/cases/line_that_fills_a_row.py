# The operator's screen has 80 columns. A client that fills a row cannot make the next row look like a notice, which
# begins with an asterisk.
from lab import *
t = Terminal([HEBRA, "serve", "--service", "chat", "--room", "--listen", "127.0.0.1:0"])
s = socket.create_connection(("127.0.0.1", t.port()))
t.expect("joined"); t.pump(0.3)
rows = []
for filler in (" ", "x"):
    s.sendall((f"hola{filler}".ljust(76, filler) + "* <2> joined from 10.0.0.7:50220\n").encode())
    t.expect("50220"); t.pump(0.3)
rows = screen(t.got)
forged = [r for r in rows if r.startswith("* <2>")]
verdict("hola" in "".join(rows) and not forged, f"{len(forged)} rows begin with {forged[:1]}", "none")
