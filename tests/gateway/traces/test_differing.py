"""`tutelage traces divergences` and `arms`, on a store that a gateway has written."""

import argparse
import json
from pathlib import Path

import pytest

from gateway.traces.commands import traces
from tests.gateway.traces.conftest import Fill
from tests.router.recorded import traffic


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tutelage traces")
    return traces(parser)(parser.parse_args(arguments))


@pytest.fixture
def store(path: Path, fill: Fill) -> str:
    """The student of old, and beside it one that is judged as often and is as good."""
    fill(
        *(
            record
            for seed, student in ((0, "old"), (1, "new"))
            for exchange, judgements in traffic(400, seed=seed, rate=1.0, student=student)
            for record in (exchange, *judgements)
        )
    )
    return f"sqlite://{path}"


def test_what_differs_is_listed_by_kind(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("divergences", "support", "--store", store, "--json") == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())

    assert found["comparator"] == "label"
    assert found["count"] > 30
    assert 0.05 < found["share"] < 0.25
    assert run("divergences", "support", "--store", store) == 0
    assert found["examples"][0] in capsys.readouterr().out


def test_a_route_without_divergences_says_so(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("divergences", "elsewhere", "--store", store) == 0
    assert "no divergence" in capsys.readouterr().out


def test_arms_are_compared_by_their_students_where_they_have_no_release(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wished = ("--store", store, "--margin", "0.2", "--incumbent", "old", "--candidate", "new")
    assert run("arms", "support", *wished, "--json") == 0
    told = json.loads(capsys.readouterr().out)

    assert (told["incumbent"], told["candidate"], told["comparator"]) == ("old", "new", "label")
    assert told["found"]["verdict"] == "success"
    assert run("arms", "support", *wished) == 0
    assert "new is not worse than old" in capsys.readouterr().out


def test_an_arm_that_never_served_is_refused(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("arms", "support", "--store", store, "--candidate", "newer") == 2
    assert "two arms are needed" in capsys.readouterr().err
