"""Golden transcripts of real engines, and the splicing of requests."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.chat import ChatReply, ChatRequest, parse_chat, parse_reply
from gateway.errors import BadRequest
from gateway.origin import Origin
from gateway.sse import DONE, SseDecoder

GOLDEN = Path(__file__).parent.parent / "golden"
ENGINES = ["vllm-0.32", "llamacpp"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


EXTRAS = {
    "stop_reason", "token_ids", "routed_experts", "prompt_logprobs", "prompt_token_ids",
    "prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics", "reasoning",
    "function_call", "service_tier", "prompt_tokens_details", "completion_tokens_details",
}  # fmt: skip


def as_openai_has_it(value: Any, *, opening: bool = False) -> Any:
    """Without the nulls that vLLM writes for fields of its own and llama.cpp's timings; with what
    llama.cpp leaves out of a message.
    """
    if isinstance(value, list):
        return [as_openai_has_it(each, opening=opening) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: as_openai_has_it(each, opening=opening)
        for key, each in value.items()
        if key != "timings" and not (each is None and key in EXTRAS)
    }
    if "message" in kept:
        kept.setdefault("logprobs", None)
    if kept.get("role") == "assistant" and not opening:
        kept = {"refusal": None, **kept}
    if "annotations" in kept and kept["annotations"] is None:
        kept["annotations"] = []
    if opening and kept == {"role": "assistant", "content": None}:
        kept["content"] = ""
    return kept


HERE = Origin("support", "student")


def for_client(asked: ChatRequest, payload: bytes, reply: ChatReply) -> bytes | None:
    return asked.shown(payload, reply, HERE)


def ask(**more: object) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user"}], **more})


@pytest.mark.parametrize("engine", ENGINES)
def test_logprobs_of_a_recorded_answer_are_read(engine: str) -> None:
    (choice,) = parse_reply(golden(f"{engine}/chat_logprobs_length.json")).parts

    tokens = choice.tokens()
    assert len(tokens) > 3
    assert all(nats <= 0 for _, nats in tokens)
    assert choice.message is not None
    assert choice.message.words is not None
    text = b"".join(token for token, _ in tokens)
    assert text.removesuffix(b"<|im_end|>") == choice.message.words.encode()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recorded_answer_without_its_logprobs_is_otherwise_the_same(engine: str) -> None:
    body = golden(f"{engine}/chat_logprobs_length.json")

    stripped = for_client(parse_chat(ask()), body, parse_reply(body))

    assert stripped is not None
    expected = as_openai_has_it(msgspec.json.decode(body))
    expected["choices"][0]["logprobs"] = None
    assert msgspec.json.decode(stripped) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_a_recorded_stream_is_read_to_its_end_and_keeps_what_the_client_asked_for(
    engine: str,
) -> None:
    *payloads, done = SseDecoder().feed(golden(f"{engine}/chat_stream_length.sse"))
    wishes = parse_chat(ask(stream=True, logprobs=True, stream_options={"include_usage": True}))
    plain = parse_chat(ask(stream=True))

    kept = [for_client(wishes, payload, parse_reply(payload)) for payload in payloads]
    shown = [for_client(plain, payload, parse_reply(payload)) for payload in payloads]

    assert done == DONE
    said = [msgspec.json.decode(payload) for payload in payloads]
    told = [msgspec.json.decode(payload) for payload in kept if payload]
    assert told == [as_openai_has_it({"usage": None, **chunk}, opening=True) for chunk in said]
    assert shown[-1] is None, "the usage chunk was not asked for"
    assert all(payload is not None and b'logprob":-' not in payload for payload in shown[:-1])


def test_each_choice_of_several_has_its_own_logprobs() -> None:
    reply = parse_reply(golden("vllm-0.32/chat_n3.json"))

    assert [choice.index for choice in reply.parts] == [0, 1, 2]


@given(st.dictionaries(st.text(min_size=1, max_size=6), json_values, max_size=5))
def test_fields_we_do_not_know_pass_through(fields: dict[str, object]) -> None:
    known = {"model", "messages", "stream", "n", "logprobs", "stream_options"}
    fields = {name: value for name, value in fields.items() if name not in known}

    sent = msgspec.json.decode(parse_chat(ask(**fields)).body_for("engine"))

    assert sent == {"model": "engine", "messages": [{"role": "user"}], **fields}


def test_options_of_a_stream_are_kept_beside_ours() -> None:
    asked = parse_chat(ask(stream=True, stream_options={"include_obfuscation": False}))

    sent = msgspec.json.decode(asked.body_for("engine", observe=True))

    assert sent["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert sent["logprobs"] is True


def test_nulls_are_as_good_as_absent() -> None:
    asked = parse_chat(ask(stream=None, n=None, logprobs=None, stream_options=None))

    assert (asked.stream, asked.choices, asked.logprobs) == (False, 1, False)


@given(st.binary(max_size=40))
def test_arbitrary_bytes_are_refused_and_never_crash(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_chat(body)
