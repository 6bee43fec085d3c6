"""A response reads as OpenAI writes it, whichever engine wrote it."""

from typing import Any

import msgspec
import pytest

from gateway.origin import Origin
from gateway.responses import ResponsesRequest, parse_responses

HERE = Origin("support", "student")
BARE: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
SAID: dict[str, Any] = {
    "temperature": 0.25,
    "instructions": "Be brief.",
    "metadata": {"who": "me"},
    "tools": [{"type": "function", "name": "f"}],
}


def shown(answer: dict[str, Any] | bytes, *, stream: bool = False, **said: Any) -> Any:
    body = {"model": "support", "input": "hello", "stream": stream, **said}
    asked: ResponsesRequest = parse_responses(msgspec.json.encode(body))
    payload = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    return msgspec.json.decode(asked.shown(payload, asked.hear(payload, stream=stream), HERE))


def test_what_an_engine_leaves_out_is_openais_default() -> None:
    told = shown(BARE)

    assert (told["error"], told["store"], told["temperature"]) == (None, True, 1.0)
    assert told["text"] == {"format": {"type": "text"}}
    assert told["reasoning"] == {"effort": None, "summary": None}


def test_what_the_request_said_is_told_again() -> None:
    told = shown(BARE, **SAID)

    assert {name: told[name] for name in SAID if name != "tools"} == {
        name: said for name, said in SAID.items() if name != "tools"
    }
    assert told["tools"] == [
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}
    ]


def test_what_the_engine_says_is_left_as_it_is() -> None:
    told = shown({**BARE, "temperature": 0.5, "service_tier": "auto"}, **SAID)

    assert (told["temperature"], told["service_tier"]) == (0.5, "auto")


@pytest.mark.parametrize("stream", [False, True])
def test_an_engines_own_nulls_are_taken_away(*, stream: bool) -> None:
    text: dict[str, Any] = {"type": "output_text", "text": "x", "annotations": [], "logprobs": None}
    item = {"type": "message", "id": "m", "content": [text], "phase": None}
    whole = {**BARE, "output": [item], "kv_transfer_params": None, "input_messages": None}

    told = shown(
        {"type": "response.completed", "response": whole} if stream else whole, stream=stream
    )

    response = told["response"] if stream else told
    (shown_item,) = response["output"]
    assert shown_item["content"] == [{**text, "logprobs": []}]
    assert "phase" not in shown_item
    assert not {"kv_transfer_params", "input_messages"} & set(response)


@pytest.mark.parametrize(
    ("status", "kind"), [("completed", "completed"), ("incomplete", "incomplete")]
)
def test_a_response_that_a_limit_cut_short_ends_as_incomplete(status: str, kind: str) -> None:
    event = {"type": "response.completed", "response": {**BARE, "status": status}}

    assert shown(event, stream=True)["type"] == f"response.{kind}"


def test_usage_without_details_gets_them() -> None:
    usage = shown({**BARE, "usage": {"input_tokens": 1, "output_tokens": 2}})["usage"]

    assert usage["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def test_details_that_are_there_are_completed() -> None:
    told = {"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 7}}
    usage = shown({**BARE, "usage": told})["usage"]

    assert usage["input_tokens_details"] == {"cached_tokens": 7, "cache_write_tokens": 0}


@pytest.mark.parametrize(
    "strange", [{"tools": 3}, {"tools": ["f"]}, {"usage": []}, {"object": "response.deleted"}]
)
def test_a_response_of_an_unknown_form_stays_as_it_is(strange: dict[str, Any]) -> None:
    answer = {"id": "resp_1~support~student", "object": "response", **strange}

    try:
        told = shown(answer)
    except msgspec.ValidationError:
        return  # then it was no response to begin with, and never gets this far
    assert told == {**answer, "id": HERE.mark(answer["id"])}


def test_numbers_stay_byte_for_byte() -> None:
    body = b'{"id":"r","object":"response","output":[],"temperature":0.90,"created_at":1.0e0}'
    asked = parse_responses(b'{"model":"support","input":"x"}')

    told = asked.shown(body, asked.hear(body, stream=False), HERE)

    assert b'"temperature":0.90' in told
    assert b'"created_at":1.0e0' in told
