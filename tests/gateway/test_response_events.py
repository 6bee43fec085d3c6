"""The events of a streamed response say where they belong, whichever engine wrote them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.errors import UpstreamCut
from gateway.origin import Origin
from gateway.responses import ResponsesRequest, parse_responses
from gateway.sse import SseDecoder

GOLDEN = Path(__file__).parent.parent / "golden"
HERE = Origin("support", "student")


def asked(**more: object) -> ResponsesRequest:
    body = {"model": "support", "input": "hello", "stream": True, **more}
    return parse_responses(msgspec.json.encode(body))


def told(request: ResponsesRequest, payloads: list[bytes]) -> list[Any]:
    shown = [request.shown(each, request.hear(each, stream=True), HERE) for each in payloads]
    return [msgspec.json.decode(each) for each in shown]


def recorded(name: str) -> list[bytes]:
    return SseDecoder().feed((GOLDEN / name).read_bytes())


@pytest.mark.parametrize("ending", ["stop", "length"])
def test_llamacpps_events_are_numbered(ending: str) -> None:
    events = told(asked(), recorded(f"llamacpp/responses_stream_{ending}.sse"))

    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    inside = [event for event in events if "item_id" in event or "item" in event]
    assert len(inside) > 8
    assert {event["output_index"] for event in inside} == {0}
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert {(event["content_index"], *event["logprobs"]) for event in deltas} == {(0,)}


def test_an_end_at_the_limit_is_told_as_one() -> None:
    payloads = recorded("llamacpp/responses_stream_length.sse")
    used = msgspec.json.decode(payloads[-1])["response"]["usage"]["output_tokens"]

    *_, cut = told(asked(max_output_tokens=used), payloads)
    *_, whole = told(asked(max_output_tokens=used + 1), payloads)

    assert (cut["type"], cut["response"]["status"]) == ("response.incomplete", "incomplete")
    assert cut["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert (whole["type"], whole["response"]["status"]) == ("response.completed", "completed")


def test_items_are_counted_in_the_order_in_which_they_come() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    call = {"type": "function_call", "call_id": "fc_1", "name": "f", "arguments": ""}
    events = [
        {"type": "response.output_item.added", "item": thought},
        {"type": "response.output_item.done", "item": thought},
        {"type": "response.output_item.added", "item": call},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": "{}"},
        {"type": "response.output_item.done", "item": call},
    ]

    shown = told(asked(), [msgspec.json.encode(event) for event in events])

    assert [event["output_index"] for event in shown] == [0, 0, 1, 1, 1]
    assert shown[2]["item"]["id"] == "fc_1"


def test_an_engines_own_numbers_are_kept_and_gone_on_from() -> None:
    request = asked()
    event = {"type": "response.output_text.delta", "sequence_number": 7, "delta": "x"}
    payload = msgspec.json.encode(event)

    assert request.shown(payload, request.hear(payload, stream=True), HERE) == payload
    (error,) = SseDecoder().feed(request.failed(UpstreamCut("student", "broke")))
    assert msgspec.json.decode(error)["sequence_number"] == 8
