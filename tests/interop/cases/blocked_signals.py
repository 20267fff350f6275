# A server whose parent has left SIGTERM blocked unblocks it, because it handles that signal.
from lab import *
h = Hebra(preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT]) and None)
code = h.stop()
verdict(code == 0, f"exit code after SIGTERM: {code}", "0: a server that handles SIGTERM unblocks it")
