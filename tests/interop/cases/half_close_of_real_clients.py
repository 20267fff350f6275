# Clients that close their sending side read every echo, then the end of the stream.
from lab import *
h = Hebra("--framing", "raw", "--log-messages", "off")
data = os.urandom(3 << 20)
results = {}
for name, command in {"nc -N": ["nc", "-N", "127.0.0.1", str(h.port)], "ncat": ["ncat", "127.0.0.1", str(h.port)], "socat -t5": ["socat", "-t5", "-", f"TCP:127.0.0.1:{h.port}"]}.items():
    need(command[0])
    results[name] = subprocess.run(command, input=data, stdout=subprocess.PIPE, timeout=30).stdout == data
verdict(all(results.values()), results)
