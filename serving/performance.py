"""A performance: one behaviour played on one response, down to the socket."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec

from serving.dialect import DONE, Answer, Dialect, sse
from serving.raw_http import Reply, phrase
from serving.say import Choices, Echo, Events, Json, Say
from serving.scripts import (
    Behaviour,
    Breakage,
    Cut,
    Distortion,
    Drip,
    ErrorEvent,
    Garbage,
    Hang,
    Inserted,
    Page,
    Reset,
    Status,
    Truncated,
    WrongType,
)

EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Performance:
    """`note` writes the journal; `pause` returns when the engine is resumed."""

    answer: Answer
    dialect: Dialect
    reply: Reply
    note: Callable[[str], None]
    pause: Callable[[], Awaitable[None]]

    async def play(self, behaviour: Behaviour) -> None:
        match behaviour:
            case Say():
                await self._speak([behaviour])
            case Choices(says):
                await self._speak(says)
            case Echo():
                await self._speak([behaviour.say(self.answer.last_words)])
            case Json(body):
                await self.reply.whole(200, msgspec.json.encode(body))
            case Events():
                await self._send(behaviour)
            case _ if isinstance(behaviour, Breakage):
                await self._break(behaviour)
                return
            case _:
                self.note(await self._distort(behaviour))
                return
        self.note("finished")

    async def _break(self, fault: Breakage) -> None:
        reply = self.reply
        match fault:
            case Status(code, body, headers):
                raw = self._error(code) if body is None else msgspec.json.encode(body)
                await reply.whole(code, raw, headers=headers)
                self.note(f"answered {code}")
            case Hang(after, say):
                await self._begin(after, say)
                await asyncio.Event().wait()
            case Reset(after, say):
                await self._begin(after, say)
                self.note(f"reset after {reply.tokens}")
                reply.reset()
            case Cut(after, say, clean):
                await self._begin(after, say)
                self.note(f"cut after {reply.tokens}")
                await reply.end() if clean else reply.close()
            case Truncated(missing_bytes, say):
                await self._truncate(missing_bytes, say)
            case ErrorEvent():
                await self._break_off(fault)
            case _:
                assert_never(fault)

    async def _distort(self, fault: Distortion) -> str:
        """What the journal says of it."""
        match fault:
            case Inserted():
                await self._insert(fault)
            case WrongType(say):
                await self._whole([say]) if self.answer.streamed else await self._stream([say])
                return "finished"
            case Drip(bytes_at_a_time, say):
                await self._drip(bytes_at_a_time, say)
                return "finished"
            case Garbage(raw, after_headers):
                await self._litter(raw, after_headers=after_headers)
            case Page(raw, content_type, code):
                await self.reply.whole(code, raw, content_type=content_type)
            case _:
                assert_never(fault)
        return "sent garbage"

    async def _speak(self, says: Sequence[Say]) -> None:
        """The whole answer, with its pauses, which are those of the first choice."""
        if says[0].held:
            await self.pause()
        if self.answer.streamed:
            await self._stream(says)
            return
        if says[0].pause_after is not None or says[0].pause_each:
            await self.pause()
        await asyncio.sleep(says[0].token_delay_s * len(says[0].tokens))
        await self._whole(says)

    async def _whole(self, says: Sequence[Say]) -> None:
        await self.reply.whole(200, self.answer.whole(says))

    async def _stream(self, says: Sequence[Say]) -> None:
        first, reply = says[0], self.reply
        stream = self.answer.stream(says)
        await reply.start(EVENT_STREAM)
        await self._events(stream.opening)
        for event in stream.tokens:
            if first.pause_each or first.pause_after == reply.tokens:
                await self.pause()
            if first.token_delay_s:
                await asyncio.sleep(first.token_delay_s)
            await self._token(event)
        if first.pause_after == reply.tokens:
            await self.pause()
        await self._events(stream.closing)
        await reply.end()

    async def _token(self, event: bytes) -> None:
        """Some tokens have no event: nothing of them is seen by a client."""
        await self._events((event,))
        self.reply.tokens += 1

    async def _events(self, events: Sequence[bytes]) -> None:
        for event in events:
            if event:
                await self.reply.chunk(event)

    async def _begin(self, after: int | None, say: Say) -> None:
        """The headers, the opening and `after` tokens; nothing at all if it is None.

        An answer that is not streamed has its headers and `after` bytes of its body sent.
        """
        if after is None:
            return
        if not self.answer.streamed:
            await self.reply.start(JSON)
            await self._events((self.answer.whole([say])[:after],))
            return
        stream = self.answer.stream([say])
        await self.reply.start(EVENT_STREAM)
        await self._events(stream.opening)
        for event in stream.tokens[:after]:
            await self._token(event)

    async def _send(self, events: Events) -> None:
        await self.reply.start(EVENT_STREAM)
        for item in events.data:
            raw = item.encode() if isinstance(item, str) else msgspec.json.encode(item)
            kind = item.get("type") if isinstance(item, dict) else None
            await self.reply.chunk(sse(raw, event=kind))
        if events.done:
            await self.reply.chunk(DONE)
        await self.reply.end()

    async def _insert(self, fault: Inserted) -> None:
        if not self.answer.streamed:
            await self.reply.whole(200, fault.raw if fault.whole is None else fault.whole)
            return
        await self._begin(fault.after, fault.of)
        await self.reply.chunk(fault.raw)
        stream = self.answer.stream([fault.of])
        for event in stream.tokens[fault.after :]:
            await self._token(event)
        await self._events(stream.closing)
        await self.reply.end()

    async def _break_off(self, fault: ErrorEvent) -> None:
        if not self.answer.streamed:
            raw = self.dialect.error(500, fault.message, kind=phrase(500))
            await self.reply.whole(500, raw)
            self.note("answered 500")
            return
        await self._begin(fault.after, fault.of)
        await self.reply.chunk(self.answer.error_event(fault.message, failed=fault.failed))
        await self.reply.end()
        self.note(f"failed after {self.reply.tokens}")

    async def _truncate(self, missing_bytes: int, say: Say) -> None:
        if self.answer.streamed:
            await self._begin(len(say.tokens), say)
        else:
            body = self.answer.whole([say])
            await self.reply.short(body[:-missing_bytes], promised_bytes=len(body))
        self.note(f"cut after {self.reply.tokens}")
        self.reply.close()

    async def _drip(self, bytes_at_a_time: int, say: Say) -> None:
        if self.answer.streamed:
            stream = self.answer.stream([say])
            body = b"".join((*stream.opening, *stream.tokens, *stream.closing))
        else:
            body = self.answer.whole([say])
        await self.reply.start(EVENT_STREAM if self.answer.streamed else JSON)
        for start in range(0, len(body), bytes_at_a_time):
            await self.pause()
            await self.reply.chunk(body[start : start + bytes_at_a_time])
        await self.reply.end()

    async def _litter(self, raw: bytes, *, after_headers: bool) -> None:
        if not after_headers:
            await self.reply.raw(raw)
            self.reply.close()
            return
        await self.reply.start(EVENT_STREAM if self.answer.streamed else JSON)
        await self.reply.chunk(raw)
        await self.reply.end()

    def _error(self, code: int) -> bytes:
        kind = phrase(code)
        return self.dialect.error(code, f"scripted: {code} {kind}", kind=kind)
