"""Requests to `/v1/responses`, and the response object that echoes them, as in vLLM 0.32."""

from collections.abc import Mapping, Sequence

import msgspec

from serving.asked import ResponseBody
from serving.dialect import CREATED, Facts
from serving.vllm_shapes.errors import bad_request, check_lengths, check_model, refused, unreadable
from serving.written import Written

MAX_TOP_LOGPROBS = 20
TOOL: Mapping[str, object] = dict.fromkeys(
    (
        *("name", "parameters", "strict", "type", "allowed_callers", "async"),
        *("defer_loading", "description", "output_schema"),
    )
)
"""What a function is echoed with, given or not."""


def parse(raw: bytes, facts: Facts) -> ResponseBody:
    """The request, or Refused as vLLM refuses it."""
    try:
        body = msgspec.json.decode(raw, type=ResponseBody)
    except msgspec.MsgspecError as error:
        raise unreadable(error) from error
    check_model(body.model, facts)
    if (body.top_logprobs or 0) > MAX_TOP_LOGPROBS and body.wants_logprobs:
        message = (
            f"Requested sample logprobs of {body.top_logprobs}, which is greater than max "
            f"allowed: {MAX_TOP_LOGPROBS}"
        )
        raise bad_request(message, "logprobs", body.top_logprobs)
    check_lengths(
        facts,
        prompt_tokens=body.prompt_tokens,
        max_tokens=body.max_output_tokens,
        param="max_output_tokens",
    )
    if body.previous_response_id is not None:
        find_stored(body.previous_response_id, facts)
    return body


def find_stored(response_id: str, facts: Facts) -> bytes:
    stored = (facts.stored or {}).get(response_id)
    if stored is None:
        message = f"Response with id '{response_id}' not found."
        raise refused(404, "invalid_request_error", "response_id", message)
    return stored


def response_object(
    body: ResponseBody,
    facts: Facts,
    response_id: str,
    *,
    status: str,
    output: Sequence[Mapping[str, object]] = (),
    usage: Mapping[str, object] | None = None,
) -> dict[str, object]:
    room = facts.context_tokens - body.prompt_tokens
    cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": response_id,
        "created_at": CREATED,
        "incomplete_details": cut,
        "instructions": body.instructions,
        "metadata": body.metadata,
        "model": facts.model,
        "object": "response",
        "output": list(output),
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "tool_choice": body.tool_choice if body.tools else "none",
        "tools": [{**TOOL, **tool} for tool in body.tools],
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "background": body.background,
        "max_output_tokens": min(body.max_output_tokens or room, room),
        "max_tool_calls": body.max_tool_calls,
        "previous_response_id": body.previous_response_id,
        "prompt": None,
        "reasoning": body.reasoning,
        "service_tier": body.service_tier,
        "status": status,
        "text": body.text,
        "top_logprobs": (body.top_logprobs or 0) if body.wants_logprobs else None,
        "truncation": body.truncation,
        "usage": usage,
        "user": body.user,
        "presence_penalty": body.presence_penalty or 0.0,
        "frequency_penalty": body.frequency_penalty or 0.0,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "input_messages": None,
        "output_messages": None,
    }


def usage_object(body: ResponseBody, written: Written) -> dict[str, object]:
    completion = written.completion_tokens
    return {
        "input_tokens": body.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "input_tokens_per_turn": [],
            "cached_tokens_per_turn": [],
        },
        "output_tokens": completion,
        "output_tokens_details": {
            "reasoning_tokens": written.reasoning_tokens,
            "tool_output_tokens": 0,
            "output_tokens_per_turn": [],
            "tool_output_tokens_per_turn": [],
        },
        "total_tokens": body.prompt_tokens + completion,
    }
