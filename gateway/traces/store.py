"""The trace store's interface: what a writer promises, what a reader answers, how they fail.

TraceStoreError
├── NoSuchTraceError      no trace id begins like this
└── AmbiguousTraceError   several do
"""

from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.traces.stats import RouteStats
from router.trace import Exchange, Judgement, Reason, ServedBy


class TraceStoreError(Exception):
    """The store cannot be used; the message names it, the problem and the fix."""


class NoSuchTraceError(TraceStoreError):
    def __init__(self, trace_id: str) -> None:
        super().__init__(
            f"trace {trace_id!r}: not in this store; `tutelage traces ls` lists what is"
        )


class AmbiguousTraceError(TraceStoreError):
    def __init__(self, prefix: str, candidates: list[str]) -> None:
        super().__init__(
            f"trace {prefix!r}: several begin like this ({', '.join(candidates)}, ...); "
            "give more of the id"
        )


class Fate(StrEnum):
    """What became of a record that was put: the outcome label of `tutelage_traces_total`.

    Every record put meets exactly one fate, so that exchanges put = stored + dropped. Judgements
    are told under the same names after `judgement_`: a request may have none or several of them.
    """

    STORED = "stored"
    QUEUE_FULL = "dropped:queue_full"  # the store is slower than the traffic
    STORE_FAILED = "dropped:store_failed"  # not to be written, at least not before the shutdown
    UNWRITABLE = "dropped:unwritable"  # this one record cannot be encoded or stored
    DUPLICATE = "dropped:duplicate"  # its trace id is stored already
    CLOSED = "dropped:closed"  # put after the shutdown


class ServedTrace(NamedTuple):
    """Whose answer it was, and to whom: served_by is None where nobody served, caller where nobody
    was asked for a key.
    """

    route: str
    served_by: str | None
    caller: str | None


class TraceWriter(Protocol):
    """Takes records off the request's path."""

    def put(self, record: Exchange | Judgement) -> None:
        """Never waits and never raises: what cannot be kept is counted, with its reason."""

    async def aclose(self) -> None:
        """Everything put so far is stored or counted as dropped."""


class TraceReader(Protocol):
    """Answers questions about what was stored, from any process."""

    def recent(
        self,
        *,
        limit: int,
        since_s: float = 0.0,
        route: str | None = None,
        reason: Reason | None = None,
        served_by: ServedBy | None = None,
    ) -> list[Exchange]:
        """Newest first; `since_s` is unix seconds."""

    def get(self, prefix: str) -> tuple[Exchange, list[Judgement]]:
        """The trace whose id begins like this. Raises NoSuchTraceError, AmbiguousTraceError."""

    def stats(self, *, since_s: float = 0.0) -> list[RouteStats]:
        """The figures of each route, by name; `since_s` is unix seconds."""
