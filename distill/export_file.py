"""What `tutelage traces export` writes, read back: exchanges, each with its judgements."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from router.evidence import Record
from router.trace import (
    Exchange,
    Judgement,
    UnreadableTraceError,
    decode_exchange,
    decode_judgement,
    export_lines,
)

_EXCHANGE = b'"kind":"exchange"'


class NotAnExport(ValueError):
    """The file is not what `tutelage traces export` writes; the text names the line."""


def read_export(path: Path) -> Iterator[Record]:
    """In the order of the file. Raises NotAnExport, OSError."""
    exchange: Exchange | None = None
    judgements: list[Judgement] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                if _EXCHANGE in line[:64]:
                    if exchange is not None:
                        yield exchange, judgements
                    exchange, judgements = decode_exchange(line), []
                else:
                    judgements.append(decode_judgement(line))
            except UnreadableTraceError as error:
                raise NotAnExport(f"{path}:{number}: {error}") from error
            if exchange is None or any(j.trace_id != exchange.trace_id for j in judgements):
                raise NotAnExport(f"{path}:{number}: a judgement without its exchange before it")
    if exchange is not None:
        yield exchange, judgements


def write_export(records: Iterable[Record], path: Path) -> None:
    """The same form. Raises OSError."""
    with path.open("wb") as file:
        file.writelines(export_lines(*record) for record in records)
