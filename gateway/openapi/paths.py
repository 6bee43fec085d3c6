"""The raw ASGI endpoints, in the words of OpenAPI."""

from gateway.openapi.parts import EVENTS, JSON, PROVENANCE, Schema, errors, ref

_MAY_FAIL = (400, 404, 413, 415, 422, 429, 500, 502, 503, 504)


def _post(name: str, summary: str, request: str, answer: str, *, streams: bool) -> Schema:
    content: Schema = {JSON: {"schema": ref(answer)}}
    if streams:
        content[EVENTS] = {"schema": ref("Event")}
    served = {
        "description": "The answer; server-sent events when `stream` is true."
        if streams
        else "The answer.",
        "headers": PROVENANCE,
        "content": content,
    }
    return {
        "post": {
            "summary": summary,
            "operationId": name,
            "tags": ["openai"],
            "requestBody": {"required": True, "content": {JSON: {"schema": ref(request)}}},
            "responses": {"200": served, **errors(*_MAY_FAIL)},
        }
    }


PATHS: dict[str, Schema] = {
    "/v1/chat/completions": _post(
        "create_chat_completion",
        "Create a chat completion",
        "ChatRequest",
        "ChatCompletion",
        streams=True,
    ),
    "/v1/completions": _post(
        "create_completion",
        "Create a text completion",
        "CompletionRequest",
        "Completion",
        streams=True,
    ),
    "/v1/responses": _post(
        "create_response", "Create a response", "ResponsesRequest", "Response", streams=True
    ),
    "/v1/embeddings": _post(
        "create_embeddings", "Create embeddings", "EmbeddingsRequest", "Embeddings", streams=False
    ),
    "/tokenize": _post(
        "tokenize", "Text to token ids", "TokenizeRequest", "EngineAnswer", streams=False
    ),
    "/detokenize": _post(
        "detokenize", "Token ids to text", "DetokenizeRequest", "EngineAnswer", streams=False
    ),
}
