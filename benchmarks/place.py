"""Where a server under test is put, and how it is started there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class NotHere(Exception):
    """This server cannot run on this machine; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Place:
    """`scratch` is this server's own and is removed after the run; `cache` stays.

    `spare_port` is free, for whatever else it wants to listen on.
    """

    scratch: Path
    cache: Path
    port: int
    upstream_port: int
    spare_port: int

    @property
    def upstream(self) -> str:
        return f"http://127.0.0.1:{self.upstream_port}"


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line; `key` is the API key that clients send, `version` what is being measured."""

    argv: tuple[str, ...]
    ready_path: str
    version: str
    key: str = "none"
    env: Mapping[str, str] = field(default_factory=dict)
