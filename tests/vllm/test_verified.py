"""The proof's own questions, put to scripted engines."""

import pytest

from router.verification import Ending
from serving.scripted_engine import ScriptedEngine
from serving.scripts import Say
from tests.vllm.comparison import differences, figures, margins
from tests.vllm.prompts import Prompts
from tests.vllm.verified import Pair, Wish, compare

pytestmark = pytest.mark.anyio

ASK = [{"role": "user", "content": "hello"}]


async def test_every_prompt_is_asked_four_ways_and_the_two_answers_are_one() -> None:
    counted: list[int] = []
    async with ScriptedEngine(model="student") as low, ScriptedEngine(model="teacher") as high:
        low.script(Say("The", " sea", " is", " deep", ".", logprob=-1.0))
        high.script(Say("The", " sea", " is", " wide", "."))

        rows = await compare(
            Pair(low.base_url, high.base_url),
            Prompts((ASK, ASK), max_tokens=9),
            Wish(tie_nats=0.05, window=2, at_once=2),
            done=counted.append,
        )

    assert counted == [1, 2]
    assert differences(rows) == []
    whole, streamed = figures(rows, "whole"), figures(rows, "streamed")
    assert (whole.equal, streamed.equal) == (2, 2)
    assert whole.endings == streamed.endings == {"continued": 2}
    assert rows[0].whole.ending is Ending.CONTINUED
    assert (whole.own_tokens, whole.kept, whole.written) == (12, 6, 2 * (1 + 3))
    assert (streamed.kept, streamed.written) == (4, 2 * (1 + 4))
    assert margins(rows, (0.0,))[0].wrong == 0
    assert rows[0].own.texts == ("The", " sea", " is", " wide", ".", "")
