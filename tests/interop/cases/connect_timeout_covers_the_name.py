# `hebra connect --timeout` bounds the whole connect, including a name server that does not answer.
from lab import *
namespaces()
conf = scratch() + "/resolv.conf"
open(conf, "w").write("nameserver 127.0.0.9\noptions timeout:2 attempts:2\n")
dns = "import socket,time; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((\"127.0.0.9\",53)); time.sleep(30)"
script = f"ip link set lo up; mount --bind {conf} /etc/resolv.conf; {os.path.realpath(sys.executable)} -c '{dns}' & D=$!; sleep 0.5; {HEBRA} connect --timeout 500ms server.example:1; echo rc=$?; kill $D"
began = time.time()
r = subprocess.run(["unshare", "-nm", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env(), timeout=18)
took = time.time() - began - 0.5
verdict(took < 3, f"{took:.1f} s with --timeout 500ms, {r.stdout.decode().strip()}", "about half a second, or documented")
