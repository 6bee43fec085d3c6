"""Text completions, the older endpoint: the request, and the shapes of an answer."""

from typing import ClassVar

import msgspec

from gateway.chat import Message, TokenUsage, read_tokens
from gateway.errors import BadRequest
from gateway.older_logprobs import OlderLogprobs
from gateway.openai_form import as_openai, without_logprobs
from gateway.origin import Origin
from gateway.reply import Token
from gateway.spending import LastChunk
from gateway.wire import (
    LIST,
    NULL,
    ONE,
    Asked,
    is_there,
    known,
    read_count,
    read_fields,
    read_flag,
    read_include_usage,
    read_integer,
    read_model,
    stream_usage,
)
from router.trace import Usage

_MOST_CHOICES = 2048
_NOTHING = b"null"
"""What llama.cpp streams between two prompts."""
_LIST_START = b"["
_SEVERAL_STARTS = (b'"', b"[")


class CompletionRequest(Asked, frozen=True, kw_only=True, gc=False):
    """`POST /v1/completions`. Several prompts, each with n choices, are choices of one answer.

    With `echo` the prompt is a part of each answer, with logprobs that are not the model's own
    choices: not judgeable. older: writes the logprobs of the one answer that the client reads,
    where it asked for them.
    """

    path: ClassVar[str] = "/completions"
    older: OlderLogprobs | None = None

    def hear(self, payload: bytes, *, stream: bool) -> "CompletionReply":
        return CompletionReply() if payload == _NOTHING else _REPLY.decode(payload)

    def shown(self, payload: bytes, reply: "CompletionReply", origin: Origin) -> bytes | None:  # type: ignore[override]  # what `hear` gave
        if payload == _NOTHING:
            return None
        if self.older is None:
            payload = without_logprobs(payload, [choice.logprobs for choice in reply.parts])
        else:
            for choice in reply.parts:
                if is_there(raw := choice.logprobs):
                    written = self.older.rewritten(raw, choice.index)
                    payload = payload.replace(bytes(raw), written, 1)
        return as_openai(payload, reply, self)

    def _observe(self, fields: dict[str, msgspec.Raw]) -> None:
        fields["logprobs"] = ONE

    def _with_usage(self, fields: dict[str, msgspec.Raw], *, streams: bool) -> None:
        stream_usage(fields, streams=streams)


def parse_completion(body: bytes) -> CompletionRequest:
    """Raises BadRequest naming the field that is missing or of the wrong type."""
    fields = read_fields(body)
    model = read_model(fields)
    prompts, each = _prompts(fields), read_count(fields, "n")
    if prompts * each > _MOST_CHOICES:
        raise BadRequest(
            "prompt",
            f"{prompts} prompts with n = {each} are {prompts * each} choices; "
            f"at most {_MOST_CHOICES} travel in one answer",
        )
    logprobs = read_integer(fields, "logprobs") is not None
    stream, include_usage = read_flag(fields, "stream"), read_include_usage(fields)
    return CompletionRequest(
        raw=body,
        fields=fields,
        model=model,
        stream=stream,
        choices=prompts * each,
        prompts=prompts,
        logprobs=logprobs,
        older=OlderLogprobs() if logprobs else None,
        include_usage=include_usage,
        last_chunk=LastChunk(each) if stream and include_usage else None,
        judgeable=not read_flag(fields, "echo"),
    )


def _prompts(fields: dict[str, msgspec.Raw]) -> int:
    """How many prompts: a string or a list of token ids is one, a list of those are several."""
    prompt = fields.get("prompt", NULL)
    if not is_there(prompt):
        if is_there(fields.get("prompt_embeds", NULL)):
            return 1
        raise BadRequest("prompt", "is required: a string, token ids, or a list of either")
    start = bytes(prompt)[:1]
    if start == b'"':
        return 1
    several = known(fields, "prompt", LIST) if start == _LIST_START else None
    if not several:
        raise BadRequest("prompt", "must be a string, token ids, or a list of either, not empty")
    return len(several) if bytes(several[0]).startswith(_SEVERAL_STARTS) else 1


class _Logprobs(msgspec.Struct):
    """The older form, in arrays; llama.cpp sends chat's `content` instead."""

    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    content: msgspec.Raw = NULL


class CompletionChoice(msgspec.Struct):
    index: int = 0
    text: str | None = None
    logprobs: msgspec.Raw = NULL
    finish_reason: str | None = None

    @property
    def said(self) -> Message:
        return Message(words=self.text)

    def tokens(self) -> list[Token]:
        if not is_there(self.logprobs):
            return []
        found = _LOGPROBS.decode(self.logprobs)
        if is_there(found.content):
            return read_tokens(self.logprobs)
        pairs = zip(found.tokens or [], found.token_logprobs or [], strict=False)
        return [(token.encode(), nats) for token, nats in pairs if nats is not None]


class CompletionReply(msgspec.Struct):
    """A whole completion or one chunk of a stream: the same fields."""

    parts: list[CompletionChoice] = msgspec.field(name="choices", default_factory=list)
    usage: TokenUsage | None = None
    trouble: msgspec.Raw = msgspec.field(name="error", default=NULL)
    timings: msgspec.Raw = NULL
    metrics: msgspec.Raw = NULL

    @property
    def spent(self) -> Usage | None:
        return self.usage.spent() if self.usage is not None else None


_REPLY = msgspec.json.Decoder(CompletionReply)
_LOGPROBS = msgspec.json.Decoder(_Logprobs)
