"""An answer that is being written: what was held, then the rest as it comes, for the client."""

from dataclasses import dataclass, field

from gateway.errors import UpstreamFailed, UpstreamRejected
from gateway.events import Events
from gateway.origin import Origin
from gateway.reply import Reply
from gateway.route import Role
from gateway.transcript import Transcript
from gateway.wire import Asked

Heard = tuple[bytes, Reply]
"""A payload as it came, and what it says."""


@dataclass(slots=True)
class Stream:
    """Its first events are here. Close it, also when it was never read."""

    asked: Asked
    role: Role
    origin: Origin
    transcript: Transcript
    held: list[Heard]
    events: Events
    last: bytes = field(default=b"", init=False)

    async def batch(self) -> bytes | None:
        """All events that are here, framed for the client: at least one; None after the last.

        Events that came in one read leave in one write. After None, `last` is what ends a whole
        stream. Raises UpstreamFailed or UpstreamRejected when it breaks.
        """
        try:
            if self.held:
                held, self.held = self.held, []
                if batch := b"".join(self._shown(*each) for each in held):
                    return batch
            batch = b""
            while not batch:
                if (payload := await self.events.next()) is None:
                    self.transcript.heard_to_the_end()
                    self.last = self.asked.ended()
                    return None
                batch = self._heard(payload)
            while self.events.ready and (payload := await self.events.next()) is not None:
                batch += self._heard(payload)
        except (UpstreamFailed, UpstreamRejected) as trouble:
            self.transcript.ended(complete=False, error=trouble)
            raise
        return batch

    def close(self) -> None:
        self.events.close()
        self.transcript.ended(complete=False)

    def _heard(self, payload: bytes) -> bytes:
        return self._shown(payload, self.transcript.hear(payload, stream=True))

    def _shown(self, payload: bytes, reply: Reply) -> bytes:
        shown = self.asked.shown(payload, reply, self.origin)
        return self.asked.framed(shown) if shown is not None else b""
