"""The shapes of vLLM 0.32: one file an endpoint, written from its source and held to recordings.

    chat.py, completions.py, embeddings.py      the endpoints that generate
    responses.py, response_body.py              its answers and events; its requests
    models.py, tokenizer.py                     what is asked besides
    logprobs.py, errors.py                      the four shapes of logprobs; refusals
    token_ids.py                                token ids, and prompts of them: read, gone on from

tests/serving/vllm_shapes compares them with what the real engine said (tests/golden/vllm-0.32).
"""

from serving.dialect import Answer, Facts, Refused, encode
from serving.vllm_shapes import chat, completions, embeddings, responses
from serving.vllm_shapes.errors import error_body
from serving.vllm_shapes.models import models
from serving.vllm_shapes.response_body import find_stored
from serving.vllm_shapes.tokenizer import detokenize, tokenize

_STORED = "/v1/responses/"


class Vllm:
    """The dialect (serving.dialect)."""

    def understand(self, path: str, raw: bytes, facts: Facts, *, number: int) -> Answer | None:
        match path:
            case "/v1/chat/completions":
                return chat.understand(raw, facts, number=number)
            case "/v1/completions":
                return completions.understand(raw, facts, number=number)
            case "/v1/responses":
                return responses.understand(raw, facts, number=number)
            case "/v1/embeddings":
                return embeddings.understand(raw, facts, number=number)
            case _:
                return None

    def probe(self, method: str, path: str, raw: bytes, facts: Facts) -> bytes:
        match method, path:
            case "GET", "/health":
                return b""
            case "GET", "/v1/models":
                return models(facts)
            case "POST", "/tokenize":
                return tokenize(raw, facts)
            case "POST", "/detokenize":
                return detokenize(raw, facts)
            case "GET", _ if path.startswith(_STORED):
                return find_stored(path.removeprefix(_STORED), facts)
            case "GET", "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings":
                raise Refused(405, encode({"detail": "Method Not Allowed"}))
            case _:
                raise Refused(404, encode({"detail": "Not Found"}))

    def error(self, status: int, message: str, *, kind: str) -> bytes:
        return error_body(status, message, kind=kind.replace(" ", ""))
