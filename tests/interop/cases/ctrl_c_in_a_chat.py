# After Ctrl-C the client of a chat still hears the operator. telnet discards output until the server answers its
# timing mark (RFC 860).
from lab import *
h = Hebra("--service", "chat", stdin=subprocess.PIPE)
def say(text):
    h.process.stdin.write(text.encode() + b"\n")
    h.process.stdin.flush()
t = telnet(h.port)
h.wait_out("joined")
say("antes")
before = t.expect("antes")
t.send("\x03")
t.pump(0.5)
say("despues")
after = t.expect("despues")
t.end()
verdict(before and after, f"client sees the operator before: {before}, after Ctrl-C: {after}", "both")
