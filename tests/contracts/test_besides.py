"""Embeddings and the tokenizer: asked of the fake and of the real engines alike."""

from typing import Any

import httpx

from tests.contracts.conftest import Served


async def test_embeddings_come_from_an_engine_that_embeds(
    served: Served, client: httpx.AsyncClient
) -> None:
    body: dict[str, Any] = {"model": served.model, "input": ["one", "two"]}
    response = await client.post("/embeddings", json=body)

    if not served.differs.embeds:
        assert response.status_code in {404, 501}
        return
    data = response.json()["data"]
    assert [each["index"] for each in data] == [0, 1]
    assert len(data[0]["embedding"]) == len(data[1]["embedding"])


async def test_a_text_is_cut_into_tokens_and_put_together_again(
    served: Served, client: httpx.AsyncClient
) -> None:
    root = served.base_url.removesuffix("/v1")

    tokens = await client.post(f"{root}/tokenize", json={served.differs.tokenizes: "one two"})
    ids = tokens.json()["tokens"]
    text = await client.post(f"{root}/detokenize", json={"tokens": ids})

    assert len(ids) == 2
    assert text.json()[served.differs.detokenizes]


async def test_max_tokens_beyond_the_context(served: Served, client: httpx.AsyncClient) -> None:
    question = [{"role": "user", "content": "Say yes."}]
    body = {"model": served.model, "messages": question, "max_tokens": 10**6, "stop": ["."]}

    response = await client.post("/chat/completions", json=body)

    refuses = served.differs.refuses_max_tokens_beyond_the_context
    assert response.status_code == (400 if refuses else 200)


async def test_a_wrong_path_is_not_found(served: Served, client: httpx.AsyncClient) -> None:
    assert (await client.post("/nowhere", json={})).status_code == 404
