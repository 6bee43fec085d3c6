"""Usage chunks: one as it came, several as one, and none out of nothing."""

import msgspec
import pytest

from gateway.chat import ChatRequest, parse_chat
from gateway.origin import Origin
from gateway.spending import LastChunk, Spending
from router.trace import Usage

ORIGIN = Origin("support", "student")
USAGE = b'{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"cost_hint":{"a":[1]}}'
SAID = b'{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"},'
LAST_WORDS = SAID + b'"finish_reason":"stop"}],"usage":' + USAGE + b"}"


def asked(options: str) -> ChatRequest:
    """A streamed chat with these stream_options."""
    body = f'{{"model":"m","stream":true,"messages":[{{}}],"stream_options":{options}}}'
    return parse_chat(body.encode())


def shown(request: ChatRequest, payload: bytes) -> bytes | None:
    return request.shown(payload, request.hear(payload, stream=True), ORIGIN)


def test_usage_beside_the_last_words_is_told_after_them() -> None:
    """As DeepSeek and Mistral send it."""
    request = asked('{"include_usage":true}')

    told = shown(request, LAST_WORDS)

    assert told is not None
    assert msgspec.json.decode(told)["usage"] is None
    assert request.ended() == (
        b'data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":'
        + USAGE
        + b"}\n\ndata: [DONE]\n\n"
    )


def test_usage_beside_the_last_words_is_not_told_to_those_who_did_not_ask() -> None:
    request = asked("null")

    told = shown(request, LAST_WORDS)

    assert told is not None
    assert "usage" not in msgspec.json.decode(told)
    assert request.ended() == b"data: [DONE]\n\n"


def test_usage_in_every_chunk_is_told_as_it_comes_where_a_client_asks_for_that() -> None:
    request = asked('{"include_usage":true,"continuous_usage_stats":true}')
    running = SAID + b'"finish_reason":null}],"usage":' + USAGE + b"}"
    closing = b'{"id":"c","choices":[],"usage":' + USAGE + b"}"

    assert shown(request, running) == running
    assert shown(request, closing) == closing
    assert request.ended() == b"data: [DONE]\n\n"


def test_what_one_chunk_says_of_all_choices_counts_for_all() -> None:
    spending = Spending(2)
    spending.hear(Usage(3, 1), [0])
    spending.hear(Usage(3, 4), [1])

    assert spending.hear(Usage(3, 5), []) == Usage(3, 5)


@pytest.mark.parametrize("choices", [[[], [], [], []], [[0], [1], [2], [3]]])
def test_what_is_said_choice_by_choice_is_added_up_and_a_prompt_once(
    choices: list[list[int]],
) -> None:
    spending = Spending(2)
    told = [Usage(3, 1, 2), Usage(3, 1, 3), Usage(5, 1), Usage(5, 1)]

    for usage, each in zip(told, choices, strict=True):
        total = spending.hear(usage, each)

    assert total == Usage(8, 4, 2)


def test_a_stream_that_tells_no_usage_has_no_chunk_of_it() -> None:
    assert LastChunk(1).written() is None
