"""The answer to the client's bytes; a stream that breaks ends loudly."""

from gateway.cascade import Answer
from gateway.errors import UpstreamFailed, UpstreamRejected
from gateway.http import Http
from gateway.metrics import Metrics
from gateway.record import Record
from gateway.stage import Stage
from gateway.stream import Stream
from router.trace import Outcome


async def respond(http: Http, record: Record, answer: Answer, metrics: Metrics) -> Outcome:
    """Send the answer under its provenance headers."""
    record.first_byte()
    if isinstance(answer, bytes):
        if (laps := record.laps) is not None:
            laps.skip()
        await http.reply(200, answer, record.header_lines())
        if laps is not None:
            laps.lap(Stage.RESPOND)
        return Outcome.SERVED
    try:
        return await _tell(http, record, answer, metrics)
    finally:
        answer.close()


async def _tell(http: Http, record: Record, stream: Stream, metrics: Metrics) -> Outcome:
    await http.start_stream(record.header_lines())
    now_s = record.clock.monotonic_s
    observe = metrics.gaps(record.route.name, stream.role)
    last_s = None
    try:
        while (batch := await stream.batch()) is not None:
            await http.send(batch)
            sent_s = now_s()
            if last_s is not None:
                observe(sent_s - last_s)
            last_s = sent_s
    except (UpstreamFailed, UpstreamRejected) as error:
        # The head is sent: the client learns it from an error event and the missing end.
        await http.end_stream(record.asked.failed(error))
        return Outcome.CUT
    await http.end_stream(stream.last)
    return Outcome.SERVED
