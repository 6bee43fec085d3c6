"""A stored response is found, gone on from, cancelled and deleted where it lies."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from openai import APIError, BadRequestError, InternalServerError, NotFoundError

from serving.scripts import Say
from tests.gateway.raw_server import Peer, RawServer
from tests.journeys.keeping import keep
from tests.journeys.rig import UNSURE, Rig, rig

pytestmark = pytest.mark.anyio


async def create(on: Rig, **more: Any) -> Any:
    return await on.openai.responses.create(model="support", input="hello", **more)


@pytest.mark.parametrize("logprob", [-0.01, UNSURE])
async def test_a_stored_response_is_read_from_whoever_wrote_it(logprob: float) -> None:
    async with rig() as on:
        on.student.script(Say("yes", logprob=logprob))

        made = await create(on)
        read = await on.openai.responses.retrieve(made.id)

        assert read == made
        engine = on.student if logprob > UNSURE else on.teacher
        assert [probe.method for probe in engine.probes] == ["GET"]


async def test_a_response_goes_on_at_the_model_that_has_the_one_before() -> None:
    async with rig() as on:
        on.student.script(Say("unsure", logprob=UNSURE), Say("sure"))

        first = await create(on)
        second = await create(on, previous_response_id=first.id)
        read = await on.openai.responses.retrieve(second.id)

        assert on.journal[-2:] == ["teacher called", "teacher finished"]
        assert second.previous_response_id == first.id
        assert read.previous_response_id == first.id


async def test_a_stored_response_is_cancelled_listed_and_deleted() -> None:
    async with rig() as on:
        keep(on.student)
        made = await create(on)

        cancelled = await on.openai.responses.cancel(made.id)
        items = await on.openai.responses.input_items.list(made.id, limit=3, order="asc")
        await on.openai.responses.delete(made.id)

        assert (cancelled.id, cancelled.status) == (made.id, "cancelled")
        assert [item.id for item in items.data] == ["msg_1"]
        assert [probe.method for probe in on.student.probes] == ["POST", "GET", "DELETE"]
        with pytest.raises(NotFoundError) as caught:
            await on.openai.responses.retrieve(made.id)
        assert caught.value.code == "response_not_found"


@pytest.mark.parametrize(
    "response_id",
    [
        "resp_1",
        "resp_1~support~student",
        "resp_1~nowhere~student",
        "resp_1~support~nobody",
        "..~support~student",
        "resp_1!2F..!2Fhealth~support~student",
        "resp_1?x~support~student",
        "~support~student",
        "~~",
        "a~b~c~d",
        "%00~support~student",
    ],
)
async def test_an_id_that_nobody_knows_is_not_found(response_id: str) -> None:
    async with rig() as on:
        with pytest.raises(NotFoundError) as caught:
            await on.openai.responses.retrieve(response_id)

        assert caught.value.param == "response_id"
        asked = [probe.path for probe in on.student.probes]
        assert asked in ([], ["/v1/responses/resp_1"])


async def test_every_replica_is_asked_until_one_has_it() -> None:
    async with rig() as one, rig() as other:
        urls = [one.student.base_url, other.student.base_url]
        made = await create(other)
        async with rig(student={"base_url": urls}) as on:
            assert (await on.openai.responses.retrieve(made.id)).id == made.id

            await one.student.close()
            assert (await on.openai.responses.retrieve(made.id)).id == made.id

            await other.student.close()
            with pytest.raises(InternalServerError) as caught:
                await on.openai.responses.retrieve(made.id)
            assert caught.value.code == "upstream_failed"


async def test_a_route_with_a_slash_in_its_name_finds_its_responses() -> None:
    routes = {"acme/support": {"student": "student", "teacher": "teacher"}}
    async with rig(routes=routes) as on:
        made = await on.openai.responses.create(model="acme/support", input="hello")

        assert (await on.openai.responses.retrieve(made.id)).id == made.id


async def test_going_on_from_a_response_of_another_route_says_which_to_ask() -> None:
    both = {"student": "student", "teacher": "teacher"}
    async with rig(routes={"support": both, "sales": both}) as on:
        made = await create(on)

        with pytest.raises(BadRequestError, match="support"):
            await on.openai.responses.create(
                model="sales", input="and?", previous_response_id=made.id
            )


LIES: dict[str, Any] = {"id": "resp_1", "object": "response", "previous_response_id": "resp_0"}
LOGPROB = {"token": "x", "logprob": -1.0, "top_logprobs": []}
EVENTS: list[dict[str, Any]] = [
    {"type": "response.created", "response": LIES},
    {"type": "response.output_text.delta", "delta": "x", "logprobs": [LOGPROB]},
    {"type": "response.completed", "response": LIES},
]


@asynccontextmanager
async def told_again(events: Sequence[dict[str, Any]]) -> AsyncIterator[Rig]:
    """Its student tells these events to whoever asks it for a stored response."""

    async def play(peer: Peer) -> None:
        assert b"GET /v1/responses/resp_1?stream=true" in await peer.request()
        await peer.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
            + b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
        )

    async with (
        RawServer(play) as server,
        rig(student={"base_url": server.url}) as on,
    ):
        yield on


async def test_the_events_of_a_stored_response_are_told_again() -> None:
    async with told_again(EVENTS) as on:
        stream = await on.openai.responses.retrieve("resp_1~support~student", stream=True)
        first, delta, last = [event async for event in stream]

        assert first.type == "response.created"
        assert delta.type == "response.output_text.delta"
        assert delta.logprobs == []
        assert last.type == "response.completed"
        assert last.response.id == "resp_1~support~student"
        assert last.response.previous_response_id == "resp_0~support~student"


async def test_a_stored_stream_that_breaks_ends_with_an_error() -> None:
    async with told_again(EVENTS[:2]) as on:
        stream = await on.openai.responses.retrieve("resp_1~support~student", stream=True)

        with pytest.raises(APIError, match="before the response did"):
            _ = [event async for event in stream]
