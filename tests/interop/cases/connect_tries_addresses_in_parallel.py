# The first address of a name does not answer, and the second does. `hebra connect` tries it after 250 ms (RFC 8305
# 5).
from lab import *
namespaces()
script = r"""
import socket, subprocess, sys, time, os
dead = socket.socket(socket.AF_INET6); dead.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
dead.bind(("::1", 7777)); dead.listen(0)
held = []
for _ in range(4):
    s = socket.socket(socket.AF_INET6); s.setblocking(False); s.connect_ex(("::1", 7777)); held.append(s)
good = socket.create_server(("127.0.0.1", 7777))
time.sleep(0.3)
began = time.time()
p = subprocess.Popen([sys.argv[1], "connect", "--timeout", "4s", "both.example:7777"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
good.settimeout(10)
try:
    c, _ = good.accept(); print(f"{time.time()-began:.1f}")
    c.close()
except OSError as e:
    print("never", p.poll(), p.stderr.read() if p.poll() is not None else "")
p.kill()
"""
place = scratch()
hosts, program = place + "/hosts", place + "/both.py"
open(hosts, "w").write("::1 both.example\n127.0.0.1 both.example\n")
open(program, "w").write(script)
r = subprocess.run(["unshare", "-nm", "sh", "-c", f"ip link set lo up; mount --bind {hosts} /etc/hosts; {os.path.realpath(sys.executable)} {program} {HEBRA}"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env(), timeout=18)
took = r.stdout.decode().strip()
if not took or took.startswith("never"):
    skip(f"{took} {r.stderr.decode()[-200:]}")
verdict(float(took) < 2, f"connected after {took} s (--timeout 4s)", "under a second")
