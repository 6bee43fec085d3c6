"""What makes two requests belong together, so that they meet the same replica's KV cache."""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import blake2b

import msgspec

from gateway.wire import UNREADABLE

Fields = Mapping[str, msgspec.Raw]


class Affinity(StrEnum):
    NONE = "none"
    USER = "user"
    """`prompt_cache_key`, else `safety_identifier`, else `user`: what the client says."""
    PREFIX = "prefix"
    """What a conversation begins with, its first user message included: all its turns have that in
    common, and no other conversation does, as they would if only the system prompt counted."""


_SAYS_WHO = ("prompt_cache_key", "safety_identifier", "user")
_PROMPTS = ("messages", "input", "prompt")
_MOST_OF_A_KEY = 256
_MOST_OF_A_MESSAGE = 2048
_MOST_OF_A_PROMPT = 512
"""A prompt has no turns to cut it at. If it is shorter than this and grows, it moves once, when its
KV cache is small."""


def affinity_of(kind: Affinity, fields: Fields) -> bytes | None:
    """The affinity of a request, from its top-level fields; None: any replica will do."""
    match kind:
        case Affinity.NONE:
            return None
        case Affinity.USER:
            return _user(fields)
        case Affinity.PREFIX:
            return _prefix(fields)


def _user(fields: Fields) -> bytes | None:
    for name in _SAYS_WHO:
        raw = bytes(fields.get(name, b""))
        if raw.startswith(b'"') and raw != b'""':
            return raw[:_MOST_OF_A_KEY]
    return None


def _prefix(fields: Fields) -> bytes | None:
    for name in _PROMPTS:
        raw = bytes(fields.get(name, b""))
        if raw.startswith(b'"'):
            return _digest(raw[:_MOST_OF_A_PROMPT])
        if raw.startswith(b"["):
            return _opening(raw)
    return None


def _opening(messages: bytes) -> bytes:
    try:
        found = _LIST.decode(messages)
    except UNREADABLE:
        return _digest(messages[:_MOST_OF_A_PROMPT])
    parts = []
    for message in found:
        parts.append(bytes(message)[:_MOST_OF_A_MESSAGE])
        if _role(message) == "user":
            return _digest(b"\n".join(parts))
    return _digest(messages[:_MOST_OF_A_PROMPT])


def _role(message: msgspec.Raw) -> str | None:
    try:
        return _MESSAGE.decode(message).role
    except UNREADABLE:
        return None


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=8).digest()


class _Message(msgspec.Struct):
    role: str | None = None


_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_MESSAGE = msgspec.json.Decoder(_Message)
