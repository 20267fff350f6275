# A room shows what people type as they typed it. Combining marks are letters of Hindi, Thai, Tamil, Arabic, Hebrew
# and of decomposed accents.
from lab import *
texts = ["नमस्ते", "สวัสดี", "שָׁלוֹם", "مَرْحَبًا", "e\u0301te\u0301", "தமிழ்"]
h = Hebra("--service", "chat", "--room", stdin=subprocess.PIPE)
a, b = h.connect(), h.connect()
wait(lambda: h.shown().count("joined") == 2)
wrong = []
for text in texts:
    a.sendall(text.encode() + b"\n")
    got = read_until(b, b"\n").decode()
    if got != f"<1> {text}\r\n":
        wrong.append(got.strip())
verdict(not wrong, f"{len(wrong)} of {len(texts)} changed: {wrong[:2]}", "what people type is shown as they typed it (README)")
