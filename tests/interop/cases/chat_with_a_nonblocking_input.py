# The standard input of a room is a pipe with O_NONBLOCK that is still empty. The room waits, because EAGAIN is not
# the end of the input.
from lab import *
r, w = os.pipe(); os.set_blocking(r, False)
h = Hebra("--service", "chat", "--room", stdin=r)
os.close(r); time.sleep(0.3)
s = h.connect()
first = read_for(s, 0.4)
try:
    os.write(w, b"hola\n")
except OSError:
    pass
second = read_until(s, b"\n")
verdict(first == (b"", False) and second == b"<operator> hola\r\n", f"the client reads {first} and then {second!r}; notices {[l for l in h.out if 'cannot' in l]}", "nothing, then what the operator says")
