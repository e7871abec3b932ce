"""A small web server: the files of a folder by `sendfile`, as a web server does it.

    python -m tests.bench.webseed HOST FOLDER

Stands in where there is no nginx. A thread for each connection; says `READY PORT` when it serves.
"""

import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    """Gives the files of one folder, not of those below it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, folder: Path) -> None:
        self.folder = folder
        super().__init__((host, 0), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server

    def do_GET(self) -> None:
        """A file and its length, or that there is none."""
        path = self.server.folder / Path(self.path).name
        if not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(path.stat().st_size))
            self.end_headers()
            self.wfile.flush()
            self.connection.sendfile(file)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def main() -> None:
    """Serve until ended."""
    server = Server(sys.argv[1], Path(sys.argv[2]))
    print("READY", server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
