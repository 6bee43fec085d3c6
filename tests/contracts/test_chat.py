"""What the gateway relies on in an engine, asked of the fake and of the real one alike."""

import json
from typing import Any

import httpx
import pytest

from tests.contracts.conftest import LONG_ANSWER_TOKENS, Served

CHAT = "/chat/completions"
QUESTION = [{"role": "user", "content": "Count from one to thirty, in words."}]
TOKENS = 8
LOGPROBS = {"logprobs": True, "top_logprobs": 3}


def asking(served: Served, **wishes: object) -> dict[str, Any]:
    """A question whose answer is the same every time, and cut off by max_tokens."""
    greedy = {"temperature": 0, "max_tokens": TOKENS}
    return {"model": served.model, "messages": QUESTION} | greedy | wishes


async def whole(client: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    response = await client.post(CHAT, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    """The chunks; that [DONE] comes last, and once, is checked for everyone."""
    response = await client.post(CHAT, json=body | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [e.removeprefix("data: ") for e in response.text.split("\n\n") if e]
    assert events.index("[DONE]") == len(events) - 1
    return [json.loads(event) for event in events[:-1]]


def choices(chunks: list[Any], index: int = 0) -> list[Any]:
    return [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]


def text(chunks: list[Any], index: int = 0) -> str:
    return "".join(c["delta"].get("content") or "" for c in choices(chunks, index))


def logprobs(parts: list[Any]) -> list[Any]:
    return [token for c in parts for token in (c.get("logprobs") or {}).get("content") or []]


async def test_it_lists_its_model_and_says_that_it_is_healthy(
    served: Served, client: httpx.AsyncClient
) -> None:
    models = (await client.get("/models")).json()["data"]
    health = await client.get(served.base_url.removesuffix("/v1") + "/health")

    assert [model["id"] for model in models] == [served.model]
    assert health.status_code == 200


async def test_a_whole_answer_has_a_message_a_finish_reason_and_its_usage(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))

    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    assert choice["index"] == 0
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


async def test_max_tokens_ends_the_answer_with_length(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))
    chunks = await streamed(client, asking(served))

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == TOKENS
    assert [c["finish_reason"] for c in choices(chunks) if c["finish_reason"]] == ["length"]


async def test_a_stream_opens_with_the_role_and_adds_up_to_the_whole_answer(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))
    chunks = await streamed(client, asking(served))

    opening = choices(chunks)[0]["delta"]
    assert opening == {"role": "assistant", "content": served.differs.opening_content}
    assert text(chunks) == answer["choices"][0]["message"]["content"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_logprobs_come_when_asked_for_and_not_otherwise(
    served: Served, client: httpx.AsyncClient
) -> None:
    plain, asked = asking(served), asking(served, **LOGPROBS)

    assert logprobs((await whole(client, plain))["choices"]) == []
    assert logprobs(choices(await streamed(client, plain))) == []
    assert len(logprobs((await whole(client, asked))["choices"])) == TOKENS
    assert len(logprobs(choices(await streamed(client, asked)))) == TOKENS


async def test_every_chunk_carries_the_logprobs_of_its_own_text(
    served: Served, client: httpx.AsyncClient
) -> None:
    chunks = await streamed(client, asking(served, **LOGPROBS))

    spoken = [c for c in choices(chunks) if c["delta"].get("content")]
    for choice in spoken:
        tokens = logprobs([choice])
        assert "".join(token["token"] for token in tokens) == choice["delta"]["content"]
        for token in tokens:
            assert token["logprob"] <= 0
            assert bytes(token["bytes"]).decode() == token["token"]


async def test_top_logprobs_are_as_many_as_asked_for_with_the_greedy_token_first(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served, **LOGPROBS))

    for token in logprobs(answer["choices"]):
        assert len(token["top_logprobs"]) == 3
        assert token["top_logprobs"][0]["token"] == token["token"]
        values = [other["logprob"] for other in token["top_logprobs"]]
        assert values == sorted(values, reverse=True)


async def test_logprobs_alone_bring_as_many_alternatives_as_the_engine_likes(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served, logprobs=True))

    likes = served.differs.top_logprobs_by_default
    assert [len(t["top_logprobs"]) for t in logprobs(answer["choices"])] == [likes] * TOKENS


async def test_streamed_and_whole_logprobs_are_the_same(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = logprobs((await whole(client, asking(served, **LOGPROBS)))["choices"])
    chunks = logprobs(choices(await streamed(client, asking(served, **LOGPROBS))))

    assert [token["token"] for token in chunks] == [token["token"] for token in answer]
    assert [t["logprob"] for t in chunks] == pytest.approx([t["logprob"] for t in answer], abs=0.05)


async def test_more_top_logprobs_than_twenty(served: Served, client: httpx.AsyncClient) -> None:
    response = await client.post(CHAT, json=asking(served, logprobs=True, top_logprobs=21))

    refused = served.differs.refuses_more_than_20_top_logprobs
    assert response.status_code == (400 if refused else 200)


async def test_the_end_of_a_turn_is_told_and_has_no_text(
    served: Served, client: httpx.AsyncClient
) -> None:
    question = [{"role": "user", "content": "Say yes."}]
    body = asking(served, messages=question, max_tokens=200, **LOGPROBS)

    chunks = await streamed(client, body)

    last = choices(chunks)[-1]
    assert last["finish_reason"] == "stop"
    assert not last["delta"].get("content")
    assert len(logprobs([last])) == served.differs.end_token_has_a_logprob
    spoken = "".join(t["token"] for t in logprobs(choices(chunks)[:-1]))
    assert spoken == text(chunks)


async def test_two_choices_are_told_apart_by_their_index(
    served: Served, client: httpx.AsyncClient
) -> None:
    body = asking(served, n=2, temperature=1)  # vLLM has one greedy answer, and refuses two

    answer = await whole(client, body)
    chunks = await streamed(client, body)

    assert sorted(choice["index"] for choice in answer["choices"]) == [0, 1]
    assert text(chunks, 0)
    assert text(chunks, 1)
    counted = 2 if served.differs.usage_counts_every_choice else 1
    cut = all(choice["finish_reason"] == "length" for choice in answer["choices"])
    told = answer["usage"]["completion_tokens"]
    assert told == counted * TOKENS if cut else 0 < told <= counted * TOKENS  # drawn, it may stop


async def test_usage_is_streamed_when_asked_for_in_a_last_chunk_of_its_own(
    served: Served, client: httpx.AsyncClient
) -> None:
    plain = await streamed(client, asking(served))
    asked = await streamed(client, asking(served, stream_options={"include_usage": True}))

    assert all(chunk.get("usage") is None for chunk in plain)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["completion_tokens"] == TOKENS
    assert all(chunk.get("usage") is None for chunk in asked[:-1])


async def test_a_stop_string_ends_the_answer_and_is_not_in_it(
    served: Served, client: httpx.AsyncClient
) -> None:
    full = (await whole(client, asking(served)))["choices"][0]["message"]["content"]
    stop = full[7:10]

    answer = await whole(client, asking(served, stop=[stop]))
    chunks = await streamed(client, asking(served, stop=stop))

    assert answer["choices"][0]["message"]["content"] == full[: full.index(stop)]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert text(chunks) == full[: full.index(stop)]


@pytest.mark.parametrize("wishes", [{"temperature": 0}, {"temperature": 1.0, "seed": 7}])
async def test_the_same_question_gets_the_same_answer(
    served: Served, client: httpx.AsyncClient, wishes: dict[str, float]
) -> None:
    answers = [await whole(client, asking(served, **wishes)) for _ in range(2)]

    first, second = (answer["choices"][0]["message"]["content"] for answer in answers)
    assert first == second


async def test_a_client_that_hangs_up_stops_the_decoding(
    served: Served, client: httpx.AsyncClient
) -> None:
    served.prepare_long_answer()
    before = await served.decoded_tokens_at_rest()
    body = asking(served, max_tokens=LONG_ANSWER_TOKENS, ignore_eos=True, stream=True)
    async with client.stream("POST", CHAT, json=body) as response:
        async for line in response.aiter_lines():
            if '"content":"' in line and '"content":""' not in line:
                break

    decoded = await served.decoded_tokens_at_rest() - before

    assert 0 < decoded < LONG_ANSWER_TOKENS


async def test_a_json_schema_is_followed(served: Served, client: httpx.AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {"size": {"enum": ["small", "large"]}},
        "required": ["size"],
        "additionalProperties": False,
    }
    wish = {"type": "json_schema", "json_schema": {"name": "size", "schema": schema}}

    answer = await whole(client, asking(served, response_format=wish, max_tokens=60))

    content = answer["choices"][0]["message"]["content"]
    if served.differs.follows_json_schema:
        assert json.loads(content)["size"] in {"small", "large"}
    else:
        assert content


async def test_an_unknown_model(served: Served, client: httpx.AsyncClient) -> None:
    response = await client.post(CHAT, json=asking(served) | {"model": "nobody"})

    if served.differs.refuses_unknown_models:
        assert response.status_code == 404
        assert "nobody" in response.json()["error"]["message"]
    else:
        assert response.status_code == 200


async def test_a_request_that_makes_no_sense_is_refused_with_an_error_object(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(CHAT, json={"model": served.model, "messages": 3})

    assert 400 <= response.status_code < 500
    assert response.json()["error"]["message"]
