"""The mock upstream, seen from the bench: how its streams are to run, and what it counted."""

from dataclasses import dataclass

import httpx
import msgspec


class Counted(msgspec.Struct, frozen=True):
    """Since the mock started. `left`: streams that a client hung up on."""

    requests: int
    streams: int
    chunks: int
    connections: int
    open: int
    left: int


@dataclass(frozen=True, slots=True)
class Pace:
    """A stream: so many tokens, one every `interval_s`; 0 sends them all at once."""

    tokens: int
    interval_s: float = 0.0

    @property
    def seconds(self) -> float:
        """From the first token to the last."""
        return (self.tokens - 1) * self.interval_s


@dataclass(frozen=True, slots=True)
class Mock:
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set(self, pace: Pace) -> None:
        interval_us = round(pace.interval_s * 1e6)
        self._get(f"/set?chunks={pace.tokens}&interval_us={interval_us}")

    def counted(self) -> Counted:
        return msgspec.json.decode(self._get("/stats"), type=Counted)

    def _get(self, path: str) -> bytes:
        return httpx.get(self.base_url + path, trust_env=False).raise_for_status().content
