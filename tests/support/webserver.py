"""A web server on this machine that does to a reader what servers do, and worse."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENDLESS = 1 << 26
"""Bytes after which even the endless answer ends, so that a test that fails does end."""


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path; what has no method of its own is a file."""

    protocol_version = "HTTP/1.1"
    server: WebServer

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].split("/")[1]
        self.server.asked[name] += 1
        self.server.headers[name] = dict(self.headers)
        getattr(self, f"get_{name}", self.get_file)()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def get_file(self) -> None:
        data = self.server.files.get(self.path.partition("?")[0])
        if data is None:
            self.plain(404)
        else:
            self.plain(200, data)

    def get_status(self) -> None:
        self.plain(int(self.path.rpartition("/")[2]), b"no image")

    def get_private(self) -> None:
        if self.headers["Authorization"] == "Basic " + base64.b64encode(b"me:secret").decode():
            self.plain(200, self.server.files["/photo.png"])
        else:
            self.plain(401)

    def get_to(self) -> None:
        self.plain(302, Location=self.server.places[self.path.rpartition("/")[2]])

    def get_truncated(self) -> None:
        self.head(200, {"Content-Length": "1000"})
        self.wfile.write(b"\x89PNG\r\n\x1a\n")
        self.close_connection = True

    def get_boasting(self) -> None:
        self.head(200, {"Content-Length": str(1 << 40)})
        self.wfile.write(b"\x89PNG\r\n\x1a\n")
        self.close_connection = True

    def get_modest(self) -> None:
        self.head(200, {"Content-Length": "20"})
        self.wfile.write(self.server.files["/photo.png"])
        self.close_connection = True

    def get_endless(self) -> None:
        self.head(200, {"Transfer-Encoding": "chunked"})
        block = bytes(1 << 16)
        for _ in range(ENDLESS // len(block)):
            try:
                self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
            except OSError:
                return
            self.server.sent += len(block)

    def get_silent(self) -> None:
        self.head(200, {"Content-Length": "1000"})
        self.wfile.flush()
        self.server.released.wait(30)
        self.close_connection = True

    def get_moody(self) -> None:
        if self.server.asked["moody"] == 1:
            self.hang_up()
        else:
            self.plain(200, self.server.files["/photo.png"])

    def get_rude(self) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        # Closed this way the other side gets a reset, not an end.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def plain(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.head(status, {"Content-Length": str(len(data)), **headers})
        self.wfile.write(data)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()


class WebServer(ThreadingHTTPServer):
    """The server with what it was given and asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.places: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.headers: dict[str, dict[str, str]] = {}
        self.sent = 0
        self.released = threading.Event()
        self.scheme = "http"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # readers hang up too

    def url(self, path: str, login: str = "") -> str:
        """Return the address of a path."""
        return f"{self.scheme}://{login}127.0.0.1:{self.server_address[1]}/{path}"


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[WebServer]:
    """Run a server, over TLS if there is a certificate (with its key in the same file)."""
    server = WebServer()
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
