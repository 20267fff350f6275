# SIGHUP from another process ends a chat. The operator's terminal lives on and has its settings back.
from lab import *
t = Terminal([HEBRA, "serve", "--service", "chat", "--room", "--listen", "127.0.0.1:0"])
s = socket.create_connection(("127.0.0.1", t.port()))
t.expect("joined"); t.pump(0.3)
t.process.send_signal(signal.SIGHUP); s.close()
code = t.wait()
verdict(code is not None and t.cooked(), f"exit code {code}; the terminal edits, echoes and signals again: {t.cooked()}", "True")
