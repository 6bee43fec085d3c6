"""What the raw ASGI endpoints answer: as much of OpenAI's shapes as every engine keeps to."""

from gateway.openapi.parts import Schema, nullable

_USAGE = {"type": ["object", "null"]}


def _object(required: list[str], properties: dict[str, Schema]) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _named(kind: str, choice: str) -> Schema:
    """A completion: `kind` is its `object`, `choice` the key that holds what was said."""
    one = _object(
        ["index", choice, "finish_reason"],
        {"index": {"type": "integer"}, choice: {}, "finish_reason": nullable("string")},
    )
    return _object(
        ["id", "object", "created", "model", "choices"],
        {
            "id": {"type": "string"},
            "object": {"const": kind},
            "created": {"type": "integer"},
            "model": {"type": "string"},
            "choices": {"type": "array", "minItems": 1, "items": one},
            "usage": _USAGE,
        },
    )


ANSWERS: dict[str, Schema] = {
    "ChatCompletion": _named("chat.completion", "message"),
    "Completion": _named("text_completion", "text"),
    "Response": _object(
        ["id", "object", "created_at", "model", "status", "output"],
        {
            "id": {"type": "string"},
            "object": {"const": "response"},
            "created_at": {"type": "number"},
            "model": {"type": "string"},
            "status": {"type": "string"},
            "output": {"type": "array", "items": {"type": "object"}},
            "usage": _USAGE,
        },
    ),
    "Embeddings": _object(
        ["object", "data", "model", "usage"],
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"type": "object"}},
            "model": {"type": "string"},
            "usage": _USAGE,
        },
    ),
    "Event": _object(
        ["data"],
        {
            "event": {"type": "string"},
            "data": {
                "type": "string",
                "description": "A piece of the answer in JSON; `[DONE]` ends chat and completions.",
            },
        },
    ),
    "EngineAnswer": {"type": "object", "description": "As the engine gave it."},
}
