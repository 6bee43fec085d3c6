"""A failed check and verification: only the teacher's own words may overrule one."""

from typing import Any

import pytest

from router.verification import Ending
from serving.scripts import Say
from tests.journeys.rig import SURE, rig

pytestmark = pytest.mark.anyio

LOOSE: dict[str, Any] = {"rule": "chow", "by": 1.0}
SORRY = Say("I", " cannot", " help", " with", " that", ".", logprob=SURE)


@pytest.mark.parametrize(("verify", "reason"), [({}, "verified"), (LOOSE, "check_failed:refusal")])
async def test_a_refusal_stands_only_where_the_teacher_would_have_written_it(
    verify: dict[str, Any], reason: str
) -> None:
    route = {"fallback": "verify", "checks": ["refusal"], "verify": verify}
    async with rig(route=route) as on:
        on.student.script(SORRY)
        on.teacher.script(SORRY)

        answer = await on.ask(temperature=0)

        told = (await on.traces.exchange()).verification
        assert answer.headers["x-tutelage-reason"] == reason
        assert told is not None
        assert told.deferred == "check_failed:refusal"
        assert told.ending is (Ending.KEPT if reason == "verified" else Ending.UNFIT)
