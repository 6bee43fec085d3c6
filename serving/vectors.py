"""Embeddings that are made of the text alone."""

import base64
import hashlib
import math
import struct

WIDTH = 8
"""How long a vector is unless the request asks for fewer dimensions."""


def vector(text: str, width: int) -> list[float]:
    """Of length one, in single precision; the same text always the same."""
    raw = hashlib.sha256(text.encode()).digest()[:width]
    values = [byte / 127.5 - 1 for byte in raw]
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    single = struct.Struct(f"<{len(values)}f")
    return list(single.unpack(single.pack(*(value / norm for value in values))))


def as_base64(values: list[float]) -> str:
    """Little-endian single precision, as the API has it."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
