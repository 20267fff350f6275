"""The textbook server in Python: a ClientThread for each connection prints what happens.

Usage: client_thread.py quiet|printing
"""

import os
import socket
import sys
import threading


class ClientThread(threading.Thread):
    """One client's conversation."""

    def __init__(self, connection, address, say):
        super().__init__(daemon=True)
        self.connection = connection
        self.address = address
        self.say = say

    def run(self):
        self.say(f"{self.address} connected")
        try:
            with self.connection:
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while True:
                    message = self.connection.recv(16 * 1024)
                    if not message or message.strip() == b"bye":
                        break
                    self.say(f"{self.address} says {message!r}")
                    self.connection.sendall(message)
        except OSError as error:
            self.say(f"{self.address} lost: {error}")
        self.say(f"{self.address} disconnected")


def main():
    say = lambda text: None
    if sys.argv[1] == "printing":
        # Line buffering makes a system call for each line, as on a terminal, but leaves no gigabyte of log.
        nowhere = open(os.devnull, "w", buffering=1)
        say = lambda text: print(text, file=nowhere)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as server:
        print("listening on {}:{}".format(*server.getsockname()), flush=True)
        while True:
            connection, address = server.accept()
            ClientThread(connection, address, say).start()


main()
