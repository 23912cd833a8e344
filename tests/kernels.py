"""Kernels that are forked from one process, whose imports are made: a kernel of its own makes them for seconds.

`python tests/kernels.py serve SOCKET` is that process, `python tests/kernels.py start SOCKET ARGUMENTS` stands for one kernel.
Only what others wrote is imported before: the library is imported by each kernel itself.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module


def serve(address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in ("anywidget", "itables", "nbformat", "open_clip", "pandas", "plotly.graph_objects", "scipy.stats"):
        import_module(name)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                become_kernel(connection)
            connection.close()


def become_kernel(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    given = json.loads(connection.makefile().readline())
    os.environ.clear()
    os.environ.update(given["environment"])
    os.chdir(given["folder"])
    # it ends with the process that stands for it
    threading.Thread(target=lambda: connection.recv(1) or os._exit(1), daemon=True).start()
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(given["arguments"])
    os._exit(0)


def start(address: str, *arguments: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        while connection.connect_ex(address):
            time.sleep(0.05)
        given = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
        connection.sendall(f"{json.dumps(given)}\n".encode())
        connection.recv(1)


if __name__ == "__main__":
    {"serve": serve, "start": start}[sys.argv[1]](*sys.argv[2:])
