"""A web server that runs during a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

import av


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a web server on a free port and yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


def answering(respond: Callable[[BinaryIO], None]) -> type[BaseHTTPRequestHandler]:
    """Return a handler that sends what `respond` writes, without a Content-Length."""

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:  # http.server requires this name
            self.send_response(200)
            self.end_headers()
            with suppress(OSError, av.FFmpegError):  # the client has disconnected
                respond(self.wfile)  # type: ignore[arg-type]

        def log_message(self, *_args: object) -> None:
            pass

    return Handler
