"""One OpenAI-compatible backend: which replica is asked, for how long, and how often."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway.affinity import Affinity, Fields, affinity_of
from gateway.alarms import Alarms, Limit
from gateway.call import Call
from gateway.clock import Clock
from gateway.config import Timeouts
from gateway.errors import (
    GaveWay,
    NoEndpoint,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnavailable,
)
from gateway.event_stream import EventStream
from gateway.refusal import Refusal, disguised, looks_whole, refusal
from gateway.replicas import NoReplica, Replicas
from gateway.retry import AGAIN, RetryBudget, pause_s
from gateway.slots import Slots, Turn
from gateway.transport import Response, Transport, TransportError
from gateway.visit import Visit

_OK, _TOO_MANY, _BROKEN = 200, 429, 500
_BUSY = frozenset({408, _TOO_MANY})
_TIMEOUT_HEADER = "x-tutelage-timeout-s"
_LEAST_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """Asks the model that the engine knows as `model`.

    What is tried again, and what is not: see `retry`. All attempts of a call share its timeouts.
    """

    name: str
    model: str
    replicas: Replicas
    timeouts: Timeouts
    transport: Transport
    slots: Slots
    alarms: Alarms
    clock: Clock
    retries: int = 1
    queue_s: float = 1.0
    """How long a call may wait for one of the upstream's slots."""
    spare_slots: int = 0
    """What calls off the path leave free for clients."""
    background_priority: int | None = None
    """What calls off the path say of themselves, in the engine's own `priority`."""
    budget: RetryBudget = field(default_factory=RetryBudget)
    headers: dict[str, str] = field(default_factory=dict)
    affinity: Affinity = Affinity.NONE
    jitter: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    is_sticky: bool = field(init=False)
    """Whether there is a choice of replicas that an affinity could make."""

    def __post_init__(self) -> None:
        sticky = self.affinity is not Affinity.NONE and len(self.replicas.all) > 1
        object.__setattr__(self, "is_sticky", sticky)

    @property
    def in_flight(self) -> int:
        return self.slots.in_flight

    def affinity_of(self, fields: Fields) -> bytes | None:
        """A request's `Call.affinity` here; nothing is computed where there is no choice."""
        return affinity_of(self.affinity, fields) if self.is_sticky else None

    async def ask(self, call: Call) -> bytes:
        """A whole answer. Raises UpstreamFailed, UpstreamTimedOut or UpstreamRejected."""
        total_s = limit_s = self.timeouts.total_s
        if call.until_s is not None:
            limit_s = self._left_s(call, total_s)
        if call.background or not self.slots.take(call.caller):
            await self._queue(call)
            limit_s = self._left_s(call, total_s)
        visit = Visit(self.slots, call.caller)
        try:
            with Limit(self.alarms, limit_s):
                response = await self._open(call, visit, limit_s)
                try:
                    body = await response.read()
                except BaseException:
                    response.close()
                    raise
        except TransportError as error:
            visit.failed()
            raise UpstreamCut(self.name, str(error)) from error
        except TimeoutError as error:
            if limit_s < total_s:
                raise self._out_of_patience("no whole answer") from error
            visit.failed()
            problem = f"no whole answer within total_s = {total_s:g}"
            raise UpstreamTimedOut(self.name, problem) from error
        else:
            if not looks_whole(body):
                self._inspect(visit, response, body)
            visit.succeeded()
            return body
        finally:
            visit.end()

    async def stream(self, call: Call) -> EventStream:
        """An answer as it is written; returns once its first event is here, so that until then
        a failure can still become a fallback. Raises as `ask`. Close what is returned.
        """
        first_token_s = self.timeouts.first_token_s
        limit_s = self._left_s(call, first_token_s)
        if call.background or not self.slots.take(call.caller):
            await self._queue(call)
            limit_s = self._left_s(call, first_token_s)
        began_s = self.alarms.time()
        visit = Visit(self.slots, call.caller)
        events = EventStream(self.name, visit, call.ending, self.alarms)
        try:
            with Limit(self.alarms, limit_s):
                await events.begin(await self._open(call, visit, limit_s))
        except TimeoutError as error:
            if limit_s < first_token_s:
                trouble = self._out_of_patience("no first token")
            else:
                visit.failed()
                problem = f"no first token within first_token_s = {first_token_s:g}"
                trouble = UpstreamTimedOut(self.name, problem)
            events.close()
            raise trouble from error
        except BaseException:
            events.close()
            raise
        visit.succeeded()
        self._watch(events, call, began_s)
        return events

    def _watch(self, events: EventStream, call: Call, began_s: float) -> None:
        total_s, limit = self.timeouts.total_s, f"total_s = {self.timeouts.total_s:g} is over"
        ends_at_s = began_s + total_s
        if call.until_s is not None:
            deadline_s = self.alarms.time() + call.until_s - self.clock.monotonic_s()
            if deadline_s < ends_at_s:
                ends_at_s, limit = deadline_s, "the client's deadline has passed"
        events.watch(idle_s=self.timeouts.idle_s, ends_at_s=ends_at_s, limit=limit)

    def _left_s(self, call: Call, most_s: float) -> float:
        """How long the call may take: `most_s`, or what is left of the client's patience."""
        if call.until_s is None:
            return most_s
        left_s = call.until_s - self.clock.monotonic_s()
        if left_s <= 0.0:
            raise UpstreamTimedOut(self.name, "not asked: the client's deadline has passed")
        return min(left_s, most_s)

    def _out_of_patience(self, missed: str) -> UpstreamTimedOut:
        """Not the replica's failure: it had less time than its own."""
        return UpstreamTimedOut(self.name, f"{missed} before the client's deadline")

    def _inspect(self, visit: Visit, response: Response, body: bytes) -> None:
        """Raise what a whole answer with status 200 is, if it is not one."""
        if (trouble := disguised(self.name, response.headers, body)) is not None:
            if isinstance(trouble, UpstreamFailed):
                visit.failed()
            raise trouble

    async def _queue(self, call: Call) -> None:
        """Wait for a slot. What runs off the path does not wait, and leaves some slots free."""
        if call.background:
            if self.slots.take(call.caller, spare=self.spare_slots):
                return
            raise GaveWay(self.name, "too busy for calls off the path")
        wait_s = self._left_s(call, self.queue_s)
        if await self.slots.wait(call.caller, wait_s) is not Turn.YOURS:
            raise UpstreamUnavailable(
                self.name,
                f"{self.in_flight} calls are in flight (max_in_flight), and none of them ended "
                f"within {wait_s:.3g} s",
                retry_after_s=_LEAST_RETRY_AFTER_S,
            )

    async def _open(self, call: Call, visit: Visit, limit_s: float) -> Response:
        """An answer with status 200, after as many attempts as are safe and affordable."""
        if self.budget.saved < self.budget.burst:
            self.budget.earn()
        headers = self.headers if call.trace is None else {**self.headers, **call.trace}
        if call.until_s is not None and limit_s < self.timeouts.total_s:
            headers = {**headers, _TIMEOUT_HEADER: f"{limit_s:.3f}"}
        ends_at_s = self.alarms.time() + limit_s
        attempt = 0
        turned: _Turned | None = None
        while True:
            try:
                replica = visit.go_to(self.replicas, call)
            except NoReplica as none:
                raise self._nobody(none) if turned is None else turned.trouble from none
            try:
                response = await self.transport.post(replica.urls[call.path], headers, call.body)
            except TransportError as error:
                visit.failed()
                turned = _Turned(UpstreamFailed(self.name, str(error)), again=error.safe)
                turned.trouble.__cause__ = error
            else:
                if response.status == _OK:
                    return response
                turned = await self._turned(response, visit)
            pause = self._pause_s(turned, visit, attempt)
            if pause is None or self.alarms.time() + pause >= ends_at_s or not self.budget.spend():
                raise turned.trouble
            await self.sleep(pause)
            attempt += 1

    async def _turned(self, response: Response, visit: Visit) -> "_Turned":
        """What the engine's refusal means, told to its circuit breaker too."""
        status = response.status
        try:
            body = await response.read()
        except TransportError as error:
            body = str(error).encode()
        finally:
            response.close()
        trouble = refusal(self.name, status, response.headers, body, now_unix_s=self.clock.unix_s())
        about_the_request = (
            isinstance(trouble, UpstreamRejected | NoEndpoint) and status != _TOO_MANY
        )
        if not about_the_request and (status >= _BROKEN or status in _BUSY):
            visit.failed()
        else:
            visit.succeeded()
        return _Turned(trouble, again=status in AGAIN)

    def _pause_s(self, turned: "_Turned", visit: Visit, attempt: int) -> float | None:
        """How long before the next attempt; None: there is none."""
        if not turned.again or attempt >= self.retries:
            return None
        elsewhere = self.replicas.another_than(visit.replica)
        told_s = turned.trouble.retry_after_s
        if turned.trouble.status == _TOO_MANY and told_s is None and not elsewhere:
            return None
        return pause_s(attempt, self.jitter(), told_s=told_s, elsewhere=elsewhere)

    def _nobody(self, none: NoReplica) -> UpstreamUnavailable:
        later_s = max(none.probe_in_s, _LEAST_RETRY_AFTER_S)
        return UpstreamUnavailable(self.name, str(none), retry_after_s=later_s)


@dataclass(frozen=True, slots=True)
class _Turned:
    """An attempt that brought no answer; `again`: whether it is safe to make another."""

    trouble: Refusal
    again: bool
