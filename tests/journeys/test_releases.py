"""A candidate gets its share, takes over and is taken back, and no request notices."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.adopting import Adopting
from gateway.release_arms import UnfitRelease
from gateway.rulings import Ruling, Rulings
from router.calibration import encode_calibration
from serving.scripts import Say
from tests.journeys.rig import SURE, UNSURE
from tests.journeys.rollout_rig import keep_asking, rollout, says
from tests.router.judged_pairs import DULL

pytestmark = pytest.mark.anyio


async def test_a_switch_and_a_rollback_under_load_lose_no_request_and_mix_no_answer(
    tmp_path: Path,
) -> None:
    async with rollout(tmp_path) as made:
        on, stop = made.on, asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            asking = [
                tasks.create_task(keep_asking(on, stop, stream=stream))
                for stream in (False, True) * 4
            ]
            served = on.student.called
            await served(20)
            made.stand("new", made.new)
            made.want(None, "new", 0.5)
            await made.new.called(20)
            made.want("new")
            await made.new.called(len(made.new.requests) + 40)
            before = len(on.student.requests)
            await made.new.called(len(made.new.requests) + 20)
            assert len(on.student.requests) == before
            made.want(None)
            await on.student.called(before + 40)
            stop.set()
        answers = sum((task.result() for task in asking), Counter[tuple[str, str]]())

        assert set(answers) == {("old", "old old old"), ("new", "new new new")}
        exchanges = [await on.traces.exchange(number + 1) for number in range(answers.total())]
        traced = Counter(
            (each.release, each.student.text) for each in exchanges if each.student is not None
        )
        assert traced == answers
        assert {each.status for each in exchanges} == {200}
        assert on.teacher.requests == []


async def test_a_canarys_answer_says_so_and_its_share_follows_the_user(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new)
        made.want(None, "new", 0.3)
        told: dict[str, set[tuple[str, str]]] = {}
        for number in range(40):
            user = f"user {number % 20}"
            answer = await made.on.ask(user=user)
            headers = answer.headers
            release_and_reason = (headers["x-tutelage-release"], headers["x-tutelage-reason"])
            told.setdefault(user, set()).add(release_and_reason)

        every = [each for some in told.values() for each in some]
        assert set(every) == {("old", "confident"), ("new", "canary")}
        assert len(every) == 20
        assert await made.on.metric("tutelage_requests_total", reason="canary") > 0


async def test_a_larger_share_keeps_whom_a_smaller_one_took(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new)
        taken = []
        for share in (0.2, 0.6):
            made.want(None, "new", share)
            answers = {n: await made.on.ask(user=f"user {n}") for n in range(20)}
            taken.append(
                {n for n, it in answers.items() if it.headers["x-tutelage-release"] == "new"}
            )

        assert taken[0] < taken[1]


async def test_a_deferral_of_a_canary_is_the_teachers_under_the_candidates_name(
    tmp_path: Path,
) -> None:
    async with rollout(tmp_path) as made:
        made.new.script(Say("new", logprob=UNSURE))
        made.stand("new", made.new)
        made.want(None, "new", 1.0)
        answer = await made.on.ask()

        headers = answer.headers
        assert headers["x-tutelage-served-by"] == "teacher"
        assert headers["x-tutelage-reason"] == "low_confidence"
        assert headers["x-tutelage-release"] == "new"


async def test_a_candidate_brings_its_own_threshold(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.new.script(Say("new", logprob=UNSURE))
        made.stand("new", made.new, gate={"threshold": 0.001})
        made.want("new")
        answer = await made.on.ask()

        assert answer.headers["x-tutelage-served-by"] == "student"
        assert (await made.on.traces.exchange()).threshold == 0.001


async def test_what_goes_on_from_the_incumbents_response_stays_with_it(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.on.student.script(says("old"))
        first = await made.on.openai.responses.create(model="support", input="hello")
        made.stand("new", made.new)
        made.want(None, "new", 1.0)
        answer: Any = await made.on.openai.responses.with_raw_response.create(
            model="support", input="go on", previous_response_id=first.id
        )

        assert answer.headers["x-tutelage-release"] == "old"


async def test_until_the_wanted_one_stands_who_served_goes_on(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.want("new")
        before = await made.on.ask()
        made.stand("new", made.new)
        made.look()
        after = await made.on.ask()

        assert before.headers["x-tutelage-release"] == "old"
        assert after.headers["x-tutelage-release"] == "new"


async def test_the_configs_canary_needs_no_command(tmp_path: Path) -> None:
    route = {"canary": {"release": "new", "share": 1.0}}
    async with rollout(tmp_path, route=route) as made:
        made.stand("new", made.new)
        made.look()
        before = await made.on.ask()
        made.want(None)
        after = await made.on.ask()

        assert before.headers["x-tutelage-release"] == "new"
        assert after.headers["x-tutelage-release"] == "old"


async def test_a_dead_candidates_requests_fall_back(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new)
        made.want(None, "new", 1.0)
        await made.new.close()
        answer = await made.on.ask()

        assert answer.status_code == 200
        assert answer.headers["x-tutelage-served-by"] == "teacher"
        assert answer.headers["x-tutelage-reason"] == "student_error"


OWN = replace(DULL, student="student", label=None, window_tokens=24, student_sha256="a" * 64)


def facts(student_sha256: str) -> dict[str, Any]:
    return {
        "student_sha256": student_sha256,
        "gate": {"threshold": 0.3, "signal": "calibrated"},
        "calibration": json.loads(encode_calibration(OWN)),
    }


async def test_a_release_rules_by_its_own_calibration(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new, **facts("a" * 64))
        made.want("new")
        await made.on.ask()
        exchange = await made.on.traces.exchange()

        assert exchange.signals is not None
        assert exchange.confidence == OWN.confidence(exchange.signals)


async def test_a_release_whose_calibration_is_another_students_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new, **facts("b" * 64))
        for wanted in ((None, "new", 1.0), ("new",)):
            made.want(*wanted)
            answer = await made.on.ask()
            assert answer.headers["x-tutelage-release"] == "old"

        assert "no canary: release new: its calibration was fitted on student aaaa" in caplog.text
        assert "who serves goes on: release new: its calibration" in caplog.text
        refused = {"release": "new", "role": "refused"}
        assert await made.on.metric("tutelage_release_info", **refused) == 1.0
        made.look()
        with pytest.raises(UnfitRelease):
            made.adopting.start()


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ({"threshold": 0.3, "label": "mood"}, "label = 'mood', route support has None"),
        ({"threshold": 0.3, "window_tokens": 7}, "window_tokens = 7, route support has 24"),
        ({"threshold": 0.3, "signal": "mood"}, "there is no signal 'mood'"),
        ({"threshold": 0.3, "signal": "calibrated"}, "needs a calibration"),
    ],
)
async def test_a_threshold_that_was_chosen_for_another_reading_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, gate: dict[str, Any], why: str
) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new, gate=gate)
        made.want("new")

        assert why in caplog.text
        assert (await made.on.ask()).headers["x-tutelage-release"] == "old"


async def test_an_applied_threshold_goes_with_the_release_that_it_was_found_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new)
        rulings = Rulings(made.state.path)
        for release, threshold in (("new", 0.7), ("old", 0.6)):
            rulings.apply(
                "support", Ruling(threshold), who="ann", why="", now_s=0.0, release=release
            )
        Adopting(rulings, made.on.on.routes).start()
        for current in (None, "new", None):
            made.want(current)
            await made.on.ask()

        thresholds = [(await made.on.traces.exchange(number)).threshold for number in (1, 2, 3)]
        assert thresholds == [0.6, 0.7, 0.6]
        assert "not in force: it is of release new" in caplog.text


async def test_ready_says_which_release_it_means(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.stand("new", made.new)
        made.want("new")
        await made.on.student.close()
        ready = await made.on.http.get("/readyz")

        assert ready.json() == {
            "ready": True,
            "upstreams": {"student (new)": "up", "teacher": "up"},
        }


async def test_calls_to_a_candidate_count_under_its_upstreams_name(tmp_path: Path) -> None:
    async with rollout(tmp_path) as made:
        made.new.script(Say("new", logprob=SURE, pause_after=0))
        made.stand("new", made.new)
        made.want("new")
        asking = asyncio.ensure_future(made.on.ask())  # noqa: TID251 - ended below
        await made.new.paused()

        assert await made.on.metric("tutelage_in_flight", upstream="student") == 1.0
        made.new.resume()
        assert (await asking).status_code == 200


async def test_what_a_route_verifies_it_verifies_with_each_of_its_releases(tmp_path: Path) -> None:
    route = {"fallback": "verify", "on_collapse": "takeover", "shadow": {"method": "verify"}}
    async with rollout(tmp_path, route=route) as made:
        before = made.on.on.routes.find("support")[0].verify
        made.stand("new", made.new)
        made.want("new")
        served, _ = made.on.on.routes.find("support")
        after = served.verify

        assert before is not None
        assert after is not None
        assert after.student is served.student
        assert after.student is not before.student
        assert (after.deferrals, after.shadows, after.rule) == (True, True, before.rule)
        assert after.collapse == before.collapse
        assert after.collapse is not None
