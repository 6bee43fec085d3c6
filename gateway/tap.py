"""Hands a finished request on to traces, metrics and shadow. It never waits."""

from dataclasses import dataclass

from gateway.judging import Judging
from gateway.metrics import Metrics
from gateway.record import Record
from gateway.shadow import Shadow
from gateway.traces.store import TraceWriter
from router.trace import Judge


@dataclass(frozen=True, slots=True)
class Tap:
    traces: TraceWriter
    metrics: Metrics
    shadow: Shadow
    judging: Judging

    def take(self, record: Record) -> None:
        """The record is closed. A deferral whose draft was heard to its end is judged at once:
        both answers are here already, at no further cost.
        """
        pair = None
        if record.student is not None and record.teacher is not None:
            pair = record.complete_pair()
        if pair is not None:
            record.propensity = 1.0
        elif record.route.shadow_rate > 0.0 and not record.loosely_verified:
            self.shadow.offer(record)
        self.traces.put(record.exchange())
        self.metrics.closed(record)
        if record.verification is not None:
            self.judging.read(record, record.verification)
        if pair is not None:
            self.judging.compare(record, *pair, by=Judge.FALLBACK, propensity=1.0)
