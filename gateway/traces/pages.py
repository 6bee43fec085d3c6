"""What `tutelage traces` reads from the store and prints, and what it brings in: a page each."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from rich.console import Console

from gateway.clock import Clock, SystemClock
from gateway.config import ConfigError, load
from gateway.location import UnknownStore, default_state, default_store, store_path
from gateway.rulings import Rulings, RulingsError
from gateway.traces import differing, drifted, tables
from gateway.traces.carrying import export, store_rows, write_rows
from gateway.traces.importing import CannotImport, Naming, read_rows
from gateway.traces.reading import SqliteReader
from gateway.traces.scrub import Content
from gateway.traces.selection import Selection
from gateway.traces.store import TraceReader, TraceStoreError
from router.trace import Reason, ServedBy, encode

_PIPE_WIDTH = 160
_TROUBLE = (ConfigError, TraceStoreError, UnknownStore, CannotImport, RulingsError, OSError)


def turn_to(arguments: argparse.Namespace) -> int:
    """Print the page that the command line asks for; the exit status."""
    pages = {
        "ls": _ls,
        "show": _show,
        "stats": _stats,
        "divergences": _divergences,
        "arms": _arms,
        "drift": _drift,
        "export": _export,
    }
    try:
        if arguments.page == "import":
            _import(arguments)
        else:
            with SqliteReader(store_path(_settings(arguments).store)) as reader:
                pages[arguments.page](reader, arguments, SystemClock())
    except _TROUBLE as error:
        if isinstance(error, BrokenPipeError):
            raise
        sys.stderr.write(f"tutelage traces: {error}\n")
        return 2
    return 0


class _Where(NamedTuple):
    store: str
    content: Content


def _settings(arguments: argparse.Namespace) -> _Where:
    if arguments.store is not None:
        return _Where(str(arguments.store), Content.FULL)
    if arguments.config is None:
        return _Where(default_store(os.environ), Content.FULL)
    traces = load(arguments.config).traces
    return _Where(traces.store or default_store(os.environ), Content(traces.content))


def _ls(reader: TraceReader, arguments: argparse.Namespace, clock: Clock) -> None:
    exchanges = reader.recent(
        limit=arguments.limit,
        since_s=_since_s(arguments, clock),
        route=arguments.route,
        reason=Reason(arguments.reason) if arguments.reason else None,
        served_by=ServedBy(arguments.served_by) if arguments.served_by else None,
    )
    if arguments.json:
        _write_lines(map(encode, exchanges))
    else:
        console = _console()
        console.print(tables.listing(exchanges, width=console.width))


def _show(reader: TraceReader, arguments: argparse.Namespace, _clock: Clock) -> None:
    exchange, judgements = reader.get(arguments.trace_id)
    if arguments.json:
        _write_lines([encode(exchange), *map(encode, judgements)])
    else:
        _console().print(tables.story(exchange, judgements))


def _stats(reader: TraceReader, arguments: argparse.Namespace, clock: Clock) -> None:
    routes = reader.stats(since_s=_since_s(arguments, clock))
    if arguments.json:
        _write_lines(map(msgspec.json.encode, routes))
    else:
        _console().print(tables.figures(routes))


def _divergences(reader: SqliteReader, arguments: argparse.Namespace, clock: Clock) -> None:
    clusters = differing.divergences(reader, arguments, _since_s(arguments, clock))
    if arguments.json:
        _write_lines(map(msgspec.json.encode, clusters))
    else:
        _console().print(differing.listed(clusters))


def _arms(reader: SqliteReader, arguments: argparse.Namespace, clock: Clock) -> None:
    arms = differing.arms(reader, arguments, _since_s(arguments, clock))
    if arguments.json:
        _write_lines([msgspec.json.encode(arms)])
    else:
        _console().print(differing.told(arms))


def _drift(reader: SqliteReader, arguments: argparse.Namespace, _clock: Clock) -> None:
    settings = load(arguments.config) if arguments.config is not None else None
    named = settings.server.state if settings is not None else None
    rulings = Rulings(store_path(named or default_state(os.environ)))
    found = drifted.drifted(reader, arguments, settings, rulings)
    if arguments.json:
        _write_lines([msgspec.json.encode(found)])
    else:
        _console().print(drifted.told(found))


def _export(reader: SqliteReader, arguments: argparse.Namespace, clock: Clock) -> None:
    until = arguments.until
    wanted = Selection(
        route=arguments.route,
        reason=Reason(arguments.reason) if arguments.reason else None,
        served_by=ServedBy(arguments.served_by) if arguments.served_by else None,
        since_s=_since_s(arguments, clock),
        until_s=clock.unix_s() - until if until is not None else None,
    )
    if arguments.out is None:
        export(reader, wanted, sys.stdout.buffer)
        return
    with _whole_file(arguments.out) as out:
        count = export(reader, wanted, out)
    sys.stdout.write(f"{arguments.out}: {count} exchanges\n")


def _import(arguments: argparse.Namespace) -> None:
    file: Path = arguments.file
    naming = Naming(arguments.route, arguments.system, arguments.prompt, arguments.label)
    rows = read_rows(file, naming, now_s=file.stat().st_mtime)
    if arguments.out is not None:
        with _whole_file(arguments.out) as out:
            count = write_rows(rows, out)
        sys.stdout.write(f"{arguments.out}: {count} exchanges\n")
        return
    where = _settings(arguments)
    fates = store_rows(rows, store_path(where.store), where.content)
    told = ", ".join(f"{fate} {count}" for fate, count in fates.items()) or "no rows"
    sys.stdout.write(f"{file}: {told}\n")


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """Written beside and renamed: a cut leaves what was there."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as out:
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _since_s(arguments: argparse.Namespace, clock: Clock) -> float:
    return clock.unix_s() - arguments.since if arguments.since is not None else 0.0


def _console() -> Console:
    """As wide as the terminal; a pipe has no width, and what reads it can cut."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def _write_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        sys.stdout.write(f"{line.decode()}\n")
