"""Two answers to one request become judgements: traced, and counted."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.metrics import Metrics
from gateway.record import Record
from gateway.traces.store import TraceWriter
from gateway.transcript import Transcript
from gateway.verifying import Verifying
from router.divergence import compare
from router.trace import Judge, Judgement


@dataclass(frozen=True, slots=True)
class Judging:
    traces: TraceWriter
    metrics: Metrics
    clock: Clock

    def compare(
        self,
        record: Record,
        student: Transcript,
        teacher: Transcript,
        *,
        by: Judge,
        propensity: float,
    ) -> None:
        """One judgement for each of the route's comparators."""
        route = record.route
        for comparator in route.comparators:
            found = compare(
                comparator,
                student.compared or "",
                teacher.compared or "",
                label=route.label,
                json_rule=route.json_rule,
            )
            self.metrics.compared(route.name, comparator, found.agreement, route.release)
            self.traces.put(
                Judgement(
                    trace_id=record.trace_id,
                    by=by,
                    comparator=comparator.value,
                    agreement=found.agreement,
                    detail=found.detail,
                    propensity=propensity,
                    ts=self.clock.unix_s(),
                )
            )

    def read(self, record: Record, verification: Verifying) -> None:
        """The share of the student's tokens, up to the first that did not stand."""
        drafted = len(verification.readings)
        if not drafted:
            return
        self.traces.put(
            Judgement(
                trace_id=record.trace_id,
                by=Judge.VERIFICATION,
                comparator="tokens",
                agreement=verification.agreed / drafted,
                detail=f"{verification.rule}: {verification.agreed} of {drafted}",
                propensity=1.0,
                ts=self.clock.unix_s(),
            )
        )

    def none(self, record: Record, fate: str, why: str, *, by: Judge, propensity: float) -> None:
        """There is no pair, although there should have been: `fate` stands for the comparator."""
        self.traces.put(
            Judgement(
                trace_id=record.trace_id,
                by=by,
                comparator=fate,
                agreement=None,
                detail=why,
                propensity=propensity,
                ts=self.clock.unix_s(),
            )
        )
