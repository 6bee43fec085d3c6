"""`/v1/responses` in the shape of vLLM 0.32, whole and as typed events.

vLLM ends the stream with `response.completed` and the end of the body: there is no [DONE]. That
last event is `completed` even where the answer was cut by `max_output_tokens`; the response in it
then has the status `incomplete`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.asked import ResponseBody
from serving.dialect import Facts, Stream, encode, sse
from serving.say import Say, Tok
from serving.vllm_shapes.logprobs import response_delta_logprobs, response_logprobs
from serving.vllm_shapes.response_body import parse, response_object, usage_object
from serving.written import Called, Part, Spoken, Written, as_json, write

Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ResponseAnswer:
    body: ResponseBody
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
        items = [*self._reasoning(written), *self._message(written), *self._calls(written)]
        raw = encode(self._finished(written, items))
        self._store(raw)
        return raw

    def stream(self, says: Sequence[Say]) -> Stream:
        written = self._written(says)
        story = _Story(self)
        opening = story.opening()
        steps = tuple(b"".join(story.step(written, spoken)) for spoken in written.spoken)
        closing = []
        if written.held and written.end is not None:
            closing += story.step(written, Spoken(written.end, Part.CONTENT, written.held))
        story.close()
        closing += story.take()
        if written.finish_reason is not None:
            final = self._finished(written, story.items)
            self._store(encode(final))
            closing.append(story.event("response.completed", response=final))
        return Stream(opening, steps, tuple(closing))

    def error_event(self, message: str, *, failed: bool) -> bytes:
        """OpenAI's; vLLM 0.32 breaks the connection instead."""
        error = {"code": "server_error", "message": message}
        if failed:
            response = response_object(self.body, self.facts, self.id, status="failed")
            event: dict[str, object] = {
                "response": response | {"error": error},
                "type": "response.failed",
            }
        else:
            event = {**error, "param": None, "type": "error"}
        return sse(encode(event | {"sequence_number": 9999}), event=str(event["type"]))

    @property
    def wants_logprobs(self) -> bool:
        return self.body.wants_logprobs

    @property
    def top(self) -> int:
        return self.body.top_logprobs or 0

    def item_id(self, kind: str, index: int = 0) -> str:
        return f"{kind}_{self.id[-12:]}{index:04x}"

    def call_id(self, called: Called) -> str:
        return called.script.id or f"chatcmpl-tool-{self.id[-12:]}{called.index:04x}"

    def _store(self, raw: bytes) -> None:
        if self.body.store and self.facts.stored is not None:
            self.facts.stored[self.id] = raw

    def _written(self, says: Sequence[Say]) -> Written:
        return write(
            says[0],
            stops=self.body.stops,
            max_tokens=self.body.max_output_tokens,
            tools=self.facts.tools and self.body.brings_tools,
            lags=True,
        )

    def _finished(self, written: Written, items: Sequence[Item]) -> dict[str, object]:
        status = "incomplete" if written.finish_reason == "length" else "completed"
        usage = usage_object(self.body, written)
        return response_object(
            self.body, self.facts, self.id, status=status, output=items, usage=usage
        )

    def _reasoning(self, written: Written) -> Iterator[Item]:
        if text := written.text(Part.REASONING):
            yield reasoning_item(self.item_id("rs"), text, status=None)

    def _message(self, written: Written) -> Iterator[Item]:
        text = written.text(Part.CONTENT)
        if written.in_a_call:
            text = "".join(each.token.text for each in written.spoken)
        if not text and written.calls:
            return
        logprobs = None
        if self.wants_logprobs and written.script.logprobs:
            logprobs = response_logprobs(written.tokens, self.top)
        content = [text_part(text, logprobs)] if text else []
        if refusal := written.text(Part.REFUSAL):
            content = [refusal_part(refusal)]
        yield message_item(self.item_id("msg"), content, status="completed")

    def _calls(self, written: Written) -> Iterator[Item]:
        if written.in_a_call:
            return
        kept = written.calls[:1] if self.body.parallel_tool_calls is False else written.calls
        for called in kept:
            yield call_item(
                self.item_id("fc", called.index),
                self.call_id(called),
                called.name,
                as_json(called.arguments),
                status="completed",
            )


@dataclass(slots=True)
class _Story:
    """The events of one streamed response, numbered in order; one item is open at a time."""

    answer: ResponseAnswer
    items: list[Item] = field(default_factory=list)
    _open: Part | None = None
    _call: Called | None = None
    _id: str = ""
    _text: str = ""
    _said: list[Tok] = field(default_factory=list)
    _number: int = 0
    _out: list[bytes] = field(default_factory=list)

    def event(self, kind: str, **fields: object) -> bytes:
        """Framed and numbered; keys in the order of the OpenAI client's types."""
        known = {**fields, "sequence_number": self._number, "type": kind}
        self._number += 1
        order = sorted(known, key=_KEY_ORDER.index)
        return sse(encode({key: known[key] for key in order}), event=kind)

    def take(self) -> list[bytes]:
        out, self._out = self._out, []
        return out

    def opening(self) -> tuple[bytes, ...]:
        answer = self.answer
        at_first = response_object(answer.body, answer.facts, answer.id, status="in_progress")
        return (
            self.event("response.created", response=at_first),
            self.event("response.in_progress", response=at_first),
        )

    def step(self, written: Written, spoken: Spoken) -> list[bytes]:
        """What this token adds."""
        match spoken.part:
            case Part.CONTENT if spoken.text:
                self._turn_to(Part.CONTENT)
                self._text_delta(written, spoken)
            case Part.REFUSAL:
                self._turn_to(Part.REFUSAL)
                self._say("response.refusal.delta", content_index=0, delta=spoken.text)
            case Part.REASONING:
                self._turn_to(Part.REASONING)
                self._say("response.reasoning_text.delta", content_index=0, delta=spoken.text)
            case Part.NAME:
                self._turn_to_call(written, spoken.call)
            case Part.ARGUMENTS if self._call is not None and self._call.index == spoken.call:
                self._say("response.function_call_arguments.delta", delta=spoken.text)
            case _:
                pass
        if spoken.part is not Part.NAME:
            self._text += spoken.text
        return self.take()

    def close(self) -> None:
        """The done events of the item that is open."""
        match self._open:
            case Part.CONTENT:
                self._close_message()
            case Part.REFUSAL:
                self._close_refusal()
            case Part.REASONING:
                self._close_reasoning()
            case Part.ARGUMENTS:
                self._close_call()
            case _:
                pass
        self._open, self._call, self._text, self._said = None, None, "", []

    def _say(self, kind: str, **fields: object) -> None:
        where = {"item_id": self._id, "output_index": len(self.items)}
        self._out.append(self.event(kind, **where, **fields))

    def _item(self, kind: str, item: Item) -> None:
        self._out.append(self.event(kind, item=item, output_index=len(self.items)))

    def _finish(self, item: Item) -> None:
        self._item("response.output_item.done", item)
        self.items.append(item)

    def _text_delta(self, written: Written, spoken: Spoken) -> None:
        logprobs: list[dict[str, object]] = []
        if self.answer.wants_logprobs and written.script.logprobs:
            self._said.append(spoken.token)
            logprobs = response_delta_logprobs(spoken.token, self.answer.top)
        self._say(
            "response.output_text.delta", content_index=0, delta=spoken.text, logprobs=logprobs
        )

    def _turn_to(self, part: Part) -> None:
        if self._open is part:
            return
        self.close()
        self._open = part
        if part is not Part.REASONING:
            self._id = self.answer.item_id("msg", len(self.items))
            self._item("response.output_item.added", message_item(self._id, [], "in_progress"))
            piece = text_part("", []) if part is Part.CONTENT else refusal_part("")
        else:
            self._id = self.answer.item_id("rs", len(self.items))
            item = reasoning_item(self._id, None, status="in_progress")
            self._item("response.output_item.added", item)
            piece = {"text": "", "type": "reasoning_text"}
        self._say("response.content_part.added", content_index=0, part=piece)

    def _turn_to_call(self, written: Written, index: int) -> None:
        self.close()
        if index and self.answer.body.parallel_tool_calls is False:
            return
        (called,) = [each for each in written.calls if each.index == index]
        self._open, self._call = Part.ARGUMENTS, called
        self._id = self.answer.item_id("fc", len(self.items))
        item = call_item(self._id, self.answer.call_id(called), called.name, "", "in_progress")
        self._item("response.output_item.added", item)

    def _close_message(self) -> None:
        logprobs = response_logprobs(self._said, self.answer.top) or None
        part = text_part(self._text, logprobs)
        self._say("response.output_text.done", content_index=0, logprobs=[], text=self._text)
        self._say("response.content_part.done", content_index=0, part=part)
        self._finish(message_item(self._id, [part], "completed"))

    def _close_refusal(self) -> None:
        part = refusal_part(self._text)
        self._say("response.refusal.done", content_index=0, refusal=self._text)
        self._say("response.content_part.done", content_index=0, part=part)
        self._finish(message_item(self._id, [part], "completed"))

    def _close_reasoning(self) -> None:
        part = {"text": self._text, "type": "reasoning_text"}
        self._say("response.reasoning_text.done", content_index=0, text=self._text)
        self._say("response.content_part.done", content_index=0, part=part)
        self._finish(reasoning_item(self._id, self._text, status="completed"))

    def _close_call(self) -> None:
        assert self._call is not None  # noqa: S101 - set wherever a call is opened
        call_id, name = self.answer.call_id(self._call), self._call.name
        self._say("response.function_call_arguments.done", arguments=self._text, name=name)
        self._finish(call_item(self._id, call_id, name, self._text, "completed"))


_KEY_ORDER = (
    *("arguments", "content_index", "delta", "item", "item_id", "logprobs", "output_index"),
    *("part", "refusal", "response", "sequence_number", "text", "type", "name"),
)


def text_part(text: str, logprobs: list[dict[str, object]] | None) -> Item:
    return {"annotations": [], "text": text, "type": "output_text", "logprobs": logprobs}


def refusal_part(text: str) -> Item:
    return {"refusal": text, "type": "refusal"}


def message_item(item_id: str, content: list[Item], status: str) -> Item:
    return {
        "id": item_id,
        "content": content,
        "role": "assistant",
        "status": status,
        "type": "message",
        "phase": None,
    }


def reasoning_item(item_id: str, text: str | None, status: str | None) -> Item:
    content = None if text is None else [{"text": text, "type": "reasoning_text"}]
    return {
        "id": item_id,
        "summary": [],
        "type": "reasoning",
        "content": content,
        "encrypted_content": None,
        "status": status,
    }


def call_item(item_id: str, call_id: str, name: str, arguments: str, status: str) -> Item:
    return {
        "arguments": arguments,
        "call_id": call_id,
        "name": name,
        "type": "function_call",
        "id": item_id,
        "async": None,
        "caller": None,
        "namespace": None,
        "status": status,
    }


def understand(raw: bytes, facts: Facts, *, number: int) -> ResponseAnswer:
    """The request, or Refused as vLLM refuses it."""
    return ResponseAnswer(parse(raw, facts), facts, f"resp_{number:016x}")
