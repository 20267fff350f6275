# A server on [::ffff:127.0.0.1] serves IPv4 clients, or one line names the problem (RFC 4291 2.5.5.2).
from lab import *
results = {}
for kind in ((), ("udp",)):
    p = subprocess.Popen([HEBRA, *kind, "serve", "--listen", "[::ffff:127.0.0.1]:0"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env())
    time.sleep(0.8)
    code = p.poll()
    p.kill()
    results[" ".join(kind) or "tcp"] = "runs" if code is None else p.stderr.read().decode().strip()
verdict(all(r == "runs" or "Invalid argument" not in r for r in results.values()), results,
        "it serves IPv4 clients there, or names the problem")
