"""The other endpoints, as the official client uses them: the same cascade behind each."""

from typing import Any

import openai
import pytest
from openai.types import Completion

from serving.scripts import Say, Status
from tests.journeys.rig import SURE, UNSURE, Rig, rig

pytestmark = pytest.mark.anyio


async def complete(on: Rig, **more: Any) -> tuple[Completion, dict[str, str]]:
    raw = await on.openai.completions.with_raw_response.create(
        model="support", prompt="Once", **more
    )
    return raw.parse(), dict(raw.headers)


async def respond(on: Rig, model: str = "support", **more: Any) -> tuple[Any, dict[str, str]]:
    raw = await on.openai.responses.with_raw_response.create(model=model, input="hello", **more)
    return raw.parse(), dict(raw.headers)


@pytest.mark.parametrize(
    ("logprob", "served_by", "text"), [(SURE, "student", "small"), (UNSURE, "teacher", "large")]
)
async def test_text_completions_are_gated_by_their_own_tokens(
    logprob: float, served_by: str, text: str
) -> None:
    async with rig() as on:
        on.student.script(Say("small", logprob=logprob))
        on.teacher.script(Say("large"))

        answer, headers = await complete(on)

        assert (answer.choices[0].text, headers["x-tutelage-served-by"]) == (text, served_by)
        assert answer.choices[0].logprobs is None
        assert on.student.requests[0].body["logprobs"] == 1


async def test_a_stream_of_text_completions_is_held_for_the_window() -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(Say("no", " idea", logprob=UNSURE))
        on.teacher.script(Say("Once", " upon"))

        stream = await on.openai.completions.create(model="support", prompt="x", stream=True)
        chunks = [chunk async for chunk in stream]

        assert "".join(chunk.choices[0].text for chunk in chunks) == "Once upon"
        assert chunks[-1].choices[0].finish_reason == "stop"


async def test_each_prompt_of_several_has_choices_that_are_all_judged() -> None:
    async with rig() as on:
        answer = await on.openai.completions.create(model="support", prompt=["a", "b"], n=2)

        assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]


async def test_an_echoed_prompt_cannot_be_judged_so_the_teacher_is_asked_at_once() -> None:
    async with rig() as on:
        _, headers = await complete(on, echo=True)

        assert headers["x-tutelage-reason"] == "no_signal"
        assert on.student.requests == []


@pytest.mark.parametrize(
    ("logprob", "served_by", "text"), [(SURE, "student", "small"), (UNSURE, "teacher", "large")]
)
async def test_responses_are_gated_by_their_own_tokens(
    logprob: float, served_by: str, text: str
) -> None:
    async with rig() as on:
        on.student.script(Say("small", logprob=logprob))
        on.teacher.script(Say("large"))

        answer, headers = await respond(on)

        assert (answer.output_text, headers["x-tutelage-served-by"]) == (text, served_by)
        assert not answer.output[0].content[0].logprobs


async def test_a_streamed_response_is_typed_events_of_one_voice_and_has_no_done() -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(Say("no", " idea", logprob=UNSURE))
        on.teacher.script(Say("All", " is", " well"))

        body = {"model": "support", "input": "hello", "stream": True}
        answer = await on.http.post("/v1/responses", json=body)
        stream = await on.openai.responses.create(model="support", input="hello", stream=True)
        events: list[Any] = [event async for event in stream]

        assert "[DONE]" not in answer.text
        assert answer.text.startswith("event: response.created\ndata: {")
        assert events[0].type == "response.created"
        assert events[-1].type == "response.completed"
        assert events[-1].response.output_text == "All is well"
        assert all(not event.logprobs for event in events if event.type.endswith("text.delta"))


async def test_a_response_goes_on_at_the_model_that_wrote_it() -> None:
    async with rig() as on:
        on.student.script(Say("small", logprob=UNSURE))

        first, _ = await respond(on)
        second, headers = await respond(on, previous_response_id=first.id)

        assert first.id.endswith("~support~teacher")
        assert headers["x-tutelage-served-by"] == "teacher"
        assert headers["x-tutelage-reason"] == "pinned"
        assert second.previous_response_id == first.id
        own = first.id.removesuffix("~support~teacher")
        assert on.teacher.requests[-1].body["previous_response_id"] == own


@pytest.mark.parametrize("previous", ["resp_1", "resp_1~other~teacher", "resp_1~support~nobody"])
async def test_a_response_that_is_not_from_here_cannot_be_gone_on_from(previous: str) -> None:
    async with rig() as on:
        with pytest.raises(openai.BadRequestError, match="previous_response_id"):
            await respond(on, previous_response_id=previous)


async def test_vectors_are_the_teachers_and_nobody_elses() -> None:
    async with rig() as on:
        vectors = await on.openai.embeddings.create(model="support", input=["a", "b"])
        on.teacher.script(Status(500))
        with pytest.raises(openai.InternalServerError):
            await on.openai.embeddings.create(model="support", input="a")

        assert len(vectors.data) == 2
        assert on.student.requests == []
        assert (await on.traces.exchange()).teacher is not None


NO_EMBEDDINGS = Status(
    501,
    {
        "error": {
            "code": 501,
            "message": "This server does not support embeddings. Start it with `--embeddings`",
            "type": "not_supported_error",
        }
    },
)


async def test_who_asks_a_model_without_vectors_for_some_is_told_so_and_nothing_else_suffers() -> (
    None
):
    async with rig(route={"mode": "teacher"}) as on:
        on.teacher.script(*[NO_EMBEDDINGS] * 6, Say("well"))
        for _ in range(6):  # one more than open a circuit
            with pytest.raises(openai.NotFoundError, match="--embeddings") as caught:
                await on.openai.embeddings.create(model="support", input="a")

        assert (caught.value.code, caught.value.param) == ("endpoint_not_supported", "model")
        answer = await on.ask()
        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert answer.json()["choices"][0]["message"]["content"] == "well"


async def test_an_endpoint_that_both_lack_is_the_operators_to_mend() -> None:
    async with rig() as on:
        for engine in (on.student, on.teacher):
            engine.script(Status(404, {"detail": "Not Found"}))

        answer = await on.ask()

        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_failed")
        assert "does not serve this endpoint" in answer.text


async def test_vectors_of_a_pinned_student_are_the_students() -> None:
    async with rig() as on:
        await on.openai.embeddings.create(model="support:student", input="a")

        assert [request.path for request in on.student.requests] == ["/v1/embeddings"]


@pytest.mark.parametrize(
    ("path", "body"),
    [("/tokenize", {"prompt": "a b"}), ("/detokenize", {"tokens": [1, 2]})],
)
async def test_tokenizing_is_passed_through_to_where_engines_have_it(
    path: str, body: dict[str, Any]
) -> None:
    async with rig() as on:
        answer = await on.http.post(path, json={"model": "support", **body})

        assert answer.status_code == 200, answer.text
        assert (await on.traces.exchange()).reason == "route_mode"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/completions", {}, "prompt"),
        ("/v1/completions", {"prompt": []}, "prompt"),
        ("/v1/completions", {"prompt": 3}, "prompt"),
        ("/v1/responses", {}, "input"),
        ("/v1/embeddings", {}, "input"),
    ],
)
async def test_what_is_missing_is_named(path: str, body: dict[str, Any], field: str) -> None:
    async with rig() as on:
        answer = await on.http.post(path, json={"model": "support", **body})

        assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


async def test_a_body_that_is_not_json_by_its_own_word_is_refused() -> None:
    async with rig() as on:
        body = '{"model":"support","messages":[{"role":"user","content":"x"}]}'
        plain = await on.http.post(
            "/v1/chat/completions", content=body, headers={"content-type": "text/plain"}
        )
        charset = await on.http.post(
            "/v1/chat/completions",
            content=body,
            headers={"content-type": "application/json; charset=utf-8"},
        )

        assert (plain.status_code, plain.json()["error"]["code"]) == (
            415,
            "unsupported_media_type",
        )
        assert charset.status_code == 200


async def test_an_engine_that_refuses_to_give_logprobs_has_no_signal() -> None:
    async with rig() as on:
        refusal = {"error": {"message": "logprobs is not supported with tools + stream"}}
        on.student.script(Status(400, refusal))

        ours, _ = await on.events()
        theirs, _ = await on.events(logprobs=True)

        assert ours.headers["x-tutelage-reason"] == "no_signal"
        assert theirs.headers["x-tutelage-reason"] == "student_error"
