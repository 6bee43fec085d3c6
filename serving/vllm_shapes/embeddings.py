"""`/v1/embeddings` in the shape of vLLM 0.32: vectors made of the text alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from serving.asked import EmbeddingBody
from serving.dialect import CREATED, DONE, Facts, Stream, encode, sse
from serving.say import Say
from serving.vectors import WIDTH, as_base64, vector
from serving.vllm_shapes.errors import (
    bad_request,
    check_lengths,
    check_model,
    error_body,
    unreadable,
)
from serving.written import words


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
        return as_base64(values)


def understand(raw: bytes, facts: Facts, *, number: int) -> EmbeddingAnswer:
    """The request, or Refused as vLLM refuses it."""
    try:
        body = msgspec.json.decode(raw, type=EmbeddingBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    if not 0 < (body.dimensions or WIDTH) <= WIDTH:
        message = f"dimensions must be between 1 and {WIDTH}"
        raise bad_request(message, "dimensions", body.dimensions)
    for text in body.inputs:
        check_lengths(facts, prompt_tokens=len(words(text)), max_tokens=None, param="input")
    return EmbeddingAnswer(body, facts, f"embd-{number:016x}")
