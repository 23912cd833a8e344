"""A local HTTP server that does what servers do on bad days: each fault by name, on the first requests for a file."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Longer than the transfers of the tests wait for a piece.
DELAY = 0.5


class Server(ThreadingHTTPServer):
    """files: content by path. faults: by path, what the next requests get, one each; '*' stands for every path.

    ranges: whether it honours them. seen: (path, Range or None) of each request. release: what `hold` waits for.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = {}
        self.ranges = True
        self.seen: list[tuple[str, str | None]] = []
        self.release = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the play."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        asked = self.headers.get("Range")
        self.server.seen.append((path, asked))
        path = path.removeprefix("moved/")
        faults = self.server.faults.get(path) or self.server.faults.get("*") or ["none"]
        fault = faults.pop(0) if faults[0] != "none" else "none"
        getattr(self, fault)(path, asked)

    def answer(self, body: bytes, length: int | None = None, status: int = 200, **headers: str) -> None:
        """One answer, which says its true length unless `length` says otherwise; -1: none."""
        length = len(body) if length is None else length
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length >= 0:
            self.send_header("Content-Length", str(length))
        if length != len(body):
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def none(self, path: str, asked: str | None) -> None:
        content = self.server.files.get(path)
        if content is None:
            self.answer(b"", status=404)
        elif asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.answer(b"", status=416)
            else:
                said = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.answer(content[start:], status=206, Content_Range=said)
        else:
            self.answer(content)

    def drops(self, path: str, asked: str | None) -> None:
        content = self.server.files[path]
        self.answer(content[: len(content) // 2], len(content))

    def halves(self, path: str, asked: str | None) -> None:
        """A half of what was asked for, and then the connection drops."""
        content = self.server.files[path]
        start = int((asked or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        said = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start : (start + len(content)) // 2]
        self.answer(body, len(content) - start, 206 if asked else 200, Content_Range=said)

    def truncates(self, path: str, asked: str | None) -> None:
        content = self.server.files[path]
        self.answer(content[: len(content) // 2], -1)

    def delays(self, path: str, asked: str | None) -> None:
        self.server.release.wait(DELAY)
        self.close_connection = True

    def stalls(self, path: str, asked: str | None) -> None:
        self.drops(path, asked)
        self.server.release.wait(DELAY)

    def holds(self, path: str, asked: str | None) -> None:
        self.drops(path, asked)
        self.server.release.wait(60)

    def redirects(self, path: str, asked: str | None) -> None:
        self.answer(b"", status=302, Location=f"/moved/{path}")

    def says_less(self, path: str, asked: str | None) -> None:
        content = self.server.files[path]
        self.answer(content[: len(content) // 3])

    def lacks_the_last_byte(self, path: str, asked: str | None) -> None:
        self.answer(self.server.files[path][:-1])

    def says_more(self, path: str, asked: str | None) -> None:
        content = self.server.files[path]
        self.answer(content, len(content) + 100)

    def sends_more(self, path: str, asked: str | None) -> None:
        self.answer(self.server.files[path] + b"and more" * 20_000)

    def wrong_file(self, path: str, asked: str | None) -> None:
        self.answer(b"x" * len(self.server.files[path]))

    def damaged(self, path: str, asked: str | None) -> None:
        content = self.server.files[path]
        self.answer(content[:2] + b"x" * (len(content) - 4) + content[-2:])

    def wrong_range(self, path: str, asked: str | None) -> None:
        content = self.server.files[path]
        self.answer(content[7:], status=206, Content_Range=f"bytes 7-{len(content) - 1}/{len(content)}")

    def web_page(self, path: str, asked: str | None) -> None:
        self.answer(b"<html>Log in to this network</html>", Content_Type="text/html; charset=utf-8")

    def empty(self, path: str, asked: str | None) -> None:
        self.answer(b"")

    def busy(self, path: str, asked: str | None) -> None:
        self.answer(b"slow down", status=429, Retry_After="7")

    def busy_for_days(self, path: str, asked: str | None) -> None:
        self.answer(b"slow down", status=429, Retry_After="200000")

    def busy_until(self, path: str, asked: str | None) -> None:
        self.answer(b"", status=503, Retry_After="Fri, 31 Dec 1999 23:59:59 GMT")

    def busy_somehow(self, path: str, asked: str | None) -> None:
        self.answer(b"", status=503, Retry_After="soon")

    def down(self, path: str, asked: str | None) -> None:
        self.answer(b"down", status=503)

    def gone(self, path: str, asked: str | None) -> None:
        self.answer(b"gone", status=404)


@contextmanager
def serve() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
