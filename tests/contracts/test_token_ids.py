"""What verification relies on: token ids in answers, and prompts of them that are read."""

from typing import Any

import httpx

from tests.contracts.conftest import Served

TOKENS = 6
QUESTION: list[Any] = [{"role": "user", "content": "Count to three."}]


async def asked(client: httpx.AsyncClient, path: str, **body: object) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_an_answers_own_tokens_are_read_back_as_the_models_first_choice(
    served: Served, client: httpx.AsyncClient
) -> None:
    greedy = {"model": served.model, "temperature": 0, "max_tokens": TOKENS}
    answer = await asked(
        client, "/chat/completions", messages=QUESTION, return_token_ids=True, **greedy
    )
    if not served.differs.tells_token_ids:
        assert "token_ids" not in answer["choices"][0]
        return
    prompt, (choice,) = answer["prompt_token_ids"], answer["choices"]
    tokens = choice["token_ids"]

    body = {**greedy, "max_tokens": 1, "prompt": [*prompt, *tokens], "prompt_logprobs": 2}
    read = (await asked(client, "/completions", **body))["choices"][0]["prompt_logprobs"]
    rest = {**greedy, "prompt": [*prompt, *tokens[:2]], "max_tokens": TOKENS - 2}
    going_on = (await asked(client, "/completions", **rest))["choices"][0]["text"]

    assert len(prompt) == answer["usage"]["prompt_tokens"]
    assert len(tokens) == answer["usage"]["completion_tokens"]
    assert len(read) == len(prompt) + len(tokens)
    firsts = [
        each[str(token)]["rank"] for token, each in zip(tokens, read[len(prompt) :], strict=True)
    ]
    assert firsts == [1] * TOKENS
    assert choice["message"]["content"].endswith(going_on)
