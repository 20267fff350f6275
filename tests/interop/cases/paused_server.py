# The server is stopped for longer than --write-timeout (SIGSTOP, a paused container) while clients read its replies.
# They took what there was, so none is disconnected.
from lab import *
h = Hebra("--write-timeout", "1s", "--log-messages", "off")
size, results = 6_000_000, []
def client():
    s = h.connect()
    def send():
        try:
            s.sendall(b"x" * size); s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    threading.Thread(target=send, daemon=True).start()
    got, _, end = read_at(s, 3_000_000)
    results.append((got, end))
clients = [threading.Thread(target=client) for _ in range(3)]
for c in clients:
    c.start()
time.sleep(0.5)
h.process.send_signal(signal.SIGSTOP); time.sleep(1.6); h.process.send_signal(signal.SIGCONT)
for c in clients:
    c.join()
verdict(results == [(size, "end of stream")] * 3, f"(bytes, end) {results}", f"each {size}, then end of stream")
