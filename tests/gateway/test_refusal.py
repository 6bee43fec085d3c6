"""What engines say when they refuse, in all their shapes, becomes one of our errors."""

from pathlib import Path

import msgspec
import pytest

from gateway.errors import (
    ContentFiltered,
    ContextTooLong,
    GatewayError,
    NoEndpoint,
    UpstreamCut,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnavailable,
    openai_body,
)
from gateway.refusal import Said, disguised, error_event, read_error, refusal

GOLDEN = Path(__file__).parents[1] / "golden" / "vllm-0.32"

VLLM_TOO_LONG = {
    "error": {
        "message": "This model's maximum context length is 2048 tokens. However, your request has "
        "3000 input tokens. Please reduce the length of the input messages.",
        "type": "BadRequestError",
        "param": "input_tokens",
        "code": 400,
    }
}
VLLM_MAX_TOKENS = {
    "error": {
        "message": "max_tokens=99999 cannot be greater than max_model_len=2048. Please request "
        "fewer output tokens. (parameter=max_tokens, value=99999)",
        "type": "BadRequestError",
        "param": "max_tokens",
        "code": 400,
    }
}
LLAMA_TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (14429 tokens) exceeds the available context size (8192 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 14429,
        "n_ctx": 8192,
    }
}
OPENAI_TOO_LONG = {
    "error": {
        "message": "Input tokens exceed the configured limit.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    }
}
AZURE_FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt triggering a policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}
LLAMACPP_NO_EMBEDDINGS = {
    "error": {
        "code": 501,
        "message": "This server does not support embeddings. Start it with `--embeddings`",
        "type": "not_supported_error",
    }
}
VLLM_NO_EMBEDDINGS = {
    "error": {
        "message": "The model does not support Embeddings API",
        "type": "NotFoundError",
        "param": None,
        "code": 404,
    }
}
VLLM_NO_MODEL = {
    "error": {
        "message": "The model `nope` does not exist. Valid aliases: smol.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }
}


def refused(
    status: int, body: object = b"", headers: dict[str, str] | None = None
) -> UpstreamFailed | UpstreamRejected:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return refusal("small", status, headers or {}, raw, now_unix_s=0.0)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, VLLM_TOO_LONG),
        (400, LLAMA_TOO_LONG),
        (500, LLAMA_TOO_LONG),  # as older versions answered
        (400, OPENAI_TOO_LONG),
    ],
)
def test_a_prompt_that_does_not_fit_is_known_whoever_says_so(status: int, body: object) -> None:
    found = refused(status, body)

    assert isinstance(found, ContextTooLong)
    assert (found.status, found.code) == (400, "context_length_exceeded")


def test_a_prompt_that_is_too_long_for_a_response_is_known_by_its_own_words() -> None:
    message = "The engine prompt length 10 exceeds the max_model_len 5. Please reduce prompt."

    found = refused(400, {"error": {"message": message, "type": "invalid_request_error"}})

    assert found.code == "context_length_exceeded"


def test_too_large_a_wish_for_tokens_is_no_prompt_that_is_too_long() -> None:
    """Who reads `context_length_exceeded` shortens the prompt, and that would not help."""
    found = refused(400, VLLM_MAX_TOKENS)

    assert (found.code, found.param) == ("invalid_request", "max_tokens")


def test_a_content_filter_is_the_clients_affair() -> None:
    found = refused(400, AZURE_FILTER)

    assert isinstance(found, ContentFiltered)
    assert (found.status, found.code, found.param) == (400, "content_filter", "prompt")


@pytest.mark.parametrize(
    ("status", "engines_code", "code", "kind"),
    [
        (400, 400, "invalid_request", "invalid_request_error"),
        (422, None, "invalid_request", "invalid_request_error"),
        (413, 413, "request_too_large", "invalid_request_error"),
        (429, 429, "rate_limit_exceeded", "rate_limit_error"),
        (429, "insufficient_quota", "insufficient_quota", "rate_limit_error"),
        (400, "unsupported_parameter", "unsupported_parameter", "invalid_request_error"),
        (400, "not a word!", "invalid_request", "invalid_request_error"),
    ],
)
def test_codes_are_words(status: int, engines_code: object, code: str, kind: str) -> None:
    found = refused(status, {"error": {"message": "no", "code": engines_code, "param": "n"}})

    assert isinstance(found, UpstreamRejected)
    assert (found.status, found.code, found.type, found.param) == (status, code, kind, "n")


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (401, {"error": "bad key"}, UpstreamFailed, r"set upstreams\.small\.api_key"),
        (404, VLLM_NO_MODEL, UpstreamFailed, r"set upstreams\.small\.model .*Valid aliases: smol"),
        (404, {"detail": "Not Found"}, NoEndpoint, "does not serve this endpoint"),
        (405, {"detail": "Method Not Allowed"}, NoEndpoint, "does not serve this endpoint"),
        (404, VLLM_NO_EMBEDDINGS, NoEndpoint, "does not serve this endpoint"),
        (501, LLAMACPP_NO_EMBEDDINGS, NoEndpoint, "Start it with `--embeddings`"),
        (500, b"", UpstreamFailed, "status 500: an empty body"),
        (503, {"message": "loading"}, UpstreamUnavailable, "status 503: loading"),
        (504, b"", UpstreamTimedOut, "status 504"),
        (302, b"", UpstreamFailed, "status 302"),
        (
            502,
            b"<html>\r\n<head><title>502 Bad Gateway</title></head></html>",
            UpstreamFailed,
            'status 502: an HTML page "502 Bad Gateway"',
        ),
    ],
)
def test_what_is_between_us_and_the_engine_is_no_fault_of_the_client(
    status: int, body: object, kind: type[GatewayError], told: str
) -> None:
    found = refused(status, body)

    assert type(found) is kind
    assert found.status in {502, 503, 504}
    with pytest.raises(kind, match=told):
        raise found


@pytest.mark.parametrize("status", [429, 503])
def test_when_to_come_back_is_handed_on(status: int) -> None:
    assert refused(status, b"", {"retry-after": "7"}).retry_after_s == 7.0
    assert refused(status, b"").retry_after_s is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"a","param":"n","code":400}}', Said("a", "n", None, "400")),
        (b'{"error":"a"}', Said("a")),
        (b'{"object":"error","message":"a","code":40001}', Said("a", code="40001")),
        (b'{"detail":[{"msg":"a"}]}', Said('[{"msg":"a"}]')),
        (b'{"detail":"a"}', Said("a")),
        (b'{"error":{}}', Said("no explanation given")),
        (b"{}", Said("no explanation given")),
        (b" ", Said("an empty body")),
        (b"<html></html>", Said('an HTML page ""')),
        (b"<h1>Bad</h1>\n<p>Gateway</p>", Said('an HTML page "Bad Gateway"')),
        (b"upstream sent \xff", Said("upstream sent �")),
    ],
)
def test_an_error_is_read_whatever_its_shape(body: bytes, said: Said) -> None:
    assert read_error(body) == said


@pytest.mark.parametrize(
    ("recorded", "told", "param"),
    [
        ("error_top_logprobs", "greater than max allowed: 20", "logprobs"),
        ("error_unknown_model", "The model `nope` does not exist", "model"),
    ],
)
def test_what_vllm_was_heard_to_say_is_understood(recorded: str, told: str, param: str) -> None:
    said = read_error((GOLDEN / f"{recorded}.json").read_bytes())

    assert told in said.message
    assert (said.param, said.code) in {(param, "400"), (param, "404")}


@pytest.mark.parametrize(
    ("content_type", "body", "kind", "told"),
    [
        (
            "text/html; charset=utf-8",
            b"<html></html>",
            UpstreamFailed,
            'an HTML page "" (text/html)',
        ),
        ("application/json", b"", UpstreamFailed, "an empty body"),
        (None, b"[]", UpstreamFailed, "not with a JSON object"),
        ("application/json", b'{"choices":[{"mes', UpstreamCut, "in the middle of its JSON"),
        ("application/json", b'{"error":{"message":"out of memory"}}', UpstreamFailed, "memory"),
        ("application/json", b'{ "error":{"message":"no","code":400}}', UpstreamRejected, "no"),
        ("application/json", msgspec.json.encode(LLAMA_TOO_LONG), ContextTooLong, "context size"),
    ],
)
def test_a_200_that_is_no_answer_is_found_out(
    content_type: str | None, body: bytes, kind: type[GatewayError], told: str
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}

    found = disguised("small", headers, body)

    assert type(found) is kind
    assert told in str(found)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"x","choices":[]}',
        b'\n\n\n{"choices":[]}\n',
        b'{"id":"resp_1","error":null,"output":[]}',
        b'{"error":null,"output":[]}',
        b'{"text":"\\"error\\""}',
    ],
)
def test_an_answer_is_left_alone(body: bytes) -> None:
    assert disguised("small", {"content-type": "application/json; charset=utf-8"}, body) is None
    assert disguised("small", {}, body) is None
    assert error_event("small", body) is None


def test_an_error_reads_as_openais() -> None:
    body = msgspec.json.decode(openai_body(refused(400, VLLM_TOO_LONG)))

    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"].startswith("small: This model's maximum context length")
