"""`/v1/embeddings` in the shape of vLLM 0.32: vectors made of the text alone."""

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from serving.dialect import CREATED, DONE, Facts, Stream, encode, sse
from serving.say import Say
from serving.vllm_shapes.errors import (
    bad_request,
    check_lengths,
    check_model,
    error_body,
    unreadable,
)
from serving.written import words

WIDTH = 8
"""How long a vector is unless the request asks for fewer `dimensions`."""


class EmbeddingBody(msgspec.Struct):
    input: str | list[str | int | list[int]]
    model: str | None = None
    encoding_format: str = "float"
    dimensions: int | None = None

    @property
    def inputs(self) -> list[str]:
        """Token ids are read as their numbers."""
        match self.input:
            case str():
                return [self.input]
            case [int(), *_]:
                return [" ".join(map(str, self.input))]
            case _:
                return [i if isinstance(i, str) else " ".join(map(str, [i])) for i in self.input]


def vector(text: str, width: int) -> list[float]:
    """Of length one, in single precision; the same text always the same."""
    raw = hashlib.sha256(text.encode()).digest()[:width]
    values = [byte / 127.5 - 1 for byte in raw]
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    single = struct.Struct(f"<{len(values)}f")
    return list(single.unpack(single.pack(*(value / norm for value in values))))


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """What is said plays no part: a script only decides whether and how it arrives."""

    body: EmbeddingBody
    facts: Facts
    id: str

    @property
    def streamed(self) -> bool:
        return False

    @property
    def last_words(self) -> str:
        return self.body.inputs[-1]

    def whole(self, says: Sequence[Say]) -> bytes:  # noqa: ARG002 - see the class
        width = self.body.dimensions or WIDTH
        tokens = sum(len(words(each)) for each in self.body.inputs)
        return encode(
            {
                "id": self.id,
                "object": "list",
                "created": CREATED,
                "model": self.facts.model,
                "data": [
                    {
                        "index": index,
                        "object": "embedding",
                        "embedding": self._encoded(vector(text, width)),
                    }
                    for index, text in enumerate(self.body.inputs)
                ],
                "usage": {
                    "prompt_tokens": tokens,
                    "total_tokens": tokens,
                    "completion_tokens": 0,
                    "prompt_tokens_details": None,
                    "completion_tokens_details": None,
                },
            }
        )

    def stream(self, says: Sequence[Say]) -> Stream:
        """Never asked for; what a `WrongType` sends."""
        return Stream((), (sse(self.whole(says)),), (DONE,))

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message, kind="InternalServerError")) + DONE

    def _encoded(self, values: list[float]) -> list[float] | str:
        if self.body.encoding_format == "float":
            return values
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def understand(raw: bytes, facts: Facts, *, number: int) -> EmbeddingAnswer:
    """The request, or Refused as vLLM refuses it."""
    try:
        body = msgspec.json.decode(raw, type=EmbeddingBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    if not 0 < (body.dimensions or WIDTH) <= WIDTH:
        message = f"dimensions must be between 1 and {WIDTH} (value={body.dimensions})"
        raise bad_request(message, "dimensions")
    for text in body.inputs:
        check_lengths(facts, prompt_tokens=len(words(text)), max_tokens=None, param="input")
    return EmbeddingAnswer(body, facts, f"embd-{number:016x}")
