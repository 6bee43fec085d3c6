"""Text completions: what the gateway relies on, asked of the fake and of the real engines alike."""

import json
from typing import Any

import httpx

from tests.contracts.conftest import Served

COMPLETIONS = "/completions"
PROMPT = "One, two, three, four,"
TOKENS = 6


def asking(served: Served, **wishes: object) -> dict[str, Any]:
    """A prompt that is gone on with in the same way every time, until max_tokens."""
    greedy = {"temperature": 0, "max_tokens": TOKENS}
    return {"model": served.model, "prompt": PROMPT} | greedy | wishes


async def whole(client: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    response = await client.post(COMPLETIONS, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    """The events; that [DONE] comes last, and once, is checked for everyone."""
    response = await client.post(COMPLETIONS, json=body | {"stream": True})
    assert response.status_code == 200, response.text
    events = [e.removeprefix("data: ") for e in response.text.split("\n\n") if e]
    assert events.index("[DONE]") == len(events) - 1
    return [json.loads(event) for event in events[:-1]]


def choices(chunks: list[Any], index: int = 0) -> list[Any]:
    return [c for chunk in chunks if chunk for c in chunk["choices"] if c["index"] == index]


def text(chunks: list[Any], index: int = 0) -> str:
    return "".join(c["text"] for c in choices(chunks, index))


def tokens(served: Served, parts: list[Any]) -> list[tuple[str, float]]:
    """(text, logprob) in either shape."""
    known = [each["logprobs"] for each in parts if each["logprobs"]]
    if served.differs.completions_logprobs_like_chat:
        return [(e["token"], e["logprob"]) for each in known for e in each["content"]]
    pairs = [zip(e["tokens"], e["token_logprobs"], strict=True) for e in known]
    return [pair for each in pairs for pair in each]


async def test_a_whole_answer_has_a_text_a_finish_reason_and_its_usage(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))

    (choice,) = answer["choices"]
    assert answer["object"] == "text_completion"
    assert choice["text"]
    assert choice["logprobs"] is None
    assert (choice["index"], choice["finish_reason"]) == (0, "length")
    usage = answer["usage"]
    assert usage["completion_tokens"] == TOKENS
    assert usage["total_tokens"] == usage["prompt_tokens"] + TOKENS


async def test_a_stream_adds_up_to_the_whole_answer(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))
    chunks = await streamed(client, asking(served))

    assert text(chunks) == answer["choices"][0]["text"]
    assert [c["finish_reason"] for c in choices(chunks) if c["finish_reason"]] == ["length"]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_logprobs_are_those_of_the_text_streamed_or_not(
    served: Served, client: httpx.AsyncClient
) -> None:
    body = asking(served, logprobs=2)

    answer = await whole(client, body)
    chunks = await streamed(client, body)

    known = tokens(served, answer["choices"])
    assert len(known) == TOKENS
    assert "".join(token for token, _ in known) == answer["choices"][0]["text"]
    assert all(logprob <= 0 for _, logprob in known)
    assert [t for t, _ in tokens(served, choices(chunks))] == [t for t, _ in known]


async def test_usage_is_streamed_when_asked_for(served: Served, client: httpx.AsyncClient) -> None:
    plain = await streamed(client, asking(served))
    asked = await streamed(client, asking(served, stream_options={"include_usage": True}))

    apart = served.differs.completions_usage_has_a_chunk_of_its_own
    assert any("usage" in chunk for chunk in plain) != apart
    assert asked[-1]["usage"]["completion_tokens"] == TOKENS
    assert (asked[-1]["choices"] == []) == apart


async def test_choices_of_several_prompts_are_numbered_through(
    served: Served, client: httpx.AsyncClient
) -> None:
    body = asking(served, prompt=[PROMPT, "Red, green,"], n=2, max_tokens=3, temperature=1)

    answer = await whole(client, body)
    chunks = await streamed(client, body)

    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert all(text(chunks, index) for index in range(4))
    assert (None in chunks) == served.differs.null_between_prompts


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(
    served: Served, client: httpx.AsyncClient
) -> None:
    full = (await whole(client, asking(served)))["choices"][0]["text"]
    stop = full[4:7]

    answer = await whole(client, asking(served, stop=[stop]))
    chunks = await streamed(client, asking(served, stop=stop))

    assert answer["choices"][0]["text"] == full[: full.index(stop)]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert text(chunks) == full[: full.index(stop)]


async def test_an_echo_comes_first_where_there_is_one(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served, echo=True))
    chunks = await streamed(client, asking(served, echo=True))

    echoes = served.differs.completions_echo
    assert answer["choices"][0]["text"].startswith(PROMPT) == echoes
    assert text(chunks).startswith(PROMPT) == echoes


async def test_an_unknown_model_is_refused_or_does_not_matter(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(COMPLETIONS, json=asking(served, model="nobody"))

    assert response.status_code == (404 if served.differs.refuses_unknown_models else 200)


async def test_a_request_without_a_prompt_is_refused_with_an_error_object(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(COMPLETIONS, json={"model": served.model})

    assert response.status_code == response.json()["error"]["code"] == 400
    assert response.json()["error"]["message"]
