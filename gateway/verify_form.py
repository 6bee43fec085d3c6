"""The answer of two models in the client's form: one voice, one id, one count of tokens."""

from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import msgspec

from gateway.errors import UpstreamFailed
from gateway.events import Events
from gateway.verify_calls import read_continuation
from gateway.wire import UNREADABLE, as_json
from router.trace import Usage


class _Head(msgspec.Struct):
    """What the student's bytes began with, and all that belongs to it goes on with."""

    id: str
    created: int
    object: str


_HEAD = msgspec.json.Decoder(_Head)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CHOICES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class Voice:
    """Writes what the teacher says as if the student's answer had been its own.

    first: the student's answer, or the first event of it. model: the teacher's. chat: whether the
    answer is a message; else it is text.
    """

    def __init__(
        self,
        upstream: str,
        first: bytes,
        *,
        model: str,
        chat: bool,
        at_end: Mapping[str, object] | None = None,
    ) -> None:
        """at_end: what the chunk with the finish reason also has. Raises UpstreamFailed for bytes
        that are no answer.
        """
        self._at_end = at_end or {}
        self._first = first
        self._chat = chat
        self._model = model
        try:
            self._head = _HEAD.decode(first)
        except UNREADABLE as error:
            raise UpstreamFailed(upstream, f"an answer without a head: {error}") from error

    def whole(self, text: str, finish_reason: str | None, usage: Usage) -> bytes:
        """The student's answer with other words."""
        fields = _FIELDS.decode(self._first)
        choice = _CHOICES.decode(fields["choices"])[0]
        if self._chat:
            message = _FIELDS.decode(choice["message"])
            choice["message"] = as_json(message | {"content": as_json(text)})
        else:
            choice["text"] = as_json(text)
        choice["finish_reason"] = as_json(finish_reason)
        fields |= {"choices": as_json([choice]), "usage": as_json(_told(usage))}
        return msgspec.json.encode(fields | {"model": as_json(self._model)})

    def renamed(self, payload: bytes) -> bytes:
        """The student's own bytes under the name of the model that stands by them."""
        fields = _FIELDS.decode(payload)
        return msgspec.json.encode(fields | {"model": as_json(self._model)})

    def opening(self, text: str) -> list[bytes]:
        """The first events of a stream that begins with `text`."""
        if not self._chat:
            return [self._chunk({"text": text}, None)]
        role: dict[str, object] = {"delta": {"role": "assistant", "content": ""}}
        return [self._chunk(role, None), self._chunk({"delta": {"content": text}}, None)]

    def piece(self, text: str, finish_reason: str | None) -> bytes:
        said: dict[str, object] = {"text": text}
        if self._chat:
            said = {"delta": {"content": text} if text or finish_reason is None else {}}
        return self._chunk(said, finish_reason)

    def usage(self, usage: Usage) -> bytes:
        return self._event([], usage=_told(usage))

    def _chunk(self, said: dict[str, object], finish_reason: str | None) -> bytes:
        choice = {"index": 0} | said | {"logprobs": None, "finish_reason": finish_reason}
        return self._event([choice], **(self._at_end if finish_reason is not None else {}))

    def _event(self, choices: list[dict[str, object]], **more: object) -> bytes:
        head = self._head
        event = {"id": head.id, "object": head.object, "created": head.created}
        return msgspec.json.encode(event | {"model": self._model, "choices": choices} | more)


def _told(usage: Usage) -> dict[str, int]:
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
    }


class Continued:
    """The teacher's text completion as events of the client's stream.

    before: the prompt, and what of the answer stands before the teacher goes on.
    """

    def __init__(self, upstream: str, events: Events, voice: Voice, before: Usage) -> None:
        self._upstream = upstream
        self._events = events
        self._voice = voice
        self._before = before
        self._made: deque[bytes] = deque()
        self.spent: Usage | None = None
        """As the teacher counted, once it has told."""

    @property
    def ready(self) -> bool:
        return bool(self._made) or self._events.ready

    async def next(self) -> bytes | None:
        while not self._made:
            if (payload := await self._events.next()) is None:
                return None
            self._hear(payload)
        return self._made.popleft()

    def _hear(self, payload: bytes) -> None:
        heard = read_continuation(self._upstream, payload)
        self._made.extend(
            self._voice.piece(each.text, each.finish_reason) for each in heard.choices
        )
        if heard.usage is not None:
            self.spent = heard.usage.spent()
            self._made.append(self._voice.usage(joined(self._before, self.spent)))

    def closed_on_error(self) -> AbstractContextManager[None]:
        return self._events.closed_on_error()

    def close(self) -> None:
        self._events.close()


class Over:
    """A stream of which everything was heard."""

    ready = False

    async def next(self) -> None:
        return None

    def closed_on_error(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        pass


def joined(before: Usage, continuation: Usage) -> Usage:
    """The client's: its own prompt, and the whole answer."""
    written = before.completion_tokens + continuation.completion_tokens
    return Usage(before.prompt_tokens, written)
