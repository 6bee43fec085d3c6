"""A client that asks a text completion for logprobs reads arrays, whoever wrote them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.completions import parse_completion
from gateway.origin import Origin
from gateway.sse import DONE, SseDecoder

GOLDEN = Path(__file__).parents[1] / "golden"
HERE = Origin("support", "student")
ASKED = b'{"model":"m","prompt":"x","logprobs":3}'
STREAMED = b'{"model":"m","prompt":"x","logprobs":3,"stream":true}'
ARRAYS = {"text_offset", "token_logprobs", "tokens", "top_logprobs"}


def told(name: str) -> dict[str, Any]:
    """A recorded answer, as a client reads it."""
    asked, body = parse_completion(ASKED), (GOLDEN / name).read_bytes()
    shown = asked.shown(body, asked.hear(body, stream=False), HERE)
    assert shown is not None
    found: dict[str, Any] = msgspec.json.decode(shown)
    return found


@pytest.mark.parametrize("engine", ["llamacpp", "vllm-0.32"])
def test_the_arrays_go_with_the_text(engine: str) -> None:
    (choice,) = told(f"{engine}/completions_length.json")["choices"]
    logprobs = choice["logprobs"]

    assert set(logprobs) == ARRAYS
    assert len({len(logprobs[name]) for name in ARRAYS}) == 1
    assert "".join(logprobs["tokens"]) == choice["text"]
    for at, token in zip(logprobs["text_offset"], logprobs["tokens"], strict=True):
        assert choice["text"][at:].startswith(token)
    for token, nats, top in zip(
        logprobs["tokens"], logprobs["token_logprobs"], logprobs["top_logprobs"], strict=True
    ):
        assert top[token] == nats


def test_what_is_in_arrays_already_stays_byte_for_byte() -> None:
    body = (GOLDEN / "vllm-0.32/completions_length.json").read_bytes()
    (raw,) = [choice.logprobs for choice in parse_completion(ASKED).hear(body, stream=False).parts]
    asked = parse_completion(ASKED)

    shown = asked.shown(body, asked.hear(body, stream=False), HERE)

    assert shown is not None
    assert bytes(raw) in shown


def chunk(index: int, token: str) -> bytes:
    content = [{"id": 1, "token": token, "bytes": [97], "logprob": -0.5, "top_logprobs": []}]
    choice = {"text": token, "index": index, "logprobs": {"content": content}}
    return msgspec.json.encode({"choices": [choice]})


def test_in_a_stream_each_choice_goes_on_where_it_was() -> None:
    asked = parse_completion(STREAMED)
    offsets = []
    for index, token in [(0, "ab"), (1, "c"), (0, "d"), (1, "e"), (0, "f")]:
        payload = chunk(index, token)
        shown = asked.shown(payload, asked.hear(payload, stream=True), HERE)
        assert shown is not None
        (choice,) = msgspec.json.decode(shown)["choices"]
        offsets.append((index, choice["logprobs"]["text_offset"]))

    assert offsets == [(0, [0]), (1, [0]), (0, [2]), (1, [1]), (0, [3])]


@pytest.mark.parametrize("engine", ["llamacpp", "vllm-0.32"])
def test_a_recorded_stream_without_the_wish_has_none(engine: str) -> None:
    recorded = (GOLDEN / f"{engine}/completions_stream_length.sse").read_bytes()
    *payloads, done = SseDecoder().feed(recorded)
    asked = parse_completion(STREAMED.replace(b'"logprobs":3,', b""))

    shown = [asked.shown(payload, asked.hear(payload, stream=True), HERE) for payload in payloads]

    assert done == DONE
    told = [msgspec.json.decode(payload) for payload in shown if payload is not None]
    assert len(told) > 2
    assert all(choice["logprobs"] is None for each in told for choice in each["choices"])
