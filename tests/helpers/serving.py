"""A web server for the time of a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

import av


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Its address."""
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
    """Gives everybody what `respond` writes, without saying how much that will be."""

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True

        def do_GET(self) -> None:  # the name that the server calls
            self.send_response(200)
            self.end_headers()
            with suppress(OSError, av.FFmpegError):  # who asked has gone
                respond(self.wfile)  # type: ignore[arg-type]

        def log_message(self, *_args: object) -> None:
            pass

    return Handler
