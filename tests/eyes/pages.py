"""Pages to scrape: of a gateway that has done everything, and of any text."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, product

from gateway.exposition import render
from gateway.families import FAMILIES
from gateway.ledger import Ledger

Page = bytes | Callable[[int], bytes]
"""What a server answers; where it grows, by the number of the scrape."""


def growing(page: bytes) -> Callable[[int], bytes]:
    """Every number on it counts up from scrape to scrape."""
    lines = [line.rpartition(" ") for line in page.decode().splitlines()]

    def at(number: int) -> bytes:
        grown = (
            "".join(line) if line[0].startswith("#") else f"{line[0]} {float(line[2]) * number}"
            for line in lines
        )
        return "\n".join(grown).encode() + b"\n"

    return at


def every_series() -> bytes:
    """The page of a gateway that has done everything: verified, drafted, dropped, been scored."""
    ledger = Ledger()
    for family, outcome in product(FAMILIES, ("kept", "accepted")):
        labels = tuple(_label(name, outcome) for name in family.labels)
        at = ledger.open(family.name, labels, family.width)
        ledger.values[at] = ledger.values[at + family.width - 1] = 1.0
    return render(FAMILIES, [ledger])


def _label(name: str, outcome: str) -> str:
    values = {"outcome": outcome, "direction": "output", "status": "200", "served_by": "student"}
    return values.get(name, name)


@contextmanager
def pages(*texts: Page) -> Iterator[list[str]]:
    """Servers that answer each scrape with one of these."""
    servers = []
    for text in texts:

        class Answers(BaseHTTPRequestHandler):
            body, scrapes = text, count(1)

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(type(self).answer())

            @classmethod
            def answer(cls) -> bytes:
                return cls.body if isinstance(cls.body, bytes) else cls.body(next(cls.scrapes))

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
    try:
        yield [f"127.0.0.1:{server.server_address[1]}" for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
