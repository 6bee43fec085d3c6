"""What `tutelage traces` reads from the store and prints: a page each for ls, show and stats."""

import argparse
import os
import sys
from collections.abc import Iterable

import msgspec
from rich.console import Console

from gateway.clock import Clock, SystemClock
from gateway.config import ConfigError, load
from gateway.location import UnknownStore, default_store, store_path
from gateway.traces import tables
from gateway.traces.reading import SqliteReader
from gateway.traces.store import TraceReader, TraceStoreError
from router.trace import Reason, ServedBy, encode

_PIPE_WIDTH = 160


def turn_to(arguments: argparse.Namespace) -> int:
    """Print the page that the command line asks for; the exit status."""
    page = {"ls": _ls, "show": _show, "stats": _stats}[arguments.page]
    try:
        with SqliteReader(store_path(_store(arguments))) as reader:
            page(reader, arguments, SystemClock())
    except (ConfigError, TraceStoreError, UnknownStore) as error:
        sys.stderr.write(f"tutelage traces: {error}\n")
        return 2
    return 0


def _store(arguments: argparse.Namespace) -> str:
    if arguments.store is not None:
        return str(arguments.store)
    named = load(arguments.config).traces.store if arguments.config is not None else None
    return named or default_store(os.environ)


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


def _since_s(arguments: argparse.Namespace, clock: Clock) -> float:
    return clock.unix_s() - arguments.since if arguments.since is not None else 0.0


def _console() -> Console:
    """As wide as the terminal; a pipe has no width, and what reads it can cut."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)


def _write_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        sys.stdout.write(f"{line.decode()}\n")
