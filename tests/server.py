"""A web server on 127.0.0.1 that serves a file well and badly."""

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"


class Server(ThreadingHTTPServer):
    """Serves `content` under the paths that `Handler` knows; `requests` are the paths asked for."""

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.requests = []
        self.asked = threading.Event()
        self.end = threading.Event()

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.asked.set()
        name, _, without_length = self.path[1:].partition("-")
        self.length = not without_length
        with suppress(ConnectionError):  # the client has had enough
            getattr(self, name)(self.server.content)
        self.close_connection = True

    def start(self, content, status=200, kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if self.length:
            self.send_header("Content-Length", len(content))
        self.end_headers()

    def good(self, content):
        self.start(content)
        self.wfile.write(content)

    def other(self, content):
        self.good(content[:-1] + bytes([content[-1] ^ 1]))

    def page(self, _, status=200):
        self.start(PAGE, status, "text/html")
        self.wfile.write(PAGE)

    def none(self, content):
        self.page(content, 404)

    def elsewhere(self, _):
        self.send_response(302)
        self.send_header("Location", "http://[::1/x")
        self.end_headers()

    def cut(self, content):
        self.start(content)
        self.wfile.write(content[: len(content) // 2])

    def stalling(self, content):
        self.cut(content)
        self.server.end.wait()

    def endless(self, content):
        self.length = False
        self.start(content)
        while True:
            self.wfile.write(content)


@contextmanager
def serve(content):
    """Serve `content` until the end of the context."""
    with Server(content) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.end.set()
            server.shutdown()
            thread.join()
