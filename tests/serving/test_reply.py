"""What is read of a chat completion."""

import json
from typing import Any

import pytest

from serving.reply import NotAReply, Token, read_reply


def body(**choice: Any) -> bytes:
    whole = {"id": "x", "choices": [{"index": 0, "message": {"content": "yes"}, **choice}]}
    return json.dumps(whole).encode()


def test_text_and_usage_of_a_plain_reply() -> None:
    read = read_reply(body())
    assert (read.text, read.tokens, read.usage.completion_tokens) == ("yes", (), 0)


def test_tokens_are_those_of_the_first_choice() -> None:
    listed = [{"token": "yes", "logprob": -0.5, "bytes": None, "top_logprobs": []}]
    assert read_reply(body(logprobs={"content": listed})).tokens == (
        Token(token="yes", logprob=-0.5),
    )


@pytest.mark.parametrize("logprobs", [None, {"content": None}, {}])
def test_a_reply_without_logprobs_has_no_tokens(logprobs: Any) -> None:
    assert read_reply(body(logprobs=logprobs)).tokens == ()


@pytest.mark.parametrize(
    "wrong", [b"", b"{}", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}']
)
def test_anything_else_is_said_to_be_no_completion(wrong: bytes) -> None:
    with pytest.raises(NotAReply, match="not a chat completion"):
        read_reply(wrong)
