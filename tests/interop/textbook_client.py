"""The TCP client of textbooks. It sends text without a newline, and waits for the echo."""

import socket
import sys

host, port = sys.argv[1], int(sys.argv[2])

with socket.create_connection((host, port), timeout=60) as client:
    client.sendall("Hola, servidor!".encode())
    print("received:", client.recv(1024).decode())
    client.sendall(b"bye")
    rest = client.recv(1024)
    print("end of stream" if rest == b"" else f"unexpected: {rest!r}")
