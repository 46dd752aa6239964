"""Something that has QEMU's command line and is no QEMU: it runs, as far as its journal goes, and says at its control
socket whatever is worst for who asks. Its first argument says what.

SPDX-License-Identifier: MIT OR Apache-2.0
"""

import json
import os
import signal
import socket
import sys
import threading

GREETING = b'{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}\r\n'


def option(begin, key):
    """The value of `key` in the argument that begins so."""
    argument = next(word for word in sys.argv if word.startswith(begin))
    return next(part[len(key) + 1 :] for part in argument.split(",") if part.startswith(key + "="))


def flood(client, piece):
    while True:
        client.sendall(piece)


def serve(client, kind):
    try:
        if kind == "junk":
            flood(client, os.urandom(4096))
        elif kind == "endless":
            flood(client, b"x" * 65536)
        elif kind == "lines":
            client.sendall(GREETING)
            flood(client, b'{"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 1}}\r\n' * 1000)
        elif kind == "nested":
            client.sendall(b"[" * 10000 + b"]" * 10000 + b"\r\n" + GREETING)
            client.recv(65536)
            client.sendall(b'{"return": ' + b'{"a":' * 10000 + b"0" + b"}" * 10000 + b"}\r\n")
            client.recv(65536)
        elif kind == "invalid":
            client.sendall(GREETING)
            while client.recv(65536):
                client.sendall(b'{"return": "\xff\xfe\x00\xc3"}\r\n')
        elif kind == "closes":
            client.sendall(GREETING[:40])
            client.close()
        elif kind == "greets":
            client.sendall(GREETING)
            while client.recv(65536):
                pass
        elif kind == "agrees":
            client.sendall(GREETING)
            for line in client.makefile("rb"):
                reply = {"return": {}}
                command = json.loads(line)
                if "id" in command:
                    reply["id"] = command["id"]
                client.sendall(json.dumps(reply).encode() + b"\r\n")
    except (OSError, ValueError):
        pass


def main():
    kind = sys.argv[1]
    listener = socket.socket(socket.AF_UNIX)
    path = option("socket,id=domstate-control", "path")
    # A socket's path has 108 bytes.
    os.chdir(os.path.dirname(path))
    listener.bind(os.path.basename(path))
    listener.listen(16)
    journal = os.open(option("pipe,id=domstate-recorder", "logfile"), os.O_WRONLY | os.O_APPEND)
    time = b'"timestamp": {"seconds": 1795000000, "microseconds": 1}'
    for line in [
        GREETING,
        b'{"return": {}}\r\n',
        b'{"return": {}}\r\n',
        b'{"return": {"status": "prelaunch", "singlestep": false, "running": false}, "id": "domstate-status"}\r\n',
        b"{" + time + b', "event": "RESUME"}\r\n',
        b'{"return": {}, "id": "domstate-cont"}\r\n',
    ]:
        os.write(journal, line)
    if kind == "silent":
        # As one that is stopped: the kernel accepts for it.
        signal.pause()
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, kind), daemon=True).start()


main()
