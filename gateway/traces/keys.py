"""A trace id as the store keeps it: the 16 bytes of its UUID, which sort by time."""

from uuid import UUID

_BYTES = 16
_DIGITS = 2 * _BYTES
_BITS_BELOW_TIME = 80
_MOST_MS = (1 << 48) - 1


def key_of(trace_id: str) -> bytes:
    """Raises ValueError for what is not a UUID's 32 digits."""
    key = bytes.fromhex(trace_id.replace("-", ""))
    if len(key) != _BYTES:
        raise ValueError(f"{trace_id!r} is not a trace id")
    return key


def trace_id_of(key: bytes) -> str:
    return str(UUID(bytes=key))


def first_key(unix_s: float) -> bytes:
    """No trace of that millisecond or a later one has a lesser key."""
    number = min(max(int(unix_s * 1000), 0), _MOST_MS) << _BITS_BELOW_TIME
    return number.to_bytes(_BYTES)


def keys_from(prefix: str) -> tuple[bytes, bytes] | None:
    """The first and the last key of the ids that begin like this; None if no id can."""
    digits = prefix.replace("-", "")
    try:
        return (
            bytes.fromhex(digits.ljust(_DIGITS, "0")),
            bytes.fromhex(digits.ljust(_DIGITS, "f")),
        )
    except ValueError:
        return None
