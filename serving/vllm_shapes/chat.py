"""`/v1/chat/completions` in the shape of vLLM 0.32, tool calls as its Hermes parser reads them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import msgspec

from serving.asked import ChatBody
from serving.dialect import CREATED, DONE, Facts, Stream, encode, sse
from serving.say import Say, Tok
from serving.vllm_shapes.errors import (
    bad_request,
    check_choices,
    check_lengths,
    check_model,
    error_body,
    unreadable,
)
from serving.vllm_shapes.logprobs import chat_logprobs
from serving.vllm_shapes.models import FINGERPRINT
from serving.vllm_shapes.speculation import draft_metrics
from serving.vllm_shapes.token_ids import conversation_ids, ids_of
from serving.written import Called, Part, Spoken, Written, as_json, write

MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    body: ChatBody
    facts: Facts
    id: str

    @property
    def streamed(self) -> bool:
        return bool(self.body.stream)

    @property
    def last_words(self) -> str:
        return self.body.last_words

    def whole(self, says: Sequence[Say]) -> bytes:
        written = self._written(says)
        head = {
            "id": self.id,
            "object": "chat.completion",
            "created": CREATED,
            "model": self.facts.model,
        }
        choices = [self._choice(index, each) for index, each in enumerate(written)]
        usage = self._usage(written) | {
            "prompt_tokens_details": None,
            "completion_tokens_details": _reasoned(written),
        }
        after = {"service_tier": None, "system_fingerprint": FINGERPRINT, "usage": usage}
        extensions: dict[str, object] = dict.fromkeys(
            (
                "prompt_logprobs",
                "prompt_token_ids",
                "prompt_text",
                "kv_transfer_params",
                "ec_transfer_params",
                "metrics",
            ),
        )
        extensions["prompt_token_ids"] = self._prompt_ids
        extensions["metrics"] = draft_metrics(says[0], choices=len(written))
        return encode(head | {"choices": choices} | after | extensions)

    def stream(self, says: Sequence[Say]) -> Stream:
        written = self._written(says)
        steps = [tuple(self._steps(index, each)) for index, each in enumerate(written)]
        opening = b"".join(
            self._chunk(
                {
                    "index": index,
                    "delta": {"role": "assistant", "content": ""},
                    "logprobs": None,
                    "finish_reason": None,
                },
                prompt_token_ids=self._prompt_ids,
                prompt_text=None,
            )
            for index in range(len(written))
        )
        longest = max(len(each.spoken) for each in written)
        together = [b"".join(step) for step in zip_longest(*steps, fillvalue=b"")]
        closing = self._closing(written, together, draft_metrics(says[0], choices=len(written)))
        return Stream((opening,), tuple(together[:longest]), closing)

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message, kind="InternalServerError")) + DONE

    def _closing(
        self,
        written: Sequence[Written],
        together: list[bytes],
        metrics: Mapping[str, object] | None,
    ) -> tuple[bytes, ...]:
        ends = tuple(together[max(len(each.spoken) for each in written) :])
        if not self.body.wants_usage:
            return (*ends, DONE)
        usage = self._usage(written) | _given("completion_tokens_details", _reasoned(written))
        last = {**self._head, "choices": [], "usage": usage, "system_fingerprint": FINGERPRINT}
        return (*ends, sse(encode(last | _given("metrics", metrics))), DONE)

    @property
    def _prompt_ids(self) -> list[int] | None:
        return conversation_ids(self.body.messages) if self.body.return_token_ids else None

    def _ids(self, tokens: Sequence[Tok]) -> list[int] | None:
        return ids_of(tokens) if self.body.return_token_ids else None

    @property
    def _reads_tools(self) -> bool:
        return self.facts.tools and self.body.brings_tools

    @property
    def _head(self) -> dict[str, object]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": self.facts.model,
        }

    def _chunk(self, choice: Mapping[str, object], **tail: object) -> bytes:
        return sse(encode({**self._head, "choices": [choice], **tail}))

    def _written(self, says: Sequence[Say]) -> list[Written]:
        _, limit = self.body.limit
        return [
            write(
                says[i % len(says)],
                stops=self.body.stops,
                max_tokens=limit,
                tools=self._reads_tools,
                lags=True,
            )
            for i in range(self.body.n or 1)
        ]

    def _usage(self, written: Sequence[Written]) -> dict[str, object]:
        completion = sum(each.completion_tokens for each in written)
        return {
            "prompt_tokens": self.body.prompt_tokens,
            "total_tokens": self.body.prompt_tokens + completion,
            "completion_tokens": completion,
        }

    def _logprobs(self, say: Say, tokens: Sequence[Tok]) -> dict[str, object] | None:
        if not (self.body.logprobs and say.logprobs):
            return None
        known = chat_logprobs(tokens, self.body.top_logprobs or 0)
        return {"content": None, "refusal": known["content"]} if say.refusal else known

    def _calls(self, index: int, written: Written) -> list[dict[str, object]]:
        """As the whole text is parsed: a call that was cut leaves none at all."""
        if written.in_a_call:
            return []
        return [
            {
                "id": self._call_id(index, called),
                "type": "function",
                "function": {"name": called.name, "arguments": as_json(called.arguments)},
            }
            for called in self._kept(written)
        ]

    def _kept(self, written: Written) -> Sequence[Called]:
        """The first call alone where the request forbids parallel ones."""
        return written.calls[:1] if self.body.parallel_tool_calls is False else written.calls

    def _call_id(self, choice: int, called: Called) -> str:
        made_up = f"chatcmpl-tool-{self.id[-8:]}{choice:04x}{called.index:04x}"
        return called.script.id or made_up

    def _choice(self, index: int, written: Written) -> dict[str, object]:
        calls = self._calls(index, written)
        content: str | None = written.text(Part.CONTENT)
        if written.in_a_call:
            content = "".join(each.token.text for each in written.spoken)
        elif calls and not content:
            content = "" if self._forced else None
        refusal = written.text(Part.REFUSAL)
        message = {
            "role": "assistant",
            "content": None if refusal else content,
            "refusal": refusal or None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            **({"tool_calls": calls} if calls else {}),
            "reasoning": written.text(Part.REASONING) or None,
        }
        if not self.body.include_reasoning:
            message["reasoning"] = None
        return {
            "index": index,
            "message": message,
            "logprobs": self._logprobs(written.script, written.tokens),
            "finish_reason": self._finish(written, called=bool(calls), whole=True),
            "stop_reason": written.stop_reason,
            "token_ids": self._ids(written.tokens),
            "routed_experts": None,
        }

    @property
    def _forced(self) -> bool:
        return self.body.tool_choice == "required" or isinstance(self.body.tool_choice, dict)

    def _finish(self, written: Written, *, called: bool, whole: bool) -> str | None:
        """A call ends with `tool_calls`, but with `stop` where the request named the function.

        In a stream only if the model ended its turn, in a whole answer of `auto` always.
        """
        if not called or isinstance(self.body.tool_choice, dict):
            return written.finish_reason
        ended = written.finish_reason == "stop"
        return "tool_calls" if ended or (whole and not self._forced) else written.finish_reason

    def _steps(self, index: int, written: Written) -> Iterator[bytes]:
        """The events of one choice, one element a token."""
        last = len(written.spoken) - 1
        for count, spoken in enumerate(written.spoken):
            ends = written.end is None and count == last
            yield self._spoken(index, written, spoken, ends=ends)
        if written.end is not None:
            part = Part.CONTENT if written.held or not self.facts.tools else Part.SYNTAX
            end = Spoken(written.end, part, written.held)  # a parser has no words for nothing
            yield self._spoken(index, written, end, ends=True)

    def _spoken(self, index: int, written: Written, spoken: Spoken, *, ends: bool) -> bytes:
        delta = self._delta(index, written, spoken)
        logprobs = self._logprobs(written.script, [spoken.token])
        if not delta and logprobs is None and not ends:
            return b""
        ending: dict[str, object] = {"finish_reason": None}
        tail: dict[str, object] = {}
        if ends:
            finish = self._finish(written, called=bool(written.calls), whole=False)
            ending = {"finish_reason": finish, "stop_reason": written.stop_reason}
            if not self.body.wants_usage and finish is not None:
                tail = {"system_fingerprint": FINGERPRINT}
        choice = {"index": index, "delta": delta, "logprobs": logprobs, **ending}
        return self._chunk({**choice, "token_ids": self._ids([spoken.token])}, **tail)

    def _delta(self, index: int, written: Written, spoken: Spoken) -> dict[str, object]:
        match spoken.part:
            case Part.CONTENT:
                return {"content": spoken.text} if spoken.text or not self.facts.tools else {}
            case Part.REFUSAL:
                return {"refusal": spoken.text}
            case Part.REASONING:
                return {"reasoning": spoken.text} if self.body.include_reasoning else {}
            case Part.NAME | Part.ARGUMENTS:
                call = self._piece(index, written, spoken)
                return {"content": None, "tool_calls": [call]} if call else {}
            case _:
                return {}

    def _piece(self, index: int, written: Written, spoken: Spoken) -> dict[str, object] | None:
        (called,) = [each for each in written.calls if each.index == spoken.call]
        if called not in self._kept(written):
            return None
        if spoken.part is Part.ARGUMENTS:
            return {"index": called.index, "function": {"arguments": spoken.text}}
        return {
            "id": self._call_id(index, called),
            "type": "function",
            "index": called.index,
            "function": {"name": called.name},
        }


def _reasoned(written: Sequence[Written]) -> dict[str, int] | None:
    """Told by an engine that reads reasoning, which here is one whose script has some."""
    tokens = sum(each.reasoning_tokens for each in written)
    return {"reasoning_tokens": tokens} if tokens else None


def _given(key: str, value: object) -> dict[str, object]:
    return {} if value is None else {key: value}


def understand(raw: bytes, facts: Facts, *, number: int) -> ChatAnswer:
    """The request, or Refused as vLLM refuses it."""
    try:
        body = msgspec.json.decode(raw, type=ChatBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    check_choices(body.n, body.temperature)
    _check_options(body)
    if body.tools and not facts.tools:
        _refuse_tools(body.tool_choice)
    param, limit = body.limit
    check_lengths(facts, prompt_tokens=body.prompt_tokens, max_tokens=limit, param=param)
    return ChatAnswer(body, facts, f"chatcmpl-{number:016x}")


def _check_options(body: ChatBody) -> None:
    if body.stream_options is not None and not body.stream:
        message = "Stream options can only be defined when `stream=True`."
        raise bad_request(message, "stream_options")
    top = body.top_logprobs or 0
    if top and not body.logprobs:
        message = "when using `top_logprobs`, `logprobs` must be set to true."
        raise bad_request(message, "top_logprobs")
    if top > MAX_TOP_LOGPROBS:
        message = (
            f"Requested sample logprobs of {top}, which is greater than max "
            f"allowed: {MAX_TOP_LOGPROBS}"
        )
        raise bad_request(message, "logprobs", top)


def _refuse_tools(choice: str | dict[str, object] | None) -> None:
    """An engine that was started without a tool parser."""
    match choice:
        case None | "auto":
            message = (
                '"auto" tool choice requires --enable-auto-tool-choice and '
                "--tool-call-parser to be set"
            )
        case "none":
            return
        case str():
            message = f'tool_choice="{choice}" requires --tool-call-parser to be set'
        case _:
            function = choice.get("function")
            name = function.get("name") if isinstance(function, dict) else None
            message = f'tool_choice=function "{name}" requires --tool-call-parser to be set'
    raise bad_request(message)
