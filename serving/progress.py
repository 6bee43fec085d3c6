"""What slow work tells whoever watches; `serving.screen` shows it in a terminal."""

from typing import Protocol


class Progress(Protocol):
    """Told in order, from one thread."""

    def say(self, line: str) -> None:
        """One thing that is done, or about to be."""

    def bytes_done(self, what: str, done: int, total: int) -> None:
        """`what` grew to `done` bytes of `total`."""
