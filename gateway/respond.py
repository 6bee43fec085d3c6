"""The answer to the client's bytes; a stream that breaks ends loudly."""

from collections.abc import AsyncIterator

from gateway.asgi import Http
from gateway.cascade import Answer, Stream
from gateway.errors import UpstreamFailed, openai_body
from gateway.record import Record
from gateway.sse import DONE, encode
from router.trace import Outcome

_DONE_EVENT = encode(DONE)


async def respond(http: Http, record: Record, answer: Answer) -> Outcome:
    """Send the answer under its provenance headers."""
    if isinstance(answer, bytes):
        record.first_byte()
        await http.reply(200, answer, record.headers())
        return Outcome.SERVED
    told = _Told(record, answer)
    try:
        await http.stream(told.events(), record.headers())
    finally:
        answer.close()
    return told.outcome


class _Told:
    """The events of one streamed answer, and how it ended."""

    def __init__(self, record: Record, stream: Stream) -> None:
        self._record = record
        self._stream = stream
        self.outcome = Outcome.SERVED

    async def events(self) -> AsyncIterator[bytes]:
        self._record.first_byte()
        try:
            async for payload in self._stream.payloads():
                yield encode(payload)
        except UpstreamFailed as error:
            # The head is sent: the client learns it from an error event and the missing [DONE].
            self.outcome = Outcome.CUT
            yield encode(openai_body(error))
        else:
            yield _DONE_EVENT
