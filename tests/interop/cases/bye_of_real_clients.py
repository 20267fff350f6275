# `bye` ends the session of each client, with the line end that it sends: busybox, plink, nc, ncat -C, socat.
from lab import *
results = {}
for name, command in {"busybox": ["busybox", "telnet", "127.0.0.1", "{p}"], "plink": ["plink", "-raw", "-P", "{p}", "127.0.0.1"],
                      "nc": ["nc", "127.0.0.1", "{p}"], "ncat": ["ncat", "-C", "127.0.0.1", "{p}"], "socat": ["socat", "-", "TCP:127.0.0.1:{p},crlf"]}.items():
    need(command[0])
    h = Hebra()
    t = Terminal([a.replace("{p}", str(h.port)) for a in command])
    t.pump(1); t.send("hola\r"); t.pump(0.5); t.send("bye\r")
    results[name] = h.wait_log("disconnected: bye")
    t.end(); h.stop()
verdict(all(results.values()), results)
