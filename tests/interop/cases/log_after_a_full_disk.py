# The disk of the log is full in the middle of a line, and then has room again. The next line begins a line of its
# own.
from lab import *
if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode:
    skip("needs root for unshare -m")
place = scratch()
script = f"mount -t tmpfs -o size=64k none {place} && exec {HEBRA} serve --listen 127.0.0.1:0 --log-messages all 2>{place}/log"
p = start(["unshare", "-m", "sh", "-c", script], stderr=None)
port = int(p.stdout.readline().decode().rsplit(":", 1)[1])
inside = f"/proc/{p.pid}/root{place}"
s = socket.create_connection(("127.0.0.1", port))
def talk_for(n):
    for i in range(n):
        s.sendall(b"m%05d%s\n" % (i, b"y" * (i % 7))); read_until(s, b"\n", 5)
talk_for(1200)
time.sleep(0.5)
subprocess.run(["nsenter", "-t", str(p.pid), "-m", "mount", "-o", "remount,size=4m", place])
talk_for(10); s.close(); time.sleep(0.5)
lines = open(f"{inside}/log", "rb").read().decode("utf-8", "replace").splitlines()
glued = [l for l in lines if len(re.findall(r"\[\d{4}-\d\d-\d\dT[\d:]+Z ", l)) > 1]
verdict(lines and not glued, f"{len(lines)} lines, with two in one: {glued[:1]}", "none")
