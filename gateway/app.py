"""The composition root: the only place where concrete things are made."""

import asyncio
import itertools
import math
import random
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from gateway import config
from gateway.admission import Admission
from gateway.alarms import Alarms
from gateway.background import Background
from gateway.breaker import Breaker, BreakerRule
from gateway.callers import Anyone, Callers
from gateway.clock import Clock, SystemClock
from gateway.errors import BadRequest, GatewayError, NoSuchPath, openai_body
from gateway.feedback import FindTrace
from gateway.front import FrontApp
from gateway.health import Health
from gateway.judging import Judging
from gateway.metrics import Metrics
from gateway.openapi import DescribedApp
from gateway.overhead import Overhead
from gateway.release_arms import ReleaseArms
from gateway.replicas import Replica, Replicas
from gateway.retry import RetryBudget
from gateway.route import Route, RouteTable
from gateway.routes import mount
from gateway.schemas import Schemas
from gateway.services import Services
from gateway.shadow import Shadow
from gateway.slots import Slots
from gateway.tap import Tap
from gateway.trace_ids import TraceIds
from gateway.traces.store import TraceWriter
from gateway.tracing.settings import Otel
from gateway.tracing.tracing import Tracing
from gateway.transports import transport_for
from gateway.upstream import Upstream
from gateway.verify_pair import VerifyPair
from router.collapse import CollapseRule
from router.cost import Price

_METHOD_NOT_ALLOWED = 405


@asynccontextmanager
async def open_services(
    settings: config.Settings,
    traces: TraceWriter,
    *,
    callers: Callers,
    metrics: Metrics,
    secrets: Mapping[str, SecretStr],
    find_trace: FindTrace,
    clock: Clock | None = None,
) -> AsyncIterator[Services]:
    """Everything a request needs. On the way out: shadow work is waited for, then connections
    close. `traces` stays open: it belongs to the caller. `find_trace`: looks into the store.
    """
    clock = clock or SystemClock()
    alarms = Alarms(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        upstreams = {
            name: _upstream(name, section, secrets.get(name), alarms=alarms, clock=clock)
            for name, section in settings.upstreams.items()
        }
        connected = {name: [upstream] for name, upstream in upstreams.items()}
        stack.push_async_callback(_close, connected)
        tracing = _tracing(settings.otel, stack)
        background = Background()
        stack.push_async_callback(background.drain, settings.server.drain_s)
        configured = [_route(name, upstreams, settings, clock) for name in settings.routes]
        routes = RouteTable(configured)
        for upstream in upstreams.values():
            metrics.watch_in_flight(upstream.name, partial(_in_flight, connected[upstream.name]))
            metrics.watch_state(upstream.name, partial(_state, routes, upstream))

        def connect(name: str, base_url: str, model: str) -> Upstream:
            """The engine of a release, in place of the config's."""
            section = settings.upstreams[name].model_copy(
                update={"base_url": base_url, "model": model}
            )
            made = _upstream(name, section, secrets.get(name), alarms=alarms, clock=clock)
            connected[name].append(made)
            return made

        judging = Judging(traces, metrics, clock)
        shadow = Shadow(
            background=background,
            judging=judging,
            metrics=metrics,
            clock=clock,
            tracing=tracing,
        )
        yield Services(
            routes=routes,
            arms=ReleaseArms(configured, connect),
            callers=callers,
            admission=_admission(settings.server, alarms),
            tap=Tap(traces, metrics, shadow, judging),
            metrics=metrics,
            overhead=Overhead(metrics.took, clock),
            health=Health(routes, upstreams, clock),
            background=background,
            trace_ids=TraceIds(),
            find_trace=find_trace,
            schemas=Schemas(on_unusable=metrics.schema_unusable),
            clock=clock,
            max_body_bytes=settings.server.max_body_bytes,
            tracing=tracing,
        )


def make_app(on: Services) -> FrontApp:
    app = DescribedApp(
        title="tutelage",
        version=version("tutelage"),
        models=on.routes.models,
        keyed=not isinstance(on.callers, Anyone),
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(GatewayError, _openai_error)
    app.add_exception_handler(HTTPException, _openai_error)
    app.add_exception_handler(RequestValidationError, _openai_error)
    mount(app, on)
    return app


def _tracing(settings: Otel, stack: AsyncExitStack) -> Tracing | None:
    if settings.endpoint is None:
        return None
    from gateway.tracing.otlp import open_tracer  # noqa: PLC0415 - needs an extra

    tracer = open_tracer(settings, settings.endpoint)
    stack.push_async_callback(asyncio.to_thread, tracer.close)
    return tracer


def _admission(server: config.Server, alarms: Alarms) -> Admission:
    return Admission(
        server.max_in_flight,
        max_queued=server.max_queued,
        queue_s=server.queue_s,
        caller_share=server.caller_share,
        timers=alarms,
    )


def _upstream(
    name: str, section: config.Upstream, key: SecretStr | None, *, alarms: Alarms, clock: Clock
) -> Upstream:
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key.get_secret_value()}"
    rule = BreakerRule(**section.breaker.model_dump())
    return Upstream(
        name=name,
        model=section.model,
        replicas=Replicas(
            [
                Replica(url, Breaker(rule, now_s=clock.monotonic_s, jitter=random.random))
                for url in section.replicas
            ]
        ),
        timeouts=section.timeouts,
        transport=transport_for(
            section.replicas,
            connect_s=section.timeouts.connect_s,
            max_connections=section.max_in_flight,
        ),
        # Clients are bounded by admission, so nothing more bounds how many of them wait here.
        slots=Slots(section.max_in_flight, timers=alarms, most_waiting=sys.maxsize),
        spare_slots=math.ceil(section.max_in_flight / 10) if section.max_in_flight > 1 else 0,
        background_priority=section.background_priority,
        alarms=alarms,
        clock=clock,
        retries=section.retries,
        queue_s=section.queue_s,
        budget=RetryBudget(share=section.retry_share),
        headers=headers,
        affinity=section.affinity,
    )


def _in_flight(upstreams: Sequence[Upstream]) -> float:
    return sum(upstream.in_flight for upstream in upstreams)


def _state(routes: RouteTable, configured: Upstream) -> float:
    """The worst of those that serve under the name now."""
    serving = [each.replicas.circuit() for each in routes.in_force(configured.name)]
    return max(serving) if serving else configured.replicas.circuit()


async def _close(connected: Mapping[str, Sequence[Upstream]]) -> None:
    for upstream in itertools.chain.from_iterable(connected.values()):
        await upstream.transport.aclose()


def _route(
    name: str, upstreams: Mapping[str, Upstream], settings: config.Settings, clock: Clock
) -> Route:
    section = settings.routes[name]
    student, teacher = settings.upstreams[section.student], settings.upstreams[section.teacher]
    return Route(
        name=name,
        mode=section.mode,
        student=upstreams[section.student],
        teacher=upstreams[section.teacher],
        student_price=_price(student.price),
        teacher_price=_price(teacher.price),
        signal=section.gate.signal,
        threshold=section.gate.threshold,
        window_tokens=section.gate.window_tokens,
        label=section.label,
        release=section.release,
        checks=section.checks,
        comparators=section.compare,
        json_rule=section.compare_json.made(),
        shadow_rate=section.shadow.rate,
        shadow_max_in_flight=section.shadow.max_in_flight,
        shadow_sampler=section.shadow.sampler,
        shadow_floor=section.shadow.floor,
        verify=_verify_pair(section, upstreams, clock) if section.reads else None,
    )


def _verify_pair(
    section: config.Route, upstreams: Mapping[str, Upstream], clock: Clock
) -> VerifyPair:
    student, teacher, wish = upstreams[section.student], upstreams[section.teacher], section.verify
    takes_over = section.on_collapse == "takeover"
    return VerifyPair(
        student,
        teacher,
        wish.made(),
        wish.top_logprobs,
        clock,
        deferrals=section.fallback == "verify",
        shadows=section.shadow.method == "verify",
        collapse=CollapseRule(**section.collapse.model_dump()) if takes_over else None,
    )


def _price(section: config.Price) -> Price:
    return Price(section.input_usd_per_mtok, section.output_usd_per_mtok)


async def _openai_error(request: Request, error: Exception) -> Response:
    """Errors of the cold routes; the hot ones render their own."""
    headers: Mapping[str, str] | None = None
    match error:
        case GatewayError():
            found = error
        case HTTPException():
            found = NoSuchPath(error.status_code, str(error.detail))
            if found.status == _METHOD_NOT_ALLOWED:
                headers = {"allow": ", ".join(request.app.methods_at(request.url.path))}
        case RequestValidationError():
            first = error.errors()[0]
            found = BadRequest(".".join(map(str, first["loc"][1:])), first["msg"])
        case _:
            raise error
    body = openai_body(found)
    return Response(body, found.status, headers=headers, media_type="application/json")
