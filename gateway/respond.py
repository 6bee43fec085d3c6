"""The answer to the client's bytes; a stream that breaks ends loudly."""

from gateway.asgi import Http
from gateway.cascade import Answer
from gateway.errors import UpstreamFailed
from gateway.record import Record
from gateway.stream import Stream
from router.trace import Outcome


async def respond(http: Http, record: Record, answer: Answer) -> Outcome:
    """Send the answer under its provenance headers."""
    record.first_byte()
    if isinstance(answer, bytes):
        await http.reply(200, answer, record.headers())
        return Outcome.SERVED
    try:
        return await _tell(http, record, answer)
    finally:
        answer.close()


async def _tell(http: Http, record: Record, stream: Stream) -> Outcome:
    await http.start_stream(record.headers())
    try:
        while (batch := await stream.batch()) is not None:
            await http.send(batch)
    except UpstreamFailed as error:
        # The head is sent: the client learns it from an error event and the missing end.
        await http.end_stream(record.asked.failed(error))
        return Outcome.CUT
    await http.end_stream(stream.last)
    return Outcome.SERVED
