"""One request, told downward: read this first.

1. who is calling?                       5. take a slot, freed when the last
2. read the body and parse it               byte left or the client hung up
3. find the route                        6. answer: student, teacher or the cascade
4. plan (pure)                           7. respond, under provenance headers
                                         8. close the record and hand it to the tap
"""

import logging
import math
from collections.abc import Callable

from gateway.cascade import answer
from gateway.deadline import EXPLICIT, HINTS
from gateway.deadline import until_s as waits_until_s
from gateway.errors import ClientLeft, GatewayError, openai_body
from gateway.expected import read_expected
from gateway.http import HeaderLines, Http
from gateway.logs import of_trace
from gateway.record import Record
from gateway.respond import respond
from gateway.services import Services
from gateway.stage import Stage
from gateway.wire import Asked
from router.policy import Mode, plan
from router.trace import Outcome

log = logging.getLogger(__name__)

Parse = Callable[[bytes], Asked]
"""An endpoint's own part: its body, read. Raises BadRequest."""


_PATIENCE = frozenset({EXPLICIT, *HINTS})


class Bug(GatewayError):
    """Something we did not foresee; the client learns the trace id, the log the rest."""


async def journey(http: Http, on: Services, parse: Parse) -> None:
    """`parse` reads the endpoint's own request; all else is the same for every endpoint."""
    try:
        caller = on.callers.identify(http.header(b"authorization"))
        http.refuse_other_than_json()
        body = await http.body()
        laps = on.overhead.laps()
        asked = parse(body)
        if laps is not None:
            laps.lap(Stage.PARSE)
        now_s, until_s = on.clock.monotonic_s(), None
        if http.has_any(_PATIENCE):
            until_s = _client_waits_until(http, now_s, stream=asked.stream)
        route, pin = on.routes.find_for(asked)
        planned = plan(route.mode, pin, generates=asked.generates, judgeable=asked.judgeable)
        if laps is not None:
            laps.lap(Stage.PLAN)
        if not on.admission.take(caller):
            with http.cancelled_by_hang_up():
                await on.admission.wait(caller, math.inf if until_s is None else until_s - now_s)
        if laps is not None:
            laps.lap(Stage.ADMIT)
        try:
            unix_s = on.clock.unix_s()
            trace_id = on.trace_ids.new(unix_s)
            canary = route.canary
            route, planned = (
                canary.draw(route, planned, asked, trace_id) if canary else (route, planned)
            )
            record = Record(
                trace_id=trace_id,
                asked=asked,
                route=route,
                plan=planned,
                caller=caller,
                clock=on.clock,
                started_unix_s=unix_s,
                started_s=now_s,
                until_s=until_s,
                laps=laps,
            )
            if on.tracing is not None:
                record.context = on.tracing.begin(record.trace_id, http)
            await _serve(http, on, record)
        finally:
            on.admission.free(caller)
    except ClientLeft:
        return
    except GatewayError as error:
        on.metrics.refused(error)
        await http.reply(error.status, openai_body(error), _retry_after(error))
    except Exception:
        log.exception("a request failed before it had a trace")
        bug = Bug("an unforeseen error; see the log")
        await http.reply(bug.status, openai_body(bug))


async def _serve(http: Http, on: Services, record: Record) -> None:
    """From here on the request is accepted: whatever happens, one record of it is closed."""
    if record.route.checks and record.plan.mode is Mode.CASCADE:
        record.expected = read_expected(record.asked.fields, on.schemas)
    outcome, trouble = Outcome.FAILED, None
    try:
        with http.cancelled_by_hang_up():
            outcome = await respond(http, record, await answer(record), on.metrics)
    except ClientLeft:
        outcome = Outcome.CLIENT_LEFT
    except GatewayError as error:
        trouble = error
    except Exception:
        log.exception("trace %s failed", record.trace_id, extra=of_trace(record.trace_id))
        trouble = Bug(f"an unforeseen error; see the log for trace {record.trace_id}")
    finally:
        record.close(outcome, trouble)
        on.tap.take(record)
        if on.tracing is not None and record.context is not None:
            on.tracing.closed(record, record.context)
    if trouble is not None and not http.started:
        lines = record.header_lines() + _retry_after(trouble)
        await http.reply(trouble.status, openai_body(trouble), lines)


def _client_waits_until(http: Http, now_s: float, *, stream: bool) -> float | None:
    """Raises BadRequest."""
    hint = next((found for name in HINTS if (found := http.header(name)) is not None), None)
    return waits_until_s(now_s, explicit=http.header(EXPLICIT), hint=hint, stream=stream)


def _retry_after(error: GatewayError) -> HeaderLines:
    if error.retry_after_s is None:
        return b""
    return b"retry-after: %d\r\n" % max(1, math.ceil(error.retry_after_s))
