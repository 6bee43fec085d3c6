"""A sampled request is also answered by the model that did not serve it, off the path.

Bounded, counted, never waited for; the two answers are compared and the result is traced.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import msgspec

from gateway.background import Background
from gateway.call import Call
from gateway.clock import Clock
from gateway.errors import GaveWay, UpstreamFailed, UpstreamRejected
from gateway.judging import Judging
from gateway.metrics import Metrics
from gateway.record import Record
from gateway.route import Role
from gateway.tracing.tracing import Tracing
from gateway.transcript import Transcript
from gateway.upstream import Upstream
from gateway.verify_shadow import reads_as_its_own
from gateway.wire import Asked, as_json, read_fields
from router.sampling import is_sampled, propensity_of
from router.trace import Judge, Outcome


class Fate(StrEnum):
    """What became of a sampled request: the outcome label of `tutelage_shadow_total`."""

    COMPARED = "compared"
    FAILED = "failed"
    SHED = "shed"  # not asked: clients needed the room


class Shadow:
    def __init__(
        self,
        *,
        background: Background,
        judging: Judging,
        metrics: Metrics,
        clock: Clock,
        tracing: Tracing | None = None,
    ) -> None:
        self._background = background
        self._judging = judging
        self._metrics = metrics
        self._clock = clock
        self._tracing = tracing
        self._in_flight: Counter[str] = Counter()

    def offer(self, record: Record) -> None:
        """Sample a closed record; notes the propensity in it. Returns at once.

        Pinned requests are left out: no gate ruled on them, so they tell nothing about its rulings.
        """
        route = record.route
        if record.outcome is not Outcome.SERVED or route.shadow_rate <= 0:
            return
        if record.plan.pinned or not record.asked.judgeable:
            return
        record.propensity = drawn = propensity_of(
            route.shadow_sampler,
            record.confidence,
            threshold=route.threshold,
            rate=route.shadow_rate,
            floor=route.shadow_floor,
        )
        if not is_sampled(record.trace_id, drawn, salt=route.name):
            return
        if self._in_flight[route.name] >= route.shadow_max_in_flight:
            self._without_pair(record, Fate.SHED, "as many as shadow.max_in_flight are under way")
            return
        self._in_flight[route.name] += 1
        self._background.spawn(self._ask_other(record), name=f"shadow {record.trace_id}")

    async def _ask_other(self, record: Record) -> None:
        route = record.route
        served = record.served()
        try:
            if served is None or record.served_by is None or served.compared is None:
                self._without_pair(record, Fate.FAILED, "what was served has nothing to compare")
                return
            pair = route.verify if record.served_by is Role.STUDENT else None
            if pair is not None and await reads_as_its_own(record, pair, self._judging):
                self._compared(record, served, served)
                return
            asked, upstream = record.asked, route.upstream(record.served_by.other)
            other = Transcript(asked, upstream, self._clock, self._clock.monotonic_s())
            with self._traced(record, record.served_by.other, other):
                call = Call(asked.path, _body(asked, upstream), background=True)
                other.hear(await upstream.ask(call), stream=False)
            both = (served, other) if served is record.student else (other, served)
            self._compared(record, *both)
        except GaveWay as busy:
            self._without_pair(record, Fate.SHED, str(busy))
        except (UpstreamFailed, UpstreamRejected) as trouble:
            self._without_pair(record, Fate.FAILED, str(trouble))
        except asyncio.CancelledError:
            self._without_pair(record, Fate.FAILED, "cut short by the shutdown")
            raise
        finally:
            self._in_flight[route.name] -= 1

    @contextmanager
    def _traced(self, record: Record, role: Role, other: Transcript) -> Iterator[None]:
        """The call as a span, where spans are made."""
        if self._tracing is None or record.context is None:
            yield
            return
        other.span_id = record.context.new_id()
        try:
            yield
        except (UpstreamFailed, UpstreamRejected) as error:
            other.ended(complete=False, error=error)
            raise
        else:
            other.ended(complete=True)
        finally:
            self._tracing.shadowed(record, role, other)

    def _compared(self, record: Record, student: Transcript, teacher: Transcript) -> None:
        drawn = _drawn(record)
        self._judging.compare(record, student, teacher, by=Judge.SHADOW, propensity=drawn)
        self._metrics.shadowed(record.route.name, Fate.COMPARED)

    def _without_pair(self, record: Record, fate: Fate, why: str) -> None:
        """Counted, and kept in the trace: an estimate from the pairs must say what it misses."""
        self._metrics.shadowed(record.route.name, fate)
        self._judging.none(record, fate, why, by=Judge.SHADOW, propensity=_drawn(record))


def _drawn(record: Record) -> float:
    """The propensity that `offer` has noted."""
    return record.propensity if record.propensity is not None else record.route.shadow_rate


def _body(asked: Asked, upstream: Upstream) -> bytes:
    """Whole, and with a priority of its own: the client's is for the answer that it waits for."""
    fields = read_fields(asked.body_for(upstream.model, stream=False))
    fields.pop("priority", None)
    if upstream.background_priority is not None:
        fields["priority"] = as_json(upstream.background_priority)
    return msgspec.json.encode(fields)
