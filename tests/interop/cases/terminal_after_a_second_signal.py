# The second signal ends a chat at once. The operator's terminal has its settings back all the same.
from lab import *
t = Terminal([HEBRA, "serve", "--service", "chat", "--room", "--listen", "127.0.0.1:0"])
s = socket.create_connection(("127.0.0.1", t.port()))
t.expect("joined"); t.pump(0.3)
before = t.cooked()
t.process.send_signal(signal.SIGTERM); t.pump(0.35); t.process.send_signal(signal.SIGTERM)
code = t.wait()
verdict(code is not None and not before and t.cooked(), f"exit code {code}; line editing, echo and signals of the terminal are back: {t.cooked()}", "True")
