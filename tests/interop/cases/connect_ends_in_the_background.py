# `hebra connect` in a shell ends after Ctrl-Z and `kill %1`, which sends SIGTERM and SIGCONT. SIGTTOU stops a job in
# the background that sets the terminal, unless the job ignores or blocks that signal (POSIX 11.1.4).
from lab import *
l = socket.create_server(("127.0.0.1", 0))
t = Shell()
pid = t.job(f"{HEBRA} connect 127.0.0.1:{l.getsockname()[1]}")
t.expect("Ctrl-D ends"); t.pump(0.3); t.send("\x1a"); t.expect("Stopped"); t.pump(0.2)
t.send("kill %1\r")
gone = wait(lambda: (t.pump(0.05), state(pid) in (None, "Z"))[1])
verdict(gone, f"10 s later its state is {state(pid)}", "gone, as cat is")
