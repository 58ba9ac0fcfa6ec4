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
        content = self.server.content
        half = content[: len(content) // 2]
        length, sent = {  # what is said of the length, and what is sent
            "/good": (len(content), content),
            "/good-without-length": (None, content),
            "/other": (len(content), content[:-1] + bytes([content[-1] ^ 1])),
            "/page": (len(PAGE), PAGE),
            "/none": (len(PAGE), PAGE),
            "/cut": (len(content), half),
            "/cut-without-length": (None, half),
            "/stalling": (len(content), half),
            "/endless": (None, content),
        }[self.path]
        self.server.requests.append(self.path)
        self.server.asked.set()
        self.close_connection = True
        with suppress(ConnectionError):  # the client has had enough
            self.send_response(404 if self.path == "/none" else 200)
            if length is not None:
                self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(sent)
            while self.path == "/endless":
                self.wfile.write(sent)
            if self.path == "/stalling":
                self.server.end.wait()


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
