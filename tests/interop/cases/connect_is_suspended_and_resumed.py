# After Ctrl-Z and `fg` in an interactive shell, the editor of `hebra connect` has the terminal in raw mode again.
from lab import *
import termios
def raw(fd):
    return not termios.tcgetattr(fd)[3] & termios.ICANON
h = Hebra()
modes = []
for _ in range(4):
    t = Shell()
    t.send(f"{HEBRA} connect 127.0.0.1:{h.port}\r")
    t.expect("Ctrl-D ends", 10)
    t.pump(0.4); t.send("ho"); t.pump(0.2); t.send("\x1a")
    t.expect("Stopped", 5); t.pump(0.3)
    t.send("fg\r")
    modes.append(wait(lambda: (t.pump(0.05), raw(t.master))[1]))
    t.end()
verdict(all(modes), f"raw after fg: {modes}", "True each time")
