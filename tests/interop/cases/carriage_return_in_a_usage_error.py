# A carriage return in a value, as from a file with CR LF, is escaped in the line that reports the value.
from lab import *
p = start([HEBRA, "serve", "--listen", "127.0.0.1:0"], env=clean_env({"HEBRA_WORKERS": "4\r"}))
wait(lambda: p.poll() is not None, 1)
runs = p.poll() is None
p.kill()
line = p.stderr.read()
verdict(runs or b"\r" not in line, line, "the value escaped, as `cannot resolve` has it")
