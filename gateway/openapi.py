"""The OpenAPI description of the raw ASGI routes, which FastAPI cannot see by itself."""

from typing import Any

from gateway.front import FrontApp

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}

_CHAT = {
    "type": "object",
    "required": ["model", "messages"],
    "additionalProperties": True,
    "properties": {
        "model": {"type": "string", "description": "A route, or its pin: `support:teacher`."},
        "messages": {"type": "array", "minItems": 1, "items": {}},
        "stream": {"type": ["boolean", "null"]},
        "n": {"type": ["integer", "null"], "minimum": 1},
        "logprobs": {"type": ["boolean", "null"]},
        "stream_options": {"type": ["object", "null"]},
    },
}

_PROVENANCE = {
    name: {"description": text, "schema": {"type": "string"}}
    for name, text in {
        "x-tutelage-trace-id": "Names this request in the traces.",
        "x-tutelage-served-by": "student or teacher.",
        "x-tutelage-model": "The model's name at its engine.",
        "x-tutelage-reason": "Why that one served.",
        "x-tutelage-confidence": "The student's, in [0, 1], where the gate ruled.",
    }.items()
}


def _error(description: str) -> dict[str, object]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/OpenAIError"}}},
    }


_CHAT_PATH = {
    "post": {
        "summary": "Create a chat completion",
        "description": "OpenAI's chat completion; fields not listed here pass through untouched.",
        "operationId": "chat_completions",
        "tags": ["openai"],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}
            },
        },
        "responses": {
            "200": {
                "description": "A chat completion, or server-sent events when `stream` is true.",
                "headers": _PROVENANCE,
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "text/event-stream": {"schema": {"type": "string"}},
                },
            },
            "400": _error("The request cannot be used; names the field."),
            "404": _error("No such route."),
            "413": _error("The body is too large."),
            "422": _error("The engine refused the request."),
            "429": _error("Too many requests in flight."),
            "502": _error("No model could answer."),
            "504": _error("No model answered in time."),
        },
    }
}


class DescribedApp(FrontApp):
    """FastAPI whose description covers the raw ASGI routes too; made when it is asked for."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            document["paths"]["/v1/chat/completions"] = _CHAT_PATH
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["OpenAIError"] = _ERROR
            schemas["ChatRequest"] = _CHAT
            self.openapi_schema = document
        return self.openapi_schema
