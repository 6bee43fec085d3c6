"""Requests through a gateway, and their spans as a real OTLP receiver got them."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from pydantic import ValidationError

from gateway.tracing.settings import Otel
from serving.scripts import Say
from serving.scripts import Status as Answers
from tests.gateway.tracing.collector import Collector, attributes, grpc_collector, http_collector
from tests.journeys.rig import UNSURE, rig
from tests.journeys.test_verification import verifying

pytestmark = pytest.mark.anyio

CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"


def otel(collector: Collector, **more: Any) -> dict[str, Any]:
    return {"endpoint": collector.endpoint, "ratio": 1.0, **more}


async def test_a_request_its_call_and_its_gate_are_one_trace_with_the_requests_own_id() -> None:
    with http_collector() as collector:
        async with rig(otel=otel(collector)) as on:
            on.student.script(Say("4", "1"))
            answer = await on.ask()
            usage = (await on.traces.said_by_student()).usage

    request = collector.named("POST /v1/chat/completions")
    call, gate = collector.named("chat student"), collector.named("gate")
    assert len(collector.spans) == 3
    own = UUID(answer.headers["x-tutelage-trace-id"])
    assert {span.trace_id for span in collector.spans} == {own.bytes}
    assert (request.parent_span_id, request.kind) == (b"", Span.SPAN_KIND_SERVER)
    assert (call.parent_span_id, call.kind) == (request.span_id, Span.SPAN_KIND_CLIENT)
    assert (gate.parent_span_id, gate.kind) == (request.span_id, Span.SPAN_KIND_INTERNAL)
    assert (
        request.start_time_unix_nano
        <= call.start_time_unix_nano
        <= gate.start_time_unix_nano
        <= gate.end_time_unix_nano
        <= request.end_time_unix_nano
    )
    told = attributes(request.attributes)
    assert told["tutelage.route"] == told["gen_ai.request.model"] == "support"
    assert (told["tutelage.served_by"], told["tutelage.reason"]) == ("student", "confident")
    assert (told["http.response.status_code"], told["tutelage.trace_id"]) == (200, str(own))
    asked = attributes(call.attributes)
    assert (asked["gen_ai.operation.name"], asked["gen_ai.provider.name"]) == ("chat", "openai")
    assert (asked["gen_ai.request.model"], asked["tutelage.role"]) == ("student", "student")
    assert usage is not None
    assert asked["gen_ai.usage.output_tokens"] == usage.completion_tokens
    assert asked["gen_ai.response.finish_reasons"] == ["stop"]
    assert asked["server.address"] == "127.0.0.1"
    assert attributes(gate.attributes)["tutelage.confidence"] == pytest.approx(0.99, abs=0.01)
    assert collector.resource["service.name"] == "tutelage"


async def test_no_word_of_a_prompt_or_an_answer_is_in_a_span() -> None:
    with http_collector() as collector:
        async with rig(otel=otel(collector)) as on:
            on.student.script(Say("secret-answer"))
            await on.ask(messages=[{"role": "user", "content": "secret-question"}])
            await on.traces.exchange()

    assert collector.spans
    assert not any(b"secret" in each.SerializeToString() for each in collector.requests)


@pytest.mark.parametrize("receiver", [http_collector, grpc_collector])
async def test_a_streamed_fallback_has_both_calls_and_tells_its_first_token(
    receiver: Callable[[], AbstractContextManager[Collector]],
) -> None:
    protocol = "grpc" if receiver is grpc_collector else "http"
    with receiver() as collector:
        wish = otel(collector, protocol=protocol, conventions="1.36")
        async with rig(otel=wish, route={"gate": {"window_tokens": 2}}) as on:
            on.student.script(Say("no", " idea", " at", " all", logprob=UNSURE))
            on.teacher.script(Say("4", "2"))
            await on.events()
            await on.traces.exchange()

    draft, call = collector.named("chat student"), collector.named("chat teacher")
    assert draft.end_time_unix_nano <= call.start_time_unix_nano
    assert attributes(draft.attributes)["tutelage.complete"] is False
    assert [event.name for event in call.events] == ["tutelage.first_token"]
    assert attributes(call.attributes)["gen_ai.system"] == "openai", "as up to 1.36"
    request = attributes(collector.named("POST /v1/chat/completions").attributes)
    assert request["tutelage.reason"] == "low_confidence"


async def test_a_clients_trace_goes_on_through_us_to_the_engine() -> None:
    with http_collector() as collector:
        async with rig(otel=otel(collector, ratio=0.0)) as on:
            headers = {"traceparent": CLIENTS.format(flags="01"), "tracestate": "vendor=1"}
            body = {"model": "support", "messages": [{"role": "user", "content": "x"}]}
            await on.http.post("/v1/chat/completions", json=body, headers=headers)
            await on.traces.exchange()
            heard = on.student.requests[0].headers

    request, call = collector.named("POST /v1/chat/completions"), collector.named("chat student")
    assert request.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert heard["traceparent"] == f"00-{call.trace_id.hex()}-{call.span_id.hex()}-01"
    assert heard["tracestate"] == "vendor=1"


async def test_a_client_that_does_not_sample_is_followed_unless_something_went_wrong() -> None:
    with http_collector() as collector:
        async with rig(otel=otel(collector)) as on:
            headers = {"traceparent": CLIENTS.format(flags="00")}
            body = {"model": "support", "messages": [{"role": "user", "content": "x"}]}
            on.student.script(Say("4"), Say("?", logprob=UNSURE))
            for number in (1, 2):
                await on.http.post("/v1/chat/completions", json=body, headers=headers)
                await on.traces.exchange(number)

    request = collector.named("POST /v1/chat/completions")
    assert attributes(request.attributes)["tutelage.reason"] == "low_confidence"


async def test_errors_fallbacks_and_slow_ones_are_kept_whatever_the_ratio() -> None:
    with http_collector() as collector:
        async with rig(otel=otel(collector, ratio=0.0)) as on:
            on.student.script(Say("4"), Answers(500))
            on.teacher.script(Answers(500))
            await on.ask()
            await on.ask()
            await on.traces.exchange(2)

    request, call = collector.named("POST /v1/chat/completions"), collector.named("chat teacher")
    assert (request.status.code, call.status.code) == (Status.STATUS_CODE_ERROR,) * 2
    assert attributes(request.attributes)["error.type"] == "502"
    assert attributes(call.attributes)["error.type"] == "UpstreamFailed"
    with http_collector() as collector:
        async with rig(otel=otel(collector, ratio=0.0, slow_s=1e-9)) as on:
            await on.ask()
            await on.traces.exchange()
    assert len(collector.spans) == 3


async def test_a_shadow_is_in_a_trace_of_its_own_and_linked_to_the_request() -> None:
    with http_collector() as collector:
        async with rig(otel=otel(collector), route={"shadow": {"rate": 1.0}}) as on:
            await on.ask()
            await on.traces.judgement()

    request, shadow = (
        collector.named("POST /v1/chat/completions"),
        collector.named("shadow teacher"),
    )
    assert shadow.trace_id != request.trace_id
    assert shadow.parent_span_id == b""
    (link,) = shadow.links
    assert (link.trace_id, link.span_id) == (request.trace_id, request.span_id)


async def test_a_collector_that_is_away_costs_spans_and_nothing_else() -> None:
    async with rig(otel={"endpoint": "http://127.0.0.1:9", "ratio": 1.0}) as on:
        answer = await on.ask()
        await on.traces.exchange()

    assert answer.status_code == 200


async def test_without_a_collector_no_call_says_of_a_trace() -> None:
    async with rig() as on:
        await on.ask()

        assert "traceparent" not in on.student.requests[0].headers


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"endpoint": "collector:4318"}, "must start with http:// or https://"),
        ({"ratio": 1.5}, "less than or equal to 1"),
        ({"conventions": "1.20"}, "'latest' or '1.36'"),
        ({"sampler": "all"}, "Extra inputs"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(section: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Otel.model_validate(section)


def test_without_the_exporters_the_section_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)

    with pytest.raises(ValidationError, match="pip install 'tutelage\\[otel\\]'"):
        Otel(endpoint="http://127.0.0.1:4318")
    assert Otel().endpoint is None


async def test_a_verification_is_a_span_and_its_calls_are_in_the_requests_trace() -> None:
    with http_collector() as collector:
        async with verifying(otel=otel(collector)) as on:
            on.student.script(Say("The", " answer", logprob=UNSURE))
            on.teacher.script(Say("The", " answer"))
            answer = await on.ask(temperature=0)
            await on.traces.exchange()
            heard = on.teacher.requests[0].headers["traceparent"]

    own = UUID(answer.headers["x-tutelage-trace-id"])
    assert answer.headers["x-tutelage-reason"] == "verified"
    (span,) = [
        each
        for each in collector.spans
        if each.name == "verification" and each.trace_id == own.bytes
    ]
    assert attributes(span.attributes)["tutelage.verification.outcome"] == "kept"
    assert heard.split("-")[1] == own.hex
