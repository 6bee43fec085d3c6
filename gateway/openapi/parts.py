"""What all paths share: errors, headers, types."""

from typing import Any

Schema = dict[str, Any]
"""A piece of an OpenAPI document."""

JSON = "application/json"
EVENTS = "text/event-stream"
KEYED = "key"
BEARER: Schema = {"type": "http", "scheme": "bearer", "description": "`tutelage keys create`"}

ERROR: Schema = {
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

_MEANINGS = {
    400: "The request cannot be used; `param` names the field.",
    404: "No such model, no such response, or an endpoint that the model does not serve.",
    413: "The body is too large.",
    415: "The body is declared as something other than JSON.",
    422: "The engine refused the request.",
    429: "Too many requests in flight, here or at the engine.",
    500: "An error of our own; the log has the trace id.",
    502: "No model could answer.",
    503: "No model can be asked at the moment.",
    504: "No model answered in time.",
}

PROVENANCE: Schema = {
    name: {"description": text, "schema": {"type": "string"}}
    for name, text in {
        "x-tutelage-trace-id": "Names this request in the traces.",
        "x-tutelage-served-by": "student or teacher.",
        "x-tutelage-model": "The model's name at its engine.",
        "x-tutelage-reason": "Why that one served.",
        "x-tutelage-confidence": "The student's, in [0, 1], where the gate ruled.",
    }.items()
}
_RETRY_AFTER: Schema = {
    "retry-after": {"description": "Seconds to wait.", "schema": {"type": "string"}}
}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(kind: str, **more: object) -> Schema:
    """Null means the same as not there."""
    return {"type": [kind, "null"], **more}


def error(description: str) -> Schema:
    return {"description": description, "content": {JSON: {"schema": ref("OpenAIError")}}}


def errors(*statuses: int) -> dict[str, Schema]:
    found = {str(status): error(_MEANINGS[status]) for status in statuses}
    if "429" in found:
        found["429"]["headers"] = _RETRY_AFTER
    return found
