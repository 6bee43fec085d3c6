from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.traces.reading import SqliteReader
from gateway.traces.store import AmbiguousTraceError, NoSuchTraceError, TraceStoreError
from router.trace import Drafted, Exchange, Judge, Reason, ServedBy
from tests.gateway.traces.conftest import Fill, Open
from tests.gateway.traces.records import NOON_S, Tally, answer, exchange, judgement, trace_id

STUDENT = exchange(1, ts=NOON_S + 1)
TEACHER = exchange(
    2, ts=NOON_S + 2, served_by=ServedBy.TEACHER, reason=Reason.LOW_CONFIDENCE, confidence=0.2
)
OTHER = exchange(3, ts=NOON_S + 3, route="support", reason=Reason.PINNED, confidence=None)


@pytest.fixture
def reader(path: Path, fill: Fill) -> Iterator[SqliteReader]:
    fill(
        *(OTHER, STUDENT, TEACHER),
        judgement(trace_id=STUDENT.trace_id, agreement=1.0),
        judgement(trace_id=TEACHER.trace_id, by=Judge.FALLBACK, propensity=1.0),
        judgement(trace_id=TEACHER.trace_id, comparator="exact", ts=NOON_S + 9),
    )
    with SqliteReader(path) as opened:
        yield opened


def test_whose_answer_it_was_is_found_by_the_whole_id(path: Path, fill: Fill) -> None:
    fill(exchange(1, caller="survey"), exchange(2, served_by=None))
    with SqliteReader(path) as opened:
        assert opened.find(trace_id(1)) == ("triage", "student", "survey")
        assert opened.find(trace_id(2)) == ("triage", None, None)
        assert opened.find(trace_id(3)) is None
        assert opened.find(trace_id(1)[:-1]) is None


def test_stats_tell_the_acceptance_of_routes_that_speculate(path: Path, fill: Fill) -> None:
    one = replace(answer(upstream="teacher"), drafted=Drafted(steps=5, tokens=20, accepted=17))
    two = replace(answer(upstream="teacher"), drafted=Drafted(steps=1, tokens=80, accepted=3))
    fill(
        *(exchange(1), exchange(2, route="fast", reason=Reason.SPECULATIVE, teacher=one)),
        exchange(3, route="fast", reason=Reason.SPECULATIVE, teacher=two),
        exchange(4, route="silent", reason=Reason.SPECULATIVE, teacher=answer()),
    )
    with SqliteReader(path) as opened:
        told = {each.route: each.draft_acceptance for each in opened.stats()}

    assert told == {"fast": pytest.approx(0.2), "silent": None, "triage": None}


def test_recent_is_newest_first_and_no_longer_than_asked(reader: SqliteReader) -> None:
    assert reader.recent(limit=2) == [OTHER, TEACHER]
    assert reader.recent(limit=9) == [OTHER, TEACHER, STUDENT]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"route": "triage"}, [TEACHER, STUDENT]),
        ({"reason": Reason.PINNED}, [OTHER]),
        ({"served_by": ServedBy.TEACHER}, [TEACHER]),
        ({"served_by": ServedBy.STUDENT, "route": "triage"}, [STUDENT]),
        ({"since_s": NOON_S + 2}, [OTHER, TEACHER]),
        ({"route": "nowhere"}, []),
    ],
)
def test_recent_takes_filters_together(
    reader: SqliteReader, wanted: dict[str, str], found: list[Exchange]
) -> None:
    assert reader.recent(limit=9, **wanted) == found  # type: ignore[arg-type]


def test_a_trace_is_found_by_the_beginning_of_its_id(reader: SqliteReader) -> None:
    for prefix in (TEACHER.trace_id, TEACHER.trace_id[:13], TEACHER.trace_id[:13].upper()):
        found, judged = reader.get(prefix)
        assert found == TEACHER
        assert [(each.by, each.comparator) for each in judged] == [
            (Judge.FALLBACK, "label"),
            (Judge.SHADOW, "exact"),
        ]


def test_a_trace_that_nobody_judged_has_no_judgements(reader: SqliteReader) -> None:
    assert reader.get(OTHER.trace_id) == (OTHER, [])


@pytest.mark.parametrize("prefix", ["", "ffff", "0%", "01_", "' OR 1=1 --"])
def test_an_id_that_no_trace_has_is_an_error(reader: SqliteReader, prefix: str) -> None:
    with pytest.raises(NoSuchTraceError, match="not in this store"):
        reader.get(prefix)


def test_a_beginning_that_several_share_is_an_error_that_names_them(reader: SqliteReader) -> None:
    with pytest.raises(AmbiguousTraceError, match=f"several begin like this .*{STUDENT.trace_id}"):
        reader.get(trace_id(1)[:8])


def test_a_shadow_without_a_pair_is_counted_and_is_no_disagreement(path: Path, fill: Fill) -> None:
    fill(
        *(exchange(1), exchange(2), exchange(3), exchange(4)),
        judgement(1, agreement=1.0),
        judgement(2, comparator="shed", agreement=None),
        judgement(3, comparator="shed", agreement=None),
        judgement(4, comparator="failed", agreement=None),
    )
    with SqliteReader(path) as opened:
        (route,) = opened.stats()

    (fidelity,) = route.fidelity()
    assert (fidelity.share.estimate, fidelity.share.judged) == (1.0, 1)
    assert route.unjudged == {"shed": 2, "failed": 1}


def test_stats_are_by_route(reader: SqliteReader) -> None:
    support, triage = reader.stats()

    assert (support.route, support.requests, triage.requests) == ("support", 1, 2)
    assert triage.coverage == 0.5
    assert [each.share.judged for each in triage.fidelity()] == [1]
    assert [stats.requests for stats in reader.stats(since_s=NOON_S + 2)] == [1, 1]


def test_a_reader_sees_what_is_stored_while_it_is_open(path: Path, open_writer: Open) -> None:
    tally = Tally()
    writer = open_writer(tally)
    with SqliteReader(path) as opened:
        assert opened.recent(limit=9) == []
        writer.put(STUDENT)
        tally.wait("stored", 1)
        assert opened.recent(limit=9) == [STUDENT]


def test_a_record_of_a_newer_gateway_is_an_error_that_says_so(path: Path, fill: Fill) -> None:
    fill(exchange(1, schema=2))

    with (
        SqliteReader(path) as opened,
        pytest.raises(TraceStoreError, match="schema 2 is newer than 1"),
    ):
        opened.recent(limit=1)
