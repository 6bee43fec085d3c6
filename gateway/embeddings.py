"""Embeddings and tokenizing: one model's own numbers, passed through and counted, never judged.

Vectors of two models do not mix, and neither do their token ids: such a request is answered by one
model and falls back to none.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from gateway.chat import TokenUsage
from gateway.errors import BadRequest
from gateway.origin import Origin
from gateway.reply import Part
from gateway.wire import NULL, Asked, is_there, read_fields, read_model
from router.trace import Usage


class PlainRequest(Asked, frozen=True, kw_only=True, gc=False):
    """A request whose answer nobody reads here but for its usage."""

    generates: ClassVar[bool] = False
    judgeable: bool = False

    def hear(self, payload: bytes, *, stream: bool) -> "PlainReply":
        return _REPLY.decode(payload)

    def shown(self, payload: bytes, reply: object, origin: Origin) -> bytes | None:
        return payload


class EmbeddingsRequest(PlainRequest, frozen=True, kw_only=True, gc=False):
    """`POST /v1/embeddings`."""

    path: ClassVar[str] = "/embeddings"


class TokenizeRequest(PlainRequest, frozen=True, kw_only=True, gc=False):
    """`POST /tokenize`, as vLLM and llama.cpp have it."""

    path: ClassVar[str] = "/tokenize"


class DetokenizeRequest(PlainRequest, frozen=True, kw_only=True, gc=False):
    """`POST /detokenize`."""

    path: ClassVar[str] = "/detokenize"


class PlainReply(msgspec.Struct):
    metrics: ClassVar[msgspec.Raw] = NULL
    usage: TokenUsage | None = None
    trouble: msgspec.Raw = msgspec.field(name="error", default=NULL)

    @property
    def parts(self) -> Sequence[Part]:
        return ()

    @property
    def spent(self) -> Usage | None:
        return self.usage.spent() if self.usage is not None else None


def parse_embeddings(body: bytes) -> EmbeddingsRequest:
    """Raises BadRequest naming the field that is missing or of the wrong type."""
    fields = read_fields(body)
    model = read_model(fields)
    if not is_there(fields.get("input", NULL)) and not is_there(fields.get("messages", NULL)):
        raise BadRequest("input", "is required: a string, token ids, or a list of either")
    return EmbeddingsRequest(raw=body, fields=fields, model=model)


def parse_tokenize(body: bytes) -> TokenizeRequest:
    """Raises BadRequest; what else is needed is the engine's to say."""
    fields = read_fields(body)
    return TokenizeRequest(raw=body, fields=fields, model=read_model(fields))


def parse_detokenize(body: bytes) -> DetokenizeRequest:
    """Raises BadRequest; what else is needed is the engine's to say."""
    fields = read_fields(body)
    return DetokenizeRequest(raw=body, fields=fields, model=read_model(fields))


_REPLY = msgspec.json.Decoder(PlainReply)
