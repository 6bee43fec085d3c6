"""The bodies of the raw ASGI endpoints: what is read here of a request, and so can be refused."""

from gateway.openapi.parts import Schema, nullable
from gateway.wire import MOST_CHOICES

_STREAM = nullable("boolean", description="Answer with server-sent events.")
_N = nullable(
    "integer", minimum=1, maximum=MOST_CHOICES, description="How many answers; 1 unless said."
)
_STREAM_OPTIONS = nullable(
    "object",
    properties={"include_usage": nullable("boolean", description="A last event with the usage.")},
)
_SOMETHING: Schema = {"not": {"type": "null"}}


def requests(models: list[str]) -> dict[str, Schema]:
    """By name; `models` are those that there are."""
    model = {
        "type": "string",
        "enum": models,
        "description": "A route, or its pin: `support:student`, `support:teacher`.",
    }
    return {
        "ChatRequest": _body(
            "OpenAI's chat completion. What is not listed here passes through untouched.",
            {
                "model": model,
                "messages": {"type": "array", "minItems": 1, "items": {}},
                "stream": _STREAM,
                "stream_options": _STREAM_OPTIONS,
                "n": _N,
                "logprobs": nullable("boolean"),
            },
            required=["model", "messages"],
        ),
        "CompletionRequest": _body(
            "OpenAI's text completion, with vLLM's `prompt_embeds`. Several prompts with `n` "
            "answers each are at most 2048 choices.",
            {
                "model": model,
                "prompt": _PROMPT,
                "prompt_embeds": {"description": "vLLM's; may stand in for `prompt`."},
                "stream": _STREAM,
                "stream_options": _STREAM_OPTIONS,
                "n": _N,
                "logprobs": nullable("integer"),
                "echo": nullable("boolean"),
            },
            required=["model"],
        )
        | {"anyOf": [_has("prompt"), _has("prompt_embeds")]},
        "ResponsesRequest": _body(
            "OpenAI's response. One that goes on from a stored response is asked of the model "
            "that wrote that one.",
            {
                "model": model,
                "input": {"description": "A string, or a list of input items."},
                "prompt": {"description": "OpenAI's stored prompt; may stand in for `input`."},
                "previous_response_id": nullable("string", description="The id of one from here."),
                "stream": _STREAM,
                "background": nullable("boolean"),
                "include": nullable("array", items={}),
            },
            required=["model"],
        )
        | {"anyOf": [_has("input"), _has("prompt")]},
        "EmbeddingsRequest": _body(
            "OpenAI's embeddings, with vLLM's `messages`. One model answers: vectors of two do "
            "not mix.",
            {
                "model": model,
                "input": {"description": "A string, token ids, or a list of either."},
                "messages": {"description": "vLLM's; may stand in for `input`."},
            },
            required=["model"],
        )
        | {"anyOf": [_has("input"), _has("messages")]},
        "TokenizeRequest": _body(
            "vLLM's: `prompt` or `messages`; llama.cpp's: `content`.",
            {"model": model},
            required=["model"],
        ),
        "DetokenizeRequest": _body(
            "`tokens`, as vLLM and llama.cpp have it.", {"model": model}, required=["model"]
        ),
    }


_PROMPT: Schema = {
    "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {}}, {"type": "null"}],
    "description": "A string, token ids, or a list of either.",
}


def _body(description: str, properties: dict[str, Schema], *, required: list[str]) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": required,
        "properties": properties,
        "additionalProperties": True,
    }


def _has(field: str) -> Schema:
    return {"required": [field], "properties": {field: _SOMETHING}}
