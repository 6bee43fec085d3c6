"""Whether a student and a teacher can be verified: the questions, and what the answers must show.

Asked by the gateway at a route's first deferral, and by `tutelage doctor`; here are no sockets.
"""

from collections.abc import Generator
from typing import Literal

import msgspec

from gateway.errors import UpstreamFailed
from gateway.verify_calls import PATH, read_back, reading_body
from gateway.wire import UNREADABLE

_TEXT = 'Repeat this: naïve café, 北京 😀, x != y; 1,024 {"a": [1.5e-3]}\n\tdone'
"""Cut differently by almost any two tokenizers."""
_TOKENS = 8
_NEAR_NATS = 0.5
"""Between the logprob of a token as it was written and as it is read: rounding, and no more."""


class Question(msgspec.Struct, frozen=True):
    role: Literal["student", "teacher"]
    path: str
    body: bytes


class Unable(Exception):
    """The pair cannot be verified; the message says why, and what would help."""


class _ChatChoice(msgspec.Struct):
    token_ids: list[int] | None = None


class _Chat(msgspec.Struct):
    choices: list[_ChatChoice] = []
    prompt_token_ids: list[int] | None = None


class _Tokenized(msgspec.Struct):
    max_model_len: int | None = None


_CHAT = msgspec.json.Decoder(_Chat)
_TOKENIZED = msgspec.json.Decoder(_Tokenized)

Examination = Generator[Question, bytes | None, int | None]
"""Yields questions and is sent the answers, None for one that was refused; returns the teacher's
context in tokens, None where it does not tell. Raises Unable.
"""


def examine(student: str, teacher: str) -> Examination:
    """Both by the names that their engines know them by."""
    asked = yield Question("student", "/chat/completions", _chat(student))
    theirs, written = _ids("student", asked)
    if not written:
        raise Unable("the student wrote no token")
    asked = yield Question("teacher", "/chat/completions", _chat(teacher))
    prompt, own = _ids("teacher", asked)
    if prompt != theirs:
        raise Unable("student and teacher have different tokenizers or chat templates")
    answer = yield Question("teacher", PATH, reading_body(teacher, [*prompt, *own], top=2))
    if answer is None:
        raise Unable("the teacher does not read prompts of token ids with prompt_logprobs")
    try:
        readings, _ = read_back("teacher", answer, own, top=2)
    except UpstreamFailed as failed:
        raise Unable(f"the teacher does not read prompts: {failed}") from failed
    if any(each.best_nats - each.nats > _NEAR_NATS for each in readings):
        raise Unable(
            "the teacher reads its own greedy answer as if it would not have written it; known of "
            "vLLM with some kinds of speculative decoding, prefix caching and LoRA"
        )
    answer = yield Question("teacher", "/tokenize", _tokenize(teacher))
    return _context(answer)


def _chat(model: str) -> bytes:
    return msgspec.json.encode(
        {
            "model": model,
            "messages": [{"role": "user", "content": _TEXT}],
            "max_tokens": _TOKENS,
            "temperature": 0,
            "return_token_ids": True,
        }
    )


def _tokenize(model: str) -> bytes:
    return msgspec.json.encode({"model": model, "prompt": _TEXT})


def _ids(role: str, answer: bytes | None) -> tuple[list[int], list[int]]:
    """Of the prompt, and of the answer."""
    try:
        told = _CHAT.decode(answer) if answer is not None else _Chat()
    except UNREADABLE as error:
        raise Unable(f"the {role} answered something that is no completion: {error}") from error
    ids = told.choices[0].token_ids if told.choices else None
    if told.prompt_token_ids is None or ids is None:
        raise Unable(f"the {role} tells no token ids (vLLM does, with return_token_ids)")
    return told.prompt_token_ids, ids


def _context(answer: bytes | None) -> int | None:
    try:
        return _TOKENIZED.decode(answer).max_model_len if answer is not None else None
    except UNREADABLE:
        return None
