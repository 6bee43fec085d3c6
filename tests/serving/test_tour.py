"""The tour against a small HTTP server that plays the gateway as it is told."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import httpx
import pytest
from rich.console import Console

from serving.deployment import Price
from serving.errors import ServingError
from serving.tour import PATIENCE_S, Asked, Guide, Tour, choose, columns, coverage
from serving.tour_table import TourTable, honesty, scoreboard
from serving.triage.dataset import Feedback, Source, TestPurpose, open_test
from serving.triage.task import Sentiment, messages

NEGATIVE = '{"sentiment":"negative","intensity":2}'
POSITIVE = '{"sentiment":"positive","intensity":1}'


def feedback(number: int, *, text: str = "It broke after a day.", rating: int = -2) -> Feedback:
    counts = tuple(20 if value == rating else 0 for value in range(-4, 5))
    return Feedback(f"amazon-{number}_1", f"amazon-{number}", Source.AMAZON, text, counts)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    text: str = NEGATIVE
    served_by: str = "student"
    reason: str = "confident"
    confidence: str | None = "0.9312"


Script = Callable[[str], Reply]


@contextmanager
def gateway(script: Script) -> Iterator[tuple[str, list[dict[str, object]]]]:
    """Serves what `script` says for a model; keeps the requests."""
    asked: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(body)
            reply = script(body["model"])
            if reply.status == 200:
                choice = {"message": {"role": "assistant", "content": reply.text}}
                usage = {"prompt_tokens": 40, "completion_tokens": 11}
                answer: dict[str, object] = {"choices": [choice], "usage": usage}
            else:
                answer = {"error": {"message": "no engine", "code": "upstream_failed"}}
            payload = json.dumps(answer).encode()
            self.send_response(reply.status)
            self.send_header("content-length", str(len(payload)))
            self.send_header("x-tutelage-served-by", reply.served_by)
            self.send_header("x-tutelage-reason", reply.reason)
            if reply.confidence is not None:
                self.send_header("x-tutelage-confidence", reply.confidence)
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@dataclass
class Time:
    """A clock that only pauses move."""

    now_s: float = 0.0

    def clock(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


@contextmanager
def guide(
    url: str, time: Time | None = None, alive: Callable[[], None] = lambda: None
) -> Iterator[Guide]:
    time = time or Time()
    with httpx.Client(base_url=url) as http:
        yield Guide(http, "triage", time.clock, time.pause, alive)


def test_a_row_says_who_answered_why_and_how_sure() -> None:
    with gateway(lambda _model: Reply()) as (url, asked), guide(url) as ask:
        row = ask.cascade(feedback(1))

    assert (row.served_by, row.reason, row.confidence) == ("student", "confident", 0.9312)
    assert row.answer is not None
    assert row.answer.sentiment is Sentiment.NEGATIVE
    assert row.right
    assert asked == [
        {
            "model": "triage",
            "messages": messages("It broke after a day."),
            "temperature": 0,
            "max_tokens": 24,
        }
    ]


def test_a_failed_request_is_a_row_not_a_crash() -> None:
    with gateway(lambda _model: Reply(status=502)) as (url, _), guide(url) as ask:
        row = ask.cascade(feedback(1))
    assert row.problem is not None
    assert row.problem.startswith("502: ")
    assert not row.right


def test_text_that_is_no_answer_is_wrong_but_not_a_failure() -> None:
    with gateway(lambda _model: Reply(text="Well, it depends.")) as (url, _), guide(url) as ask:
        row = ask.cascade(feedback(1))
    assert row.problem is None
    assert row.answer is None
    assert not row.right


def test_a_pinned_question_is_asked_again_while_its_engine_restarts() -> None:
    replies = iter([Reply(status=503), Reply(status=502), Reply()])
    time = Time()
    with gateway(lambda _model: next(replies)) as (url, asked), guide(url, time) as ask:
        row = ask.pinned(feedback(1), "student")
    assert row.problem is None
    assert [request["model"] for request in asked] == ["triage:student"] * 3
    assert time.now_s == 1.0


def test_patience_ends_and_the_failure_is_a_row() -> None:
    time = Time()
    with gateway(lambda _model: Reply(status=503)) as (url, _), guide(url, time) as ask:
        row = ask.pinned(feedback(1), "teacher")
    assert row.problem is not None
    assert PATIENCE_S < time.now_s < PATIENCE_S + 2


def test_a_cascade_request_is_asked_once() -> None:
    with gateway(lambda _model: Reply(status=503)) as (url, asked), guide(url) as ask:
        ask.cascade(feedback(1))
    assert len(asked) == 1


def test_a_gateway_that_is_gone_ends_the_tour() -> None:
    def gone() -> None:
        raise ServingError("gateway was killed by signal 9")

    with gateway(lambda _model: Reply()) as (url, _):
        pass
    with guide(url, alive=gone) as ask, pytest.raises(ServingError, match="signal 9"):
        ask.cascade(feedback(1))


def test_the_questions_are_the_same_everywhere_and_a_longer_tour_begins_like_a_short_one() -> None:
    texts = [feedback(number) for number in range(50)]
    assert choose(5, texts) == choose(5, texts[::-1]) == choose(20, texts)[:5]


def test_the_tours_texts_come_from_every_source_as_often_as_the_held_out_part_has_them() -> None:
    held_out = open_test(TestPurpose.TOUR)
    drawn = choose(400)

    for source in Source:
        share = sum(item.source is source for item in held_out) / len(held_out)
        assert sum(item.source is source for item in drawn) / 400 == pytest.approx(share, abs=0.06)


def asked(served_by: str, *, right: bool = True, took_s: float = 0.1) -> Asked:
    return Asked(
        feedback(1),
        took_s,
        text=NEGATIVE if right else POSITIVE,
        served_by=served_by,
        prompt_tokens=100,
        completion_tokens=10,
    )


CHEAP = Price(input_usd_per_mtok=1.0, output_usd_per_mtok=0.0)
DEAR = Price(input_usd_per_mtok=10.0, output_usd_per_mtok=0.0)

TOUR = Tour(
    cascade=(asked("student"), asked("teacher"), asked("student", right=False)),
    student=(asked("student"), asked("student", right=False), asked("student", right=False)),
    teacher=(asked("teacher"), asked("teacher"), asked("teacher")),
)


def test_accuracy_counts_labels() -> None:
    student, teacher, cascade = columns(TOUR, student=CHEAP, teacher=DEAR)
    assert [way.right.hits for way in (student, teacher, cascade)] == [1, 3, 2]


def test_a_deferral_costs_both_models() -> None:
    student, teacher, cascade = columns(TOUR, student=CHEAP, teacher=DEAR)
    assert student.usd == pytest.approx(3 * 100e-6)
    assert teacher.usd == pytest.approx(3 * 1000e-6)
    assert cascade.usd == pytest.approx((100 + 1000 + 100 + 100) * 1e-6)


def test_coverage_is_the_share_the_student_served() -> None:
    assert coverage(TOUR.cascade).hits == 2
    failed = Asked(feedback(1), 0.1, problem="502")
    assert coverage((*TOUR.cascade, failed)).of == 3


def test_a_failed_request_counts_as_wrong_and_has_no_latency() -> None:
    failed = Asked(feedback(1), 9.0, problem="502")
    _, _, cascade = columns(
        Tour((failed,), (asked("student"),), (asked("teacher"),)), student=CHEAP, teacher=DEAR
    )
    assert (cascade.failed, cascade.right.hits, cascade.right.of) == (1, 0, 1)
    assert math.isnan(cascade.p50_s)


def shown(*, terminal: bool) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=140, height=30, color_system=None)
    table = TourTable(console, size=2)
    with table.shown():
        table.add(asked("student"))
        table.add(Asked(feedback(2, text="[bold]no\nmarkup[/bold]"), 0.2, problem="502: [x]"))
    console.print(scoreboard(columns(TOUR, student=CHEAP, teacher=DEAR), coverage(TOUR.cascade)))
    return out.getvalue()


def test_a_pipe_gets_one_plain_line_a_row() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines[0].startswith("  1/2 negative 2    gold negative by student")
    assert lines[1].startswith("  2/2 failed: 502: [x]")
    assert lines[1].endswith("[bold]no markup[/bold]")
    assert "\x1b" not in "".join(lines)


def test_a_terminal_keeps_the_whole_table() -> None:
    text = shown(terminal=True)
    assert "2 held-out requests" in text
    assert "[bold]no markup[/bold]" in text
    assert "cost per 1k requests" in text


def test_a_small_sample_says_so() -> None:
    assert "intervals are wide" in (honesty(36) or "")
    assert honesty(1000) is None
