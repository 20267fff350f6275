# An address may name its interface, as in [fe80::1%eth0]:port (RFC 4007 11.2), to connect and to listen.
from lab import *
if not os.path.exists("/proc/net/if_inet6"):
    skip("no IPv6")
r = run_hebra("connect", "[::1%lo]:1", timeout=10)
named = next((l.split() for l in open("/proc/net/if_inet6") if l.startswith("fe80")), None)
results = {"connect [::1%lo]:1": r.returncode}
if named:
    address = ":".join(named[0][i:i + 4] for i in range(0, 32, 4))
    p = subprocess.Popen([HEBRA, "serve", "--listen", f"[{address}%{named[5]}]:0"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env())
    time.sleep(1)
    results["serve [fe80::..%IF]:0"] = p.poll()
    p.kill(); p.wait()
verdict(r.returncode == 5 and results.get("serve [fe80::..%IF]:0") is None, f"exit codes {results}", "refused (5), and a server that runs (None)")
