# The kernel may connect a socket to itself if the target is a free port of the ephemeral range. `hebra connect` ends
# with exit code 5, because nothing listens there.
from lab import *
namespaces()
script = ("ip link set lo up; echo '40000 40001' > /proc/sys/net/ipv4/ip_local_port_range; "
          f"for i in 1 2 3 4 5 6 7 8; do echo hola | timeout 5 {HEBRA} connect 127.0.0.1:40000 2>/dev/null; echo rc=$?; done")
out = subprocess.run(["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE, env=clean_env()).stdout.decode().split()
verdict("hola" not in out and "rc=0" not in out, " ".join(out), "rc=5 eight times: nobody listens there")
