"""The two ordinary endings: the student is trusted, or the teacher is asked."""

import asyncio

import pytest

from serving.scripts import Say, Tok
from tests.journeys.rig import HELLO, SURE, UNSURE, rig

pytestmark = pytest.mark.anyio


async def test_a_sure_student_answers_and_the_teacher_is_never_called() -> None:
    async with rig() as on:
        on.student.script(Say("4", "1", logprob=SURE))

        answer = await on.ask()

        assert answer.json()["choices"][0]["message"]["content"] == "41"
        assert answer.headers["x-tutelage-served-by"] == "student"
        assert answer.headers["x-tutelage-model"] == "student"
        assert answer.headers["x-tutelage-reason"] == "confident"
        assert float(answer.headers["x-tutelage-confidence"]) == pytest.approx(0.99, abs=0.001)
        assert on.journal == ["student called", "student finished"]


async def test_an_unsure_student_is_replaced_whole_by_the_teacher() -> None:
    async with rig() as on:
        on.student.script(Say("4", "0", logprob=UNSURE))
        on.teacher.script(Say("4", "2"))

        answer = await on.ask()

        assert answer.json()["choices"][0]["message"]["content"] == "42"
        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert answer.headers["x-tutelage-reason"] == "low_confidence"


async def test_a_stream_of_an_unsure_student_is_one_voice_and_frees_the_student_first() -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on, asyncio.TaskGroup() as tasks:
        on.student.script(Say("no", " idea", " at", " all", logprob=UNSURE, pause_after=2))
        on.teacher.script(Say("4", "2", held=True))

        reading = tasks.create_task(on.events())
        await on.student.left()  # while the teacher has not said a word
        on.teacher.resume()
        response, events = await reading

        assert "student left after 2" in on.journal
        assert "idea" not in "".join(events)
        assert events[-1] == "[DONE]"
        assert response.headers["x-tutelage-served-by"] == "teacher"


async def test_the_first_byte_of_a_stream_waits_for_the_window_and_not_for_the_end() -> None:
    async with rig(route={"gate": {"window_tokens": 2}}) as on:
        on.student.script(Say("a", "b", "c", "d", pause_after=3))

        stream = await on.openai.chat.completions.create(
            model="support", messages=HELLO, stream=True
        )
        first = await anext(aiter(stream))
        await on.student.paused()
        on.student.resume()
        rest = [chunk.choices[0].delta.content or "" async for chunk in stream]

        assert first.choices[0].delta.role == "assistant"
        assert "".join(rest) == "abcd"


async def test_the_label_decides_and_not_the_template_around_it() -> None:
    def answer(label_nats: float) -> Say:
        return Say(
            Tok('{"', UNSURE), Tok("sentiment", UNSURE), Tok('":"', UNSURE),
            Tok("positive", label_nats), Tok('"}', UNSURE),
        )  # fmt: skip

    async with rig(route={"label": "sentiment"}) as on:
        on.student.script(answer(SURE), answer(UNSURE))

        sure, unsure = await on.ask(), await on.ask()

        assert sure.headers["x-tutelage-served-by"] == "student"
        assert unsure.headers["x-tutelage-served-by"] == "teacher"
        kept = [(await on.traces.exchange(number)).signals for number in (1, 2)]
        assert [signals and signals.deciding for signals in kept] == [1, 1]
        assert [signals and signals.first_nats for signals in kept] == [SURE, UNSURE]


async def test_a_student_without_logprobs_is_not_trusted() -> None:
    async with rig() as on:
        on.student.script(Say("41", logprobs=False))

        whole, (streamed, _) = await on.ask(), await on.events()

        assert whole.headers["x-tutelage-reason"] == "no_signal"
        assert streamed.headers["x-tutelage-reason"] == "no_signal"
        assert "x-tutelage-confidence" not in whole.headers


async def test_every_one_of_several_choices_must_be_sure() -> None:
    async with rig() as on:
        on.student.script(Say("41", logprob=SURE))

        answer = await on.ask(n=2)

        assert len(answer.json()["choices"]) == 2
        assert answer.headers["x-tutelage-served-by"] == "student"


async def test_a_pin_asks_that_model_and_no_gate() -> None:
    async with rig() as on:
        on.student.script(Say("hm", logprob=UNSURE))

        student, teacher = await on.ask("support:student"), await on.ask("support:teacher")

        assert student.headers["x-tutelage-served-by"] == "student"
        assert student.headers["x-tutelage-reason"] == "pinned"
        assert teacher.headers["x-tutelage-served-by"] == "teacher"
        assert on.journal == [
            "student called", "student finished", "teacher called", "teacher finished",
        ]  # fmt: skip


@pytest.mark.parametrize("mode", ["student", "teacher"])
async def test_a_route_of_one_mode_asks_that_model(mode: str) -> None:
    async with rig(route={"mode": mode}) as on:
        answer = await on.ask()

        assert answer.headers["x-tutelage-served-by"] == mode
        assert answer.headers["x-tutelage-reason"] == "route_mode"


async def test_usage_is_that_of_the_answer_served_and_the_trace_has_the_split() -> None:
    prices = {"price": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 1.0}}
    async with rig(student=prices) as on:
        on.student.script(Say("a", "b", "c", logprob=UNSURE))
        on.teacher.script(Say("d", "e"))

        answer = await on.ask()
        trace = await on.traces.exchange()

        draft, final = trace.student, trace.teacher
        assert draft is not None
        assert final is not None
        assert (draft.text, final.text) == ("abc", "de")
        assert final.usage is not None
        assert answer.json()["usage"]["completion_tokens"] == final.usage.completion_tokens
        assert draft.usage is not None
        spent = (draft.usage.prompt_tokens + draft.usage.completion_tokens) / 1e6
        assert trace.cost_usd == pytest.approx(spent)


async def test_a_deferral_with_both_answers_at_hand_is_judged_without_another_call() -> None:
    async with rig() as on:
        on.student.script(Say("41", logprob=UNSURE))
        on.teacher.script(Say("42"))

        await on.ask()
        judgement = await on.traces.judgement()

        assert (judgement.by, judgement.agreement, judgement.propensity) == ("fallback", 0.0, 1.0)
        assert on.journal.count("teacher called") == 1
