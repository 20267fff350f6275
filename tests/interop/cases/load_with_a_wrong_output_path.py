# The load harness reports an output file that it cannot write before the run, with its path.
from lab import *
h = Hebra("--log-messages", "off")
began = time.time()
code, out, err = load("--addr", f"127.0.0.1:{h.port}", "--connections", "1", "--duration", "3s", "--warmup", "0s", "--json", "/nonexistent/x.json")
took = time.time() - began
verdict(code != 0 and took < 2 and "/nonexistent/x.json" in err, f"after {took:.1f} s: {err.strip().splitlines()[-1]!r}", "at once, with the path")
