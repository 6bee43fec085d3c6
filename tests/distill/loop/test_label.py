"""Whose answer a row teaches, and a teacher that is asked over HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from distill.asking import Teacher, TeacherUnavailable, ask_teacher
from distill.funnel import Funnel
from distill.gates import Gate, Refused
from distill.label import Labelling, LabelRules, label
from distill.rows import LabelledBy, Row
from serving.checked import Secret
from tests.distill.loop.made import Mood, row, text


class Oracle:
    """Says what `says` gives for a text, after `failures` bad answers; counts requests."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.says: dict[str, str] = {}
        self.failures: list[int] = []
        self.sure = 0.9
        oracle = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                oracle.keys.append(self.headers["authorization"])
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                oracle.asked.append(body)
                status = oracle.failures.pop() if oracle.failures else 200
                reply = oracle.reply(body["messages"][-1]["content"])
                told = json.dumps(reply if status == 200 else {"error": "no"}).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/"

    def reply(self, asked: str) -> dict[str, Any]:
        import math  # noqa: PLC0415

        said = self.says.get(asked, "good")
        other = {"good": "bad"}.get(said, "good")
        top = [
            {"token": said, "logprob": math.log(self.sure)},
            {"token": other, "logprob": math.log(1 - self.sure)},
        ]
        token = {**top[0], "top_logprobs": top}
        return {
            "choices": [
                {
                    "message": {"role": "assistant", "content": said},
                    "logprobs": {"content": [token]},
                }
            ],
            "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100},
        }


@pytest.fixture
def oracle() -> Iterator[Oracle]:
    made = Oracle()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def teacher(oracle: Oracle, **changes: Any) -> Teacher:
    return Teacher(url=oracle.url, model="big", at_once=1, **changes)


def labelled(rows: list[Row], cache: Path, asked: Teacher | None = None) -> list[Row]:
    by = Labelling(Mood(), LabelRules(), asked, cache, sleep=lambda _: None)
    return label(rows, by, Funnel())


def test_a_person_is_right_against_the_teacher(tmp_path: Path) -> None:
    (found,) = labelled([row(1, teacher="good", correction="bad")], tmp_path / "c")

    assert (found.answer, found.by) == ("bad", LabelledBy.HUMAN)


def test_a_correction_that_is_no_answer_leaves_the_teachers(tmp_path: Path) -> None:
    (found,) = labelled([row(1, teacher="good", correction="well, both")], tmp_path / "c")

    assert (found.answer, found.by) == ("good", LabelledBy.TEACHER)


def test_without_a_teacher_what_nobody_answered_is_left_out(tmp_path: Path) -> None:
    found = labelled([row(1, teacher=None), row(2)], tmp_path / "c")

    assert [each.trace_id for each in found] == ["t0002"]
    with pytest.raises(Refused) as refused:
        labelled([row(1, teacher=None)], tmp_path / "c")
    assert refused.value.gate is Gate.UNLABELLED


def test_a_teacher_that_can_be_asked_gives_odds(tmp_path: Path, oracle: Oracle) -> None:
    oracle.says = {text(1): "bad"}
    (found,) = labelled([row(1, teacher=None)], tmp_path / "c", teacher(oracle))

    assert found.answer == "bad"
    assert found.odds[0] == pytest.approx((0.9, 0.1))


def test_what_the_teacher_itself_doubts_is_left_out(tmp_path: Path, oracle: Oracle) -> None:
    oracle.sure = 0.35
    kept = [row(1, correction="bad"), row(2)]
    found = labelled([*kept, row(3, correction=None)], tmp_path / "c", teacher(oracle))

    assert {each.by for each in found} <= {LabelledBy.HUMAN, LabelledBy.TEACHER}
    assert "t0001" in {each.trace_id for each in found}


def test_a_teacher_that_does_not_repeat_itself_was_out_of_order(
    tmp_path: Path, oracle: Oracle
) -> None:
    rows = [row(at, teacher="bad") for at in range(30)]
    with pytest.raises(Refused) as refused:
        labelled(rows, tmp_path / "c", teacher(oracle))

    assert refused.value.gate is Gate.GARBAGE_TEACHER


def test_a_teacher_that_is_gone_is_a_refusal(tmp_path: Path, oracle: Oracle) -> None:
    oracle.failures = [401]
    with pytest.raises(Refused, match="status 401") as refused:
        labelled([row(1)], tmp_path / "c", teacher(oracle))

    assert refused.value.gate is Gate.UNLABELLED


def test_nobody_is_asked_twice(tmp_path: Path, oracle: Oracle) -> None:
    for texts in (["a", "b"], ["b", "c"], ["a", "b", "c"]):
        ask_teacher(texts, Mood(), teacher(oracle), tmp_path / "c", sleep=lambda _: None)

    assert [each["messages"][0]["content"] for each in oracle.asked] == ["a", "b", "c"]


def test_an_answer_that_was_cut_while_it_was_kept_is_asked_for_again(
    tmp_path: Path, oracle: Oracle
) -> None:
    cache = tmp_path / "c"
    ask_teacher(["a", "b"], Mood(), teacher(oracle), cache, sleep=lambda _: None)
    cache.write_bytes(cache.read_bytes()[:-9])
    found = ask_teacher(["a", "b"], Mood(), teacher(oracle), cache, sleep=lambda _: None)

    assert len(oracle.asked) == 3
    assert found.said.keys() == {"a", "b"}


def test_what_may_pass_is_tried_again_a_little_later(tmp_path: Path, oracle: Oracle) -> None:
    oracle.failures, slept = [503, 429], list[float]()
    found = ask_teacher(["a"], Mood(), teacher(oracle), tmp_path / "c", sleep=slept.append)

    assert found.said["a"].text == "good"
    assert slept == [0.5, 1.0]
    oracle.failures = [503] * 4
    with pytest.raises(TeacherUnavailable, match="status 503"):
        ask_teacher(["z"], Mood(), teacher(oracle), tmp_path / "c", sleep=slept.append)


def test_money_ends(tmp_path: Path, oracle: Oracle) -> None:
    asked = teacher(oracle, usd_per_mtok=10_000.0, cost_cap_usd=2.0)
    found = ask_teacher(list("abcde"), Mood(), asked, tmp_path / "c", sleep=lambda _: None)

    assert found.spent_usd == pytest.approx(2.0)
    assert (len(found.said), len(found.unasked)) == (2, 3)


def test_the_key_goes_along_and_is_kept_nowhere(tmp_path: Path, oracle: Oracle) -> None:
    asked = teacher(oracle, api_key=Secret(env="TEACHER_KEY"))
    ask_teacher(["a"], Mood(), asked, tmp_path / "c", key="sk-1", sleep=lambda _: None)

    assert oracle.keys == ["Bearer sk-1"]
    assert b"sk-1" not in (tmp_path / "c").read_bytes()
