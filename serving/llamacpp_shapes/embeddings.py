"""`/v1/embeddings` in the shape of llama.cpp's server, started with `--embeddings`."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from serving.asked import EmbeddingBody
from serving.dialect import DONE, Facts, Stream, encode, sse
from serving.llamacpp_shapes.errors import bad_request, check_length, error_body, unreadable
from serving.say import Say
from serving.vectors import WIDTH, as_base64, vector
from serving.written import words


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """What is said plays no part; `dimensions` are ignored, as the engine ignores them."""

    body: EmbeddingBody
    facts: Facts

    @property
    def streamed(self) -> bool:
        return False

    @property
    def last_words(self) -> str:
        return self.body.inputs[-1]

    def whole(self, says: Sequence[Say]) -> bytes:  # noqa: ARG002 - see the class
        tokens = sum(len(words(each)) for each in self.body.inputs)
        return encode(
            {
                "model": self.facts.model,
                "object": "list",
                "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
                "data": [
                    self._entry(index, vector(text, WIDTH))
                    for index, text in enumerate(self.body.inputs)
                ],
            }
        )

    def stream(self, says: Sequence[Say]) -> Stream:
        """Never asked for; what a `WrongType` sends."""
        return Stream((), (sse(self.whole(says)),), (DONE,))

    def error_event(self, message: str, *, failed: bool) -> bytes:  # noqa: ARG002 - one shape
        return sse(error_body(500, message))

    def _entry(self, index: int, values: list[float]) -> dict[str, object]:
        entry: dict[str, object] = {"embedding": values, "index": index, "object": "embedding"}
        if self.body.encoding_format == "base64":
            entry |= {"embedding": as_base64(values), "encoding_format": "base64"}
        return entry


def understand(raw: bytes, facts: Facts) -> EmbeddingAnswer:
    """The request, or Refused as llama.cpp refuses it."""
    try:
        body = msgspec.json.decode(raw, type=EmbeddingBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    if not body.inputs:
        raise bad_request('"input" must not be empty')
    for text in body.inputs:
        check_length(facts, len(words(text)))
    return EmbeddingAnswer(body, facts)
