# A room goes on without an operator if its standard input is /dev/null, as under a service manager.
from lab import *
h = Hebra("--service", "chat", "--room", stdin=subprocess.DEVNULL)
a = h.connect()
told, ended = read_for(a, 2)
time.sleep(0.5)
try:
    b = h.connect(timeout=2); second = True
except OSError:
    second = False
verdict(not ended and second, f"first client reads {told!r}, end of stream {ended}; a second can connect: {second}",
        "the room goes on without an operator, or a flag for that")
