"""The shapes of llama.cpp's server: one file an endpoint, held to recordings.

    chat.py, completions.py, responses.py, embeddings.py    the endpoints that generate
    trailer.py                                              usage, timings, logprobs
    errors.py                                               refusals

What it does differently from vLLM is told where it is done. tests/serving/llamacpp_shapes compares
with what the real engine said (tests/golden/llamacpp), tests/contracts with what it says now. Tool
calls and reasoning are from its source alone: the small model here makes none.
"""

import msgspec

from serving.asked import DetokenizeBody, TokenizeBody
from serving.dialect import CREATED, Answer, Facts, Refused, encode
from serving.llamacpp_shapes import chat, completions, embeddings, responses
from serving.llamacpp_shapes.errors import error_body, unreadable
from serving.written import token_id, words


class LlamaCpp:
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
                return embeddings.understand(raw, facts)
            case _:
                return None

    def probe(self, method: str, path: str, raw: bytes, facts: Facts) -> bytes:
        match method, path:
            case "GET", "/health":
                return encode({"status": "ok"})
            case "GET", "/v1/models":
                return models(facts)
            case "POST", "/tokenize":
                return tokenize(raw)
            case "POST", "/detokenize":
                return detokenize(raw)
            case _:
                # The one error whose keys come in another order.
                error = {"message": "File Not Found", "type": "not_found_error", "code": 404}
                raise Refused(404, encode({"error": error}))

    def error(self, status: int, message: str, *, kind: str) -> bytes:  # noqa: ARG002 - its own kinds
        return error_body(status, message)


def tokenize(raw: bytes) -> bytes:
    """Reads `content` alone: a `prompt` or `messages` have no tokens, and no error either."""
    try:
        body = msgspec.json.decode(raw, type=TokenizeBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    return encode({"tokens": [token_id(each.strip()) for each in words(body.content or "")]})


def detokenize(raw: bytes) -> bytes:
    try:
        body = msgspec.json.decode(raw, type=DetokenizeBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    return encode({"content": body.words})


def models(facts: Facts) -> bytes:
    """Twice: as Ollama lists them, and as OpenAI does."""
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "",
        "families": [""],
        "parameter_size": "",
        "quantization_level": "",
    }
    named = {
        "name": facts.model,
        "model": facts.model,
        "modified_at": "",
        "size": "",
        "digest": "",
        "type": "model",
        "description": "",
        "tags": [""],
        "capabilities": ["completion"],
        "parameters": "",
        "details": details,
    }
    card = {
        "id": facts.model,
        "aliases": [facts.model],
        "tags": [],
        "object": "model",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "created": CREATED,
        "owned_by": "llamacpp",
        "meta": {
            "vocab_type": 2,
            "n_vocab": 49_152,
            "n_ctx": facts.context_tokens,
            "n_ctx_train": facts.context_tokens,
            "n_embd": 8,
            "n_params": 0,
            "size": 0,
            "ftype": "scripted",
        },
    }
    return encode({"models": [named], "object": "list", "data": [card]})
