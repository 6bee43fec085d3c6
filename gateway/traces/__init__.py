"""Where exchanges and judgements are kept.

scrub      what the content policy lets through, before anything is stored
store      the interface: the writer's promise, the reader's questions, the errors
keys       a trace id as 16 bytes that sort by time
schema     the tables in SQLite, and the check that they are ours
migration  what an older version wrote, brought up to date
rows       records as rows, and many of them inserted at once
sqlite     the writer: queues, one thread, batches
reading    the reader, from any process
stats      the figures of a route, from its exchanges and judgements
selection  which traces are taken out
importing  logs of others as traces
carrying   traces into a file and from one
commands   `tutelage traces`: the command line
pages      what each of them reads and prints
tables     how it looks in a terminal
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.clock import Clock
    from gateway.config import Traces
    from gateway.traces.store import TraceWriter


def open_writer(
    store: str, settings: "Traces", *, clock: "Clock", on_outcome: Callable[[str, int], None]
) -> "TraceWriter":
    """The writer for a store's URL. Raises TraceStoreError if it cannot be opened,
    UnknownStore if the URL is not one of ours.

    on_outcome: told how many records met which fate (`store.Fate`), from any thread; it must not
    raise.
    """
    # The command line passes through here each time it starts, and writes nothing.
    from gateway.location import store_path  # noqa: PLC0415
    from gateway.traces.schema import connect_writer  # noqa: PLC0415
    from gateway.traces.scrub import Content  # noqa: PLC0415
    from gateway.traces.sqlite import SqliteWriter  # noqa: PLC0415

    return SqliteWriter(
        connect_writer(store_path(store)),
        content=Content(settings.content),
        retention_days=settings.retention_days,
        clock=clock,
        on_outcome=on_outcome,
    )
