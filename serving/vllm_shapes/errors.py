"""How vLLM refuses: error objects with an integer code, unlike OpenAI's."""

import msgspec

from serving.dialect import Facts, Refused, encode


def error_body(status: int, message: str, *, kind: str, param: str | None = None) -> bytes:
    return encode(
        {"error": {"message": message, "type": kind, "param": param, "code": status}},
    )


def refused(status: int, kind: str, param: str | None, message: str) -> Refused:
    return Refused(status, error_body(status, message, kind=kind, param=param))


def bad_request(message: str, param: str | None = None, value: object = None) -> Refused:
    """VLLM writes the parameter and the value behind its message."""
    known = {"parameter": param, "value": value}
    told = ", ".join(f"{key}={each}" for key, each in known.items() if each is not None)
    return refused(400, "BadRequestError", param, f"{message} ({told})" if told else message)


def unreadable(error: msgspec.MsgspecError) -> Refused:
    """A body that is not of the right form: vLLM says so in pydantic's words, we in msgspec's."""
    return refused(400, "Bad Request", None, f"1 validation error:\n  {error}")


def check_model(model: str | None, facts: Facts) -> None:
    """None means the one model that is served."""
    if model is not None and model != facts.model:
        message = f"The model `{model}` does not exist. Valid aliases: {facts.model}."
        raise refused(404, "NotFoundError", "model", message)


def check_lengths(facts: Facts, *, prompt_tokens: int, max_tokens: int | None, param: str) -> None:
    """`param` names the field that `max_tokens` came from."""
    limit = facts.context_tokens
    if max_tokens is not None and max_tokens > limit:
        message = (
            f"{param}={max_tokens} cannot be greater than max_model_len={limit}. Please request "
            f"fewer output tokens."
        )
        raise bad_request(message, param, max_tokens)
    if prompt_tokens > limit:
        message = (
            f"This model's maximum context length is {limit} tokens. However, your prompt "
            f"contains at least {limit + 1} input tokens, which exceeds this limit even without "
            f"any output tokens. Please reduce the length of the input prompt."
        )  # it stops counting there
        raise bad_request(message, "input_tokens", limit + 1)


def check_choices(n: int | None, temperature: float | None) -> None:
    """The same answer several times is not to be had."""
    if (n or 1) > 1 and temperature == 0:
        raise bad_request(f"n must be 1 when using greedy sampling, got {n}.")
