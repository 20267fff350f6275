"""Helpers for the cases: each starts a hebra on loopback, talks to it, and stops it by its own process id.

A case is run as `python3 NAME.py PATH_TO_HEBRA [PATH_TO_LOAD_HARNESS]`. It prints one line, which begins with PASS, FAIL
or SKIP, and ends with exit code 0, 1 or 77. tests/interop/cases.rs runs all of them.
"""
import atexit, os, pty, re, resource, select, selectors, shutil, signal, socket, struct, subprocess, sys, tempfile, termios, threading, time

HEBRA = sys.argv[1] if len(sys.argv) > 1 else "hebra"
if os.path.exists(HEBRA):
    HEBRA = os.path.abspath(HEBRA)
# Seconds until a case that hangs fails. A fuse, which is shorter than that of the test that runs the case, so that the
# case still stops what it started.
LIMIT = 50
_children, _places = [], []


def verdict(ok, observed="", expected=""):
    tail = f" observed: {observed}" if observed != "" else ""
    if not ok and expected:
        tail += f"; expected: {expected}"
    _say("PASS" if ok else "FAIL", tail, 0 if ok else 1)


def skip(why):
    _say("SKIP", f" {why}", 77)


def _say(word, text, code):
    text = " ".join(text.split())
    print(f"{word} {os.path.basename(sys.argv[0])}:{text if len(text) < 600 else text[:600] + '...'}", flush=True)
    cleanup()
    os._exit(code)


def cleanup():
    for child in _children:
        if child.poll() is None:
            try:
                kill_tree(child.pid)
                child.wait(5)
            except Exception:
                pass
    for place in _places:
        shutil.rmtree(place, ignore_errors=True)


def kill_tree(pid):
    for kid in children(pid):
        kill_tree(kid)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


atexit.register(cleanup)
_fuse = threading.Timer(LIMIT, lambda: verdict(False, f"not over after {LIMIT} s"))
_fuse.daemon = True
_fuse.start()


def scratch():
    """Returns a new directory, which is removed when the case ends."""
    _places.append(tempfile.mkdtemp(prefix="hebra-case-"))
    return _places[-1]


def clean_env(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HEBRA_") and k != "RUST_LOG"}
    env.update(extra or {})
    return env


def start(command, **popen):
    """Starts a program, which is killed when the case ends."""
    process = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                           "env": clean_env(), **popen})
    _children.append(process)
    return process


class Hebra:
    """A running `hebra serve ...` or `hebra udp serve ...` on a free port of 127.0.0.1."""

    def __init__(self, *args, udp=False, listen="127.0.0.1:0", env=None, stdin=subprocess.DEVNULL, stderr=None,
                 prefix=(), **popen):
        command = list(prefix) + [HEBRA] + (["udp", "serve"] if udp else ["serve"])
        if listen:
            command += ["--listen", listen]
        self.process = start(command + list(args), stdin=stdin, stderr=stderr or subprocess.PIPE, env=clean_env(env), **popen)
        self.log, self.out, self.addresses = [], [], []
        self._ready = threading.Event()
        self._threads = [threading.Thread(target=self._read_out, daemon=True)]
        if self.process.stderr:
            self._threads.append(threading.Thread(target=self._read_log, daemon=True))
        for thread in self._threads:
            thread.start()
        if not self._ready.wait(15) or not self.addresses:
            raise RuntimeError(f"it does not listen: {self.text()}")

    def _read_out(self):
        for raw in iter(self.process.stdout.readline, b""):
            line = raw.decode("utf-8", "replace").rstrip("\n")
            if line.startswith("listening on ") and not self._ready.is_set():
                self.addresses.append(line[len("listening on "):])
                self._ready.set()
            else:
                self.out.append(line)
        self._ready.set()

    def _read_log(self):
        for raw in iter(self.process.stderr.readline, b""):
            self.log.append(raw.decode("utf-8", "replace").rstrip("\n"))

    @property
    def port(self):
        return int(self.addresses[0].rsplit(":", 1)[1])

    def text(self):
        return "\n".join(self.log)

    def shown(self):
        return "\n".join(self.out)

    def wait_log(self, text, timeout=10):
        return wait(lambda: text in self.text(), timeout)

    def wait_out(self, text, timeout=10):
        return wait(lambda: text in self.shown(), timeout)

    def ended(self, client=1, timeout=8):
        """Returns why a session ended and how many bytes the server counts as sent to it, or (None, 0)."""
        pattern = re.compile(rf"client {client} .*disconnected: ([^;]*);.*bytes_out=(\d+)")
        wait(lambda: pattern.search(self.text()), timeout)
        found = pattern.search(self.text())
        return (found.group(1), int(found.group(2))) if found else (None, 0)

    def connect(self, host="127.0.0.1", timeout=10, window=None):
        """Connects. `window` is the size of the receive buffer."""
        s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if window:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        s.settimeout(timeout)
        s.connect((host, self.port))
        return s

    def stop(self, sig=signal.SIGTERM, timeout=12):
        """Sends a signal, unless that is None, and returns the exit code, or None if the server does not end."""
        if sig is not None and self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        for thread in self._threads:
            thread.join(5)
        return code


def wait(condition, timeout=10):
    end = time.time() + timeout
    while time.time() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def read_for(sock, seconds):
    """Reads until the end of the stream, for some seconds at most. Returns the bytes, and True if the end came."""
    got, end = b"", time.time() + seconds
    while True:
        left = end - time.time()
        if left <= 0:
            return got, False
        sock.settimeout(left)
        try:
            piece = sock.recv(65536)
        except (socket.timeout, TimeoutError):
            return got, False
        except ConnectionResetError:
            return got, "reset"
        if not piece:
            return got, True
        got += piece


def read_until(sock, text, seconds=10):
    got, end = b"", time.time() + seconds
    while text not in got:
        left = end - time.time()
        if left <= 0:
            break
        sock.settimeout(left)
        try:
            piece = sock.recv(65536)
        except (socket.timeout, TimeoutError):
            break
        if not piece:
            break
        got += piece
    return got


def read_at(sock, rate, seconds=12):
    """Reads at a rate in bytes a second. Returns the number of bytes, the last 200 of them, and how the stream ended."""
    count, tail, began = 0, b"", time.time()
    sock.settimeout(seconds)
    while time.time() < began + seconds:
        try:
            piece = sock.recv(max(1, rate // 50))
        except (socket.timeout, TimeoutError):
            break
        except ConnectionResetError:
            return count, tail, "reset"
        if not piece:
            return count, tail, "end of stream"
        count, tail = count + len(piece), (tail + piece)[-200:]
        time.sleep(max(0, began + count / rate - time.time()))
    return count, tail, "no end"


def talk(sock, first, more=b"", every=None):
    """Sends `first`, then `more` every so many seconds, on a thread of its own until the connection breaks."""
    def run():
        try:
            sock.sendall(first)
            while every is not None:
                time.sleep(every)
                sock.sendall(more)
        except OSError:
            pass
    threading.Thread(target=run, daemon=True).start()


class Readers:
    """A process of its own that reads these connections until each has received a number of lines."""

    def __init__(self, sockets, lines, seconds=10):
        out, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._read(sockets, lines, time.time() + seconds, tell)
            finally:
                os._exit(0)
        os.close(tell)
        self.out = os.fdopen(out)
        self.out.readline()

    @staticmethod
    def _read(sockets, lines, end, tell):
        chosen, heard, gone = selectors.DefaultSelector(), dict.fromkeys(sockets, 0), 0
        for s in sockets:
            s.setblocking(False)
            chosen.register(s, selectors.EVENT_READ)
        os.write(tell, b"ready\n")
        while time.time() < end and gone < len(heard) and min(heard.values()) < lines:
            for key, _ in chosen.select(0.1):
                try:
                    piece = key.fileobj.recv(1 << 20)
                except OSError:
                    piece = b""
                if not piece:
                    chosen.unregister(key.fileobj)
                    gone += 1
                heard[key.fileobj] += piece.count(b"\n")
        os.write(tell, f"{gone} {min(heard.values())}\n".encode())

    def result(self):
        """Returns how many connections were ended, and the fewest lines that one of them received."""
        gone, least = map(int, self.out.readline().split())
        os.waitpid(self.pid, 0)
        return gone, least


def feed(pipe, data):
    """Writes to the standard input of a program, on a thread of its own, and leaves it open."""
    def run():
        try:
            pipe.write(data)
        except OSError:
            pass
    threading.Thread(target=run, daemon=True).start()


def say(sock, data):
    """Sends all of `data` on a nonblocking socket."""
    while data:
        try:
            data = data[sock.send(data):]
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            return


def send_queues(port):
    """Returns the state of each connection of a local port for which the kernel still has bytes to send, and how many."""
    states = {"01": "ESTAB", "04": "FIN-WAIT-1", "05": "FIN-WAIT-2", "08": "CLOSE-WAIT", "09": "LAST-ACK", "0B": "CLOSING"}
    rows = [line.split() for line in open("/proc/net/tcp").read().splitlines()[1:]]
    found = [(states.get(r[3], r[3]), int(r[4].split(":")[0], 16)) for r in rows if int(r[1].split(":")[1], 16) == port and r[3] != "0A"]
    return [row for row in found if row[1]]


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, env=None, size=(24, 80)):
        import fcntl
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[0], size[1], 0, 0))
        self.process = start(command, stdin=slave, stdout=slave, stderr=slave, env=clean_env(env or {"TERM": "xterm"}),
                             preexec_fn=lambda: (os.setsid(), fcntl.ioctl(0, termios.TIOCSCTTY, 0)) and None)
        os.close(slave)
        self.got = b""
        self.mark = 0

    def pump(self, seconds):
        end = time.time() + seconds
        while time.time() < end:
            ready, _, _ = select.select([self.master], [], [], max(0, min(0.05, end - time.time())))
            if ready:
                try:
                    piece = os.read(self.master, 65536)
                except OSError:
                    return False
                if not piece:
                    return False
                self.got += piece
        return True

    def expect(self, text, seconds=10):
        """Waits for text after the text that was expected last. Returns True if it comes."""
        if isinstance(text, str):
            text = text.encode()
        end = time.time() + seconds
        while True:
            at = self.got.find(text, self.mark)
            if at >= 0:
                self.mark = at + len(text)
                return True
            if time.time() >= end:
                return False
            if not self.pump(0.05) and self.got.find(text, self.mark) < 0:
                return False

    def send(self, data):
        if isinstance(data, str):
            data = data.encode()
        while data:
            data = data[os.write(self.master, data):]

    def cooked(self):
        """Returns True if the terminal edits lines, echoes, and turns Ctrl-C into a signal, as a shell leaves it."""
        wanted = termios.ICANON | termios.ECHO | termios.ISIG
        return termios.tcgetattr(self.master)[3] & wanted == wanted

    def port(self):
        """Returns the port that the server on this terminal listens on."""
        self.expect("listening on ")
        wait(lambda: (self.pump(0.05), re.search(rb"listening on \S+:(\d+)\s", self.got))[1])
        return int(re.search(rb"listening on \S+:(\d+)\s", self.got).group(1))

    def wait(self, seconds=10):
        """Returns the exit code, the negative number of the signal that ended the program, or None if it runs on."""
        wait(lambda: (self.pump(0.05), self.process.poll() is not None)[1], seconds)
        return self.process.poll()

    def end(self):
        if self.process.poll() is None:
            kill_tree(self.process.pid)
        self.process.wait(5)
        os.close(self.master)


class Shell(Terminal):
    """An interactive bash with job control on a terminal of its own."""

    def __init__(self):
        need("bash")
        super().__init__(["bash", "--norc", "--noprofile", "-i"], env={"TERM": "xterm", "PS1": "$ "})
        self.expect("$ ")

    def job(self, command):
        """Starts a command in the foreground and returns its process id."""
        self.send(command + "\r")
        wait(lambda: (self.pump(0.05), children(self.process.pid))[1], 5)
        return children(self.process.pid)[0]


def state(pid):
    """Returns the state of a process: R, S, T (stopped), Z and so on, or None if there is no such process."""
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def screen(data, columns=80):
    """Returns the rows that a terminal shows. Knows text, CR, LF, BS, and how line editors move and erase."""
    import unicodedata
    rows, y, x = [{}], 0, 0
    for part in re.findall(r"\x1b\[([0-9;?]*)([@-~])|([^\x1b])", data.decode("utf-8", "replace")):
        digits, move, char = part
        n = int(digits) if digits.isdigit() else 0
        if char == "\r":
            x = 0
        elif char == "\b":
            x = max(0, x - 1)
        elif char == "\n":
            y += 1
        elif char >= " ":
            width = 2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1
            if x + width > columns:
                x, y = 0, y + 1
            while len(rows) <= y:
                rows.append({})
            if width == 0:
                rows[y][max(0, x - 1)] = rows[y].get(max(0, x - 1), "") + char
            else:
                rows[y].update({x: char, x + width - 1: char if width == 1 else ""})
            x += width
        elif move == "A":
            y = max(0, y - max(1, n))
        elif move == "B":
            y += max(1, n)
        elif move == "C":
            x = min(columns - 1, x + max(1, n))
        elif move == "D":
            x = max(0, x - max(1, n))
        elif move == "G":
            x = max(1, n) - 1
        elif move in ("K", "J"):
            while len(rows) <= y:
                rows.append({})
            rows[y] = {k: v for k, v in rows[y].items() if n != 2 and (k < x if n == 0 else k > x)}
            if move == "J" and n == 0:
                del rows[y + 1:]
        while len(rows) <= y:
            rows.append({})
    return ["".join(row.get(i, " ") for i in range(max(row) + 1)).rstrip() if row else "" for row in rows]


def run_hebra(*args, input=None, timeout=15, env=None, **kwargs):
    return subprocess.run([HEBRA, *args], input=input, stdin=None if input is not None else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, env=clean_env(env), **kwargs)


def have(tool):
    return shutil.which(tool)


def need(*tools):
    """Skips the case if a tool is missing, because a client that was not tried has not been tested."""
    missing = [tool for tool in tools if not have(tool)]
    if missing:
        skip(f"{' '.join(missing)} is not installed")


def telnet(port, host="127.0.0.1"):
    """Connects the real telnet on a terminal that echoes what is typed, as the terminals of people do."""
    need("telnet")
    t = Terminal(["sh", "-c", f"stty echo; exec telnet {host} {port}"])
    if not t.expect("Escape character is", 10):
        skip(f"telnet does not connect: {t.got!r}")
    t.pump(0.3)
    t.mark = len(t.got)
    return t


def namespaces():
    """Skips the case where no network namespace can be made."""
    if subprocess.run(["unshare", "-nm", "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        skip("needs root for unshare -nm")


def inside_namespace(setup):
    """Starts the case again in network and mount namespaces of its own, after some shell commands there."""
    if os.environ.get("CASE_INSIDE") != "1":
        namespaces()
        os.environ["CASE_INSIDE"] = "1"
        os.execvp("unshare", ["unshare", "-nm", sys.executable, *sys.argv])
    if subprocess.run(["sh", "-ec", "ip link set lo up; " + setup], stderr=subprocess.DEVNULL).returncode:
        skip("the namespace cannot be set up")


def reported_lost(lines):
    """Returns how many log lines are missing according to the log itself: to lines of their own, or to the totals."""
    lines = [l.partition("] ")[2] for l in lines]
    own = sum(int(re.findall(r"\d+", l)[-1]) for l in lines if re.search(r"not logged|lost", l) and re.search(r"\d", l) and "totals:" not in l)
    return max([own] + [int(n) for l in lines if "totals:" in l for n in re.findall(r"(?:lost|dropped|missing)\w*=(\d+)", l)])


def children(pid):
    try:
        return [int(x) for x in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def load_harness():
    """Returns the path of the load harness, which is the second argument."""
    if len(sys.argv) < 3:
        skip("no load harness: give its path as the second argument")
    return sys.argv[2]


def load(*args, timeout=15):
    p = subprocess.run([load_harness(), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=timeout, env=clean_env())
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def changed_in_a_room(texts):
    """What one client of a room reads of the texts that another one types, as far as they are changed on the way."""
    h = Hebra("--service", "chat", "--room", stdin=subprocess.PIPE)
    a, b = h.connect(), h.connect()
    wait(lambda: h.shown().count("joined") == 2)
    wrong = []
    for text in texts:
        a.sendall(text.encode() + b"\n")
        got = read_until(b, b"\n").decode()
        if got != f"<1> {text}\r\n":
            wrong.append(got.strip())
    return wrong
