"""The chat client of textbooks. It sends each typed line without a newline, and then waits for an answer."""

import socket
import sys

client = socket.socket()
client.connect((sys.argv[1], int(sys.argv[2])))
message = input(" -> ")
while message.lower().strip() != "bye":
    client.send(message.encode())
    print("Received from server:", client.recv(1024).decode().strip())
    message = input(" -> ")
client.close()
