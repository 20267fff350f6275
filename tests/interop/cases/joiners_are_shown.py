# A room shows joiners and variation selectors as they were typed: Persian spelling and emoji need them (Unicode 9.2
# and 23.2).
from lab import *
texts = ["می\u200cخواهم", "👩\u200d👩\u200d👧", "❤\ufe0f"]
h = Hebra("--service", "chat", "--room", stdin=subprocess.PIPE)
a, b = h.connect(), h.connect()
wait(lambda: h.shown().count("joined") == 2)
wrong = []
for text in texts:
    a.sendall(text.encode() + b"\n")
    got = read_until(b, b"\n").decode()
    if got != f"<1> {text}\r\n":
        wrong.append(got.strip())
verdict(not wrong, wrong, "unchanged")
