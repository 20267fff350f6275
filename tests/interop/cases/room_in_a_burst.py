# Each of 20 clients in a room says 62 KB at once and then nothing for 0.4 s, far below a mebibyte a second. All of
# them read all the time, so none is dropped, and each hears every line.
from lab import *
N, LINES, ROUNDS = 20, 62, 6
h = Hebra("--service", "chat", "--room", stdin=subprocess.PIPE)
members = [h.connect() for _ in range(N)]
wait(lambda: h.shown().count("joined") == N)
readers = Readers(members, (N - 1) * LINES * ROUNDS, 40)
for _ in range(ROUNDS):
    for s in members:
        say(s, (b"z" * 1000 + b"\n") * LINES)
    time.sleep(0.4)
gone, least = readers.result()
verdict(gone == 0 and least == (N - 1) * LINES * ROUNDS, f"{gone} of {N} who read were dropped; one heard only {least} lines of {(N - 1) * LINES * ROUNDS}", "none, and all of them")
