# An environment variable that is set and empty counts as unset, as for RUST_LOG.
from lab import *
bad = {}
for name in ("HEBRA_LISTEN", "HEBRA_WORKERS", "HEBRA_IDLE_TIMEOUT", "HEBRA_FRAMING", "HEBRA_ROOM", "HEBRA_MAX_LINE"):
    p = subprocess.Popen([HEBRA, "serve"] + ([] if name == "HEBRA_LISTEN" else ["--listen", "127.0.0.1:0"]),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_env({name: ""}))
    time.sleep(0.5)
    if p.poll() is not None:
        text = p.stderr.read().decode()
        if "in use" not in text:
            bad[name] = p.returncode
    p.kill(); p.wait()
verdict(not bad, f"refused to start, with exit codes {bad}", "an empty variable is none (as RUST_LOG)")
