"""What several tests need: the checkout on the path, and a web server that misbehaves on demand."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


@dataclass
class Web:
    """A web server on the loopback interface.

    Attributes:
        url: its address, without a final slash.
        files: what it serves, by name.
        cuts: for a name, after how many bytes each of the next answers breaks off.
        ranges: False makes it ignore Range, as simple servers do.
        asked: the Range header (or None) of each request, by name.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    asked: dict[str, list[str | None]] = field(default_factory=dict)


def make_handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            wanted = self.headers.get("Range") if web.ranges else None
            web.asked.setdefault(name, []).append(self.headers.get("Range"))
            if name not in web.files:
                self.send_error(404)
                return
            whole = web.files[name]
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if start >= len(whole) > 0:
                self.send_error(416)
                return
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(whole) - start))
            self.end_headers()
            cuts = web.cuts.get(name)
            self.wfile.write(whole[start : start + cuts.pop(0)] if cuts else whole[start:])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def web() -> Iterator[Web]:
    web = Web()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(web))
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()
