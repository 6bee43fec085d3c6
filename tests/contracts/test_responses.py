"""The responses API: what the gateway relies on, asked of the fake and of real engines alike."""

import json
from typing import Any

import httpx

from tests.contracts.conftest import Served

RESPONSES = "/responses"
TOKENS = 6
LOGPROBS = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
ITEMS = [{"role": "user", "content": [{"type": "input_text", "text": "Count to thirty."}]}]


def asking(served: Served, **wishes: object) -> dict[str, Any]:
    greedy = {"temperature": 0, "max_output_tokens": TOKENS}
    return {"model": served.model, "input": "Count to thirty, in words."} | greedy | wishes


async def whole(client: httpx.AsyncClient, body: dict[str, Any]) -> Any:
    response = await client.post(RESPONSES, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def streamed(client: httpx.AsyncClient, body: dict[str, Any]) -> list[Any]:
    """The events; that their lines name their types, and that there is no [DONE], is checked."""
    response = await client.post(RESPONSES, json=body | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "[DONE]" not in response.text
    events = []
    for raw in response.text.strip().split("\n\n"):
        name, data = raw.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
    return events


def of_kind(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event["type"] == kind]


def text(response: Any) -> str:
    (message,) = [item for item in response["output"] if item["type"] == "message"]
    (part,) = message["content"]
    return str(part["text"])


async def test_a_whole_response_has_a_message_a_status_and_its_usage(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))

    assert answer["object"] == "response"
    assert answer["id"].startswith("resp_")
    assert text(answer)
    assert answer["status"] == (
        "incomplete" if served.differs.responses_tell_when_cut else "completed"
    )
    usage = answer["usage"]
    assert usage["output_tokens"] == TOKENS
    assert usage["total_tokens"] == usage["input_tokens"] + TOKENS


async def test_items_are_taken_as_input(served: Served, client: httpx.AsyncClient) -> None:
    assert text(await whole(client, asking(served, input=ITEMS, instructions="Be brief.")))


async def test_a_stream_tells_of_its_one_message_from_beginning_to_end(
    served: Served, client: httpx.AsyncClient
) -> None:
    events = await streamed(client, asking(served))

    kinds = [event["type"] for event in events]
    before, after = kinds[:4], kinds[4 + kinds.count("response.output_text.delta") :]
    assert before == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert after == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[0]["response"]["id"] == events[-1]["response"]["id"]


async def test_a_stream_adds_up_to_the_whole_response(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))
    events = await streamed(client, asking(served))

    deltas = of_kind(events, "response.output_text.delta")
    (done,) = of_kind(events, "response.output_text.done")
    assert len(deltas) == TOKENS
    assert "".join(event["delta"] for event in deltas) == done["text"] == text(answer)
    assert text(events[-1]["response"]) == text(answer)
    assert events[-1]["response"]["status"] == answer["status"]
    assert events[-1]["response"]["usage"]["output_tokens"] == TOKENS


async def test_events_are_numbered_or_not_at_all(served: Served, client: httpx.AsyncClient) -> None:
    events = await streamed(client, asking(served))

    numbers = [event.get("sequence_number") for event in events]
    if served.differs.responses_number_their_events:
        assert numbers == list(range(len(events)))
    else:
        assert set(numbers) == {None}


async def test_logprobs_come_when_included_or_are_refused(
    served: Served, client: httpx.AsyncClient
) -> None:
    body = asking(served, **LOGPROBS)
    if not served.differs.responses_have_logprobs:
        assert (await client.post(RESPONSES, json=body)).status_code == 400
        return
    answer = await whole(client, body)
    events = await streamed(client, body)

    entries = answer["output"][0]["content"][0]["logprobs"]
    assert [len(entry["top_logprobs"]) for entry in entries] == [2] * TOKENS
    assert "".join(entry["token"] for entry in entries) == text(answer)
    for event in of_kind(events, "response.output_text.delta"):
        assert "".join(entry["token"] for entry in event["logprobs"]) == event["delta"]


async def test_without_a_wish_for_them_there_are_no_logprobs(
    served: Served, client: httpx.AsyncClient
) -> None:
    answer = await whole(client, asking(served))

    assert not answer["output"][0]["content"][0]["logprobs"]


async def test_a_response_can_be_gone_on_from_where_it_is_stored(
    served: Served, client: httpx.AsyncClient
) -> None:
    first = await whole(client, asking(served))

    body = asking(served, previous_response_id=first["id"])
    after = await client.post(RESPONSES, json=body)
    again = await client.get(f"{RESPONSES}/{first['id']}")

    stores = served.differs.stores_responses
    assert after.status_code == (200 if stores else 400)
    assert again.status_code == (200 if stores else 404)


async def test_a_response_to_go_on_from_that_nobody_knows_is_refused(
    served: Served, client: httpx.AsyncClient
) -> None:
    body = asking(served, previous_response_id="resp_nobody")
    response = await client.post(RESPONSES, json=body)

    assert response.status_code in {400, 404}
    assert response.json()["error"]["message"]


async def test_a_request_without_input_is_refused_with_an_error_object(
    served: Served, client: httpx.AsyncClient
) -> None:
    response = await client.post(RESPONSES, json={"model": served.model})

    assert response.status_code == response.json()["error"]["code"] == 400
