"""`/v1/responses` in the shape of llama.cpp's server: no logprobs, no numbers, nothing stored.

Its events carry no sequence_number, output_index or content_index; the stream ends without [DONE];
and an answer that was cut by `max_output_tokens` says that it is completed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from serving.asked import ResponseBody
from serving.dialect import CREATED, Facts, Stream, encode, sse
from serving.llamacpp_shapes.errors import bad_request, check_length, error_body, unreadable
from serving.llamacpp_shapes.trailer import timings, usage
from serving.say import Say
from serving.written import Part, Spoken, Written, write

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

    @property
    def suffix(self) -> str:
        """What the ids of the items are made of."""
        return self.id.removeprefix("resp_")

    def whole(self, says: Sequence[Say]) -> bytes:
        written = self._written(says)
        return encode(
            {
                "completed_at": CREATED,
                "created_at": CREATED,
                "id": self.id,
                "model": self.facts.model,
                "object": "response",
                "output": list(self._items(written)),
                "status": "completed",
                "usage": self._usage(written),
            }
        )

    def stream(self, says: Sequence[Say]) -> Stream:
        written = self._written(says)
        story = _Story(self, written)
        at_first = {"id": self.id, "object": "response", "status": "in_progress"}
        opening = (
            event("response.created", response=at_first),
            event("response.in_progress", response=at_first),
        )
        steps = tuple(b"".join(story.step(spoken)) for spoken in written.spoken)
        closing = [b"".join(story.close())]
        if written.finish_reason is not None:
            closing.append(self._completed(written, story.items))
        return Stream(opening, steps, tuple(closing))

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message), event="error")

    def _written(self, says: Sequence[Say]) -> Written:
        return write(
            says[0],
            stops=self.body.stops,
            max_tokens=self.body.max_output_tokens,
            tools=self.body.brings_tools,
        )

    def _usage(self, written: Written) -> dict[str, object]:
        spent = usage(self.body.prompt_tokens, written.completion_tokens)
        return {
            "input_tokens": spent["prompt_tokens"],
            "output_tokens": spent["completion_tokens"],
            "total_tokens": spent["total_tokens"],
            "input_tokens_details": spent["prompt_tokens_details"],
        }

    def _completed(self, written: Written, items: Sequence[Item]) -> bytes:
        response = {
            "id": self.id,
            "object": "response",
            "created_at": CREATED,
            "status": "completed",
            "model": self.facts.model,
            "output": list(items),
            "usage": self._usage(written),
        }
        spent = timings(self.body.prompt_tokens, written.completion_tokens)
        return event("response.completed", response=response, timings=spent)

    def _items(self, written: Written) -> Iterator[Item]:
        if reasoning := written.text(Part.REASONING):
            yield {
                "id": f"rs_{self.suffix}",
                "summary": [],
                "type": "reasoning",
                "content": [{"text": reasoning, "type": "reasoning_text"}],
                "encrypted_content": "",
                "status": "completed",
            }
        if text := written.text(Part.CONTENT) + written.text(Part.REFUSAL):
            yield {
                "content": [text_part(text)],
                "id": f"msg_{self.suffix}",
                "role": "assistant",
                "status": "completed",
                "type": "message",
            }
        for called in written.calls:
            call_id = f"fc_{called.script.id or f'{self.suffix}{called.index:04x}'}"
            yield {
                "type": "function_call",
                "status": "completed",
                "arguments": called.arguments,
                "call_id": call_id,
                "name": called.name,
            }


@dataclass(slots=True)
class _Story:
    """The events of one streamed response; one item is open at a time."""

    answer: ResponseAnswer
    written: Written
    items: list[Item] = field(default_factory=list)
    _open: str = ""
    _id: str = ""
    _text: str = ""
    _name: str = ""

    def step(self, spoken: Spoken) -> Iterator[bytes]:
        match spoken.part:
            case Part.CONTENT | Part.REFUSAL if spoken.text:
                yield from self._turn_to_message()
                yield self._delta("response.output_text.delta", spoken.text)
            case Part.REASONING:
                yield from self._turn_to_reasoning()
                yield self._delta("response.reasoning_text.delta", spoken.text)
            case Part.NAME:
                yield from self._turn_to_call(spoken.call)
            case Part.ARGUMENTS:
                yield self._delta("response.function_call_arguments.delta", spoken.text)
            case _:
                pass

    def close(self) -> Iterator[bytes]:
        """The done events of the item that is open."""
        match self._open:
            case "message":
                part = text_part(self._text)
                yield event("response.output_text.done", item_id=self._id, text=self._text)
                yield event("response.content_part.done", item_id=self._id, part=part)
                yield self._done(
                    {
                        "type": "message",
                        "status": "completed",
                        "id": self._id,
                        "content": [part],
                        "role": "assistant",
                    }
                )
            case "reasoning":
                content = [{"text": self._text, "type": "reasoning_text"}]
                item = {"id": self._id, "summary": [], "type": "reasoning", "content": content}
                yield self._done(item | {"encrypted_content": ""})
            case "function_call":
                yield event(
                    "response.function_call_arguments.done",
                    item_id=self._id,
                    arguments=self._text,
                )
                yield self._done(
                    {
                        "type": "function_call",
                        "status": "completed",
                        "arguments": self._text,
                        "call_id": self._id,
                        "name": self._name,
                    }
                )
            case _:
                pass
        self._open, self._text = "", ""

    def _done(self, item: Item) -> bytes:
        self.items.append(item)
        return event("response.output_item.done", item=item)

    def _delta(self, kind: str, text: str) -> bytes:
        self._text += text
        return event(kind, item_id=self._id, delta=text)

    def _turn_to_message(self) -> Iterator[bytes]:
        if self._open == "message":
            return
        yield from self.close()
        self._open, self._id = "message", f"msg_{self.answer.suffix}"
        item = {
            "content": [],
            "id": self._id,
            "role": "assistant",
            "status": "in_progress",
            "type": "message",
        }
        yield event("response.output_item.added", item=item)
        part = {"type": "output_text", "text": ""}
        yield event("response.content_part.added", item_id=self._id, part=part)

    def _turn_to_reasoning(self) -> Iterator[bytes]:
        if self._open == "reasoning":
            return
        yield from self.close()
        self._open, self._id = "reasoning", f"rs_{self.answer.suffix}"
        item: Item = {"id": self._id, "summary": [], "type": "reasoning", "content": []}
        more = {"encrypted_content": "", "status": "in_progress"}
        yield event("response.output_item.added", item=item | more)

    def _turn_to_call(self, index: int) -> Iterator[bytes]:
        yield from self.close()
        (called,) = [each for each in self.written.calls if each.index == index]
        self._open, self._name = "function_call", called.name
        self._id = f"fc_{called.script.id or f'{self.answer.suffix}{index:04x}'}"
        item = {
            "arguments": "",
            "call_id": self._id,
            "name": called.name,
            "type": "function_call",
            "status": "in_progress",
        }
        yield event("response.output_item.added", item=item)


def event(kind: str, **fields: object) -> bytes:
    return sse(encode({"type": kind, **fields}), event=kind)


def text_part(text: str) -> Item:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def understand(raw: bytes, facts: Facts, *, number: int) -> ResponseAnswer:
    """The request, or Refused as llama.cpp refuses it."""
    try:
        body = msgspec.json.decode(raw, type=ResponseBody)
    except msgspec.MsgspecError as error:
        if b'"input"' not in raw:
            raise bad_request("'input' is required") from error
        raise unreadable(error) from error
    if body.previous_response_id is not None:
        raise bad_request("llama.cpp does not support 'previous_response_id'.")
    if body.top_logprobs is not None:
        raise bad_request("top_logprobs requires logprobs to be set to true")
    check_length(facts, body.prompt_tokens)
    return ResponseAnswer(body, facts, f"resp_{number:032x}")
