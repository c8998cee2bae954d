"""A local HTTP server that answers like the real services, and the sessions that reach it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from curl_cffi import requests as curl


@dataclass
class Answer:
    body: bytes | str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0  # bytes of the body that never arrive, although its length was announced
    drip: float = 0.0  # seconds between two bytes


# A service maps a path and its query to an answer.
Service = Callable[[str, dict[str, str]], Answer]


@dataclass
class Running:
    url: str
    requests: list[str]


@contextmanager
def serve(service: Service) -> Iterator[Running]:
    """Run a service on a free port of this machine; `requests` lists the paths that were asked for."""
    asked: list[str] = []
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked.append(parts.path)
            answer = service(parts.path, {name: values[0] for name, values in parse_qs(parts.query).items()})
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._send(body[: len(body) - answer.cut], answer.drip)

        def _send(self, body: bytes, drip: float) -> None:
            if not drip:
                self.wfile.write(body)
                return
            with suppress(OSError):  # whoever asked has gone
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    if closing.wait(drip):
                        return

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Quiet: the tests look at `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Running(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class Redirected(curl.Session):
    """yfinance's own kind of session; every host is the local server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *arguments: object, **options: object) -> object:  # type: ignore[override]
        parts = urlsplit(url)
        return super().request(method, f"{self._url}{parts.path}?{parts.query}", *arguments, **options)


def as_json(value: object) -> Answer:
    return Answer(json.dumps(value), headers={"Content-Type": "application/json"})
