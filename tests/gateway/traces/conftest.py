"""A store's path, and writers on it that are closed even where a test fails."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.traces.schema import connect_writer
from gateway.traces.scrub import Content
from gateway.traces.sqlite import SqliteWriter
from router.trace import Exchange, Judgement
from tests.gateway.traces.records import SetClock, Tally

Open = Callable[..., SqliteWriter]
Fill = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


@pytest.fixture
def open_writer(path: Path) -> Iterator[Open]:
    writers: list[SqliteWriter] = []

    def opened(tally: Tally, **changes: Any) -> SqliteWriter:
        arguments: dict[str, Any] = {
            "content": Content.FULL,
            "retention_days": 30.0,
            "clock": SetClock(),
            "on_outcome": tally,
        }
        arguments |= changes
        connection = arguments.pop("connection", None) or connect_writer(path)
        writers.append(SqliteWriter(connection, **arguments))
        return writers[-1]

    yield opened
    for writer in writers:
        asyncio.run(writer.aclose())


@pytest.fixture
def fill(open_writer: Open) -> Fill:
    """Stores records, and is done when they are stored."""

    def filled(*records: Exchange | Judgement, **changes: Any) -> None:
        writer = open_writer(Tally(), **changes)
        for record in records:
            writer.put(record)
        asyncio.run(writer.aclose())

    return filled


class _Ear(logging.Handler):
    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence, self.heard = sentence, threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == self.sentence:
            self.heard.set()


@pytest.fixture
def listen() -> Iterator[Callable[[str], threading.Event]]:
    """An event that is set when the writer logs this sentence."""
    log, ears = logging.getLogger("gateway.traces.sqlite"), []

    def listening(sentence: str) -> threading.Event:
        ears.append(_Ear(sentence))
        log.addHandler(ears[-1])
        return ears[-1].heard

    yield listening
    for ear in ears:
        log.removeHandler(ear)
