"""Server-sent events without I/O: bytes in, event payloads out, and back.

Only what chat streams use: `data:` lines, joined by newlines within an event; comments and other
fields are skipped. However the bytes are cut, the payloads are the same.
"""

DONE = b"[DONE]"
_MAX_EVENT_BYTES = 16 * 1024 * 1024


class MalformedStream(ValueError):
    """The upstream sent something that is not a stream of server-sent events."""


class SseDecoder:
    """`feed` bytes as they come, take whole payloads out; what is incomplete waits inside."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads that `data` completes. Raises MalformedStream on an endless event."""
        buffer = self._rest + data if self._rest else data
        if b"\r" in buffer:
            # A carriage return at the very end may be half of a CRLF: it waits for the next bytes.
            tail = b"\r" if buffer.endswith(b"\r") else b""
            buffer = buffer[: len(buffer) - len(tail)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        else:
            tail = b""
        *events, rest = buffer.split(b"\n\n")
        self._rest = rest + tail
        if len(self._rest) > _MAX_EVENT_BYTES:
            raise MalformedStream(f"an event is longer than {_MAX_EVENT_BYTES} bytes")
        return [payload for event in events if (payload := _payload(event)) is not None]

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished event are held."""
        return bool(self._rest.strip())


def _payload(event: bytes) -> bytes | None:
    if event.startswith(b"data:") and b"\n" not in event:  # the common case, one line
        return event[5:].removeprefix(b" ")
    lines = [
        line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None


def encode(payload: bytes) -> bytes:
    """One event. A payload with newlines becomes several `data:` lines."""
    if b"\n" in payload:
        payload = payload.replace(b"\n", b"\ndata: ")
    return b"data: " + payload + b"\n\n"
