"""How llama.cpp refuses: an integer code, a type of its own, no `param`."""

import msgspec

from serving.dialect import Facts, Refused, encode

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    500: "server_error",
    501: "not_supported_error",
    503: "unavailable_error",
}


def error_body(status: int, message: str, **more: object) -> bytes:
    error = {"code": status, "message": message, "type": KINDS.get(status, "server_error")}
    return encode({"error": error | more})


def bad_request(message: str) -> Refused:
    return Refused(400, error_body(400, message))


def unreadable(error: msgspec.MsgspecError) -> Refused:
    """A body that is not of the right form: llama.cpp says so in its JSON library's words."""
    return bad_request(str(error))


def check_length(facts: Facts, prompt_tokens: int) -> None:
    """The prompt alone: a `max_tokens` beyond the context is accepted and cut."""
    limit = facts.context_tokens
    if prompt_tokens > limit:
        message = (
            f"request ({prompt_tokens} tokens) exceeds the available context size "
            f"({limit} tokens), try increasing it"
        )
        more = {"n_prompt_tokens": prompt_tokens, "n_ctx": limit}
        raise Refused(
            400, error_body(400, message, **({"type": "exceed_context_size_error"} | more))
        )
