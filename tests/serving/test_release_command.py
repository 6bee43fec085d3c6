"""`tutelage releases` beside `tutelage engines up`, as a user runs them, on scripted engines."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.home import Home
from serving.ports import port_is_free
from serving.release_state import ReleaseState
from tests.serving.test_engines_up import TUTELAGE, Place, Up
from tests.serving.waiting import until


def tell(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TUTELAGE, "releases", *arguments],
        env=place.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def add(place: Place, name: str, *, is_full: bool = False) -> str:
    weights = place.folder / f"weights of {name}"
    weights.mkdir()
    (weights / "config.json").write_text(json.dumps({"name": name}))
    if is_full:
        (weights / "full").write_text("for the stub")
    added = tell(place, "add", str(weights), "--name", name)
    assert added.returncode == 0, added.stdout
    return added.stdout.strip()


def promote(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return tell(place, "promote", "support", *arguments, "--why", "a test")


def url_in(said: str) -> str:
    return said.partition("stands on ")[2].partition(";")[0]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    route = '[routes.support]\nstudent = "student"\nteacher = "teacher"\n'
    place.config.write_text(place.config.read_text() + route)
    return place


@pytest.fixture
def up(place: Place) -> Iterator[Up]:
    with place.up("student") as running:
        yield running


def test_a_candidate_stands_beside_the_incumbent_takes_over_and_is_taken_back(
    place: Place, up: Up
) -> None:
    release = add(place, "better")
    some = promote(place, "better", "--share", "0.05")
    beside = url_in(some.stdout)
    both = [f"http://127.0.0.1:{place.ports['student']}/v1", beside]
    assert [httpx.get(f"{url}/models").status_code for url in both] == [200, 200]
    listed = tell(place, "ls").stdout
    assert f"{release} " in listed
    assert "5.0% of support" in listed

    whole = promote(place, "--keep", "0")
    assert url_in(whole.stdout) == beside
    up.wait_for("stopping engine student")
    until(lambda: port_is_free("127.0.0.1", place.ports["student"]))
    assert httpx.get(f"{beside}/models").status_code == 200
    assert (Home(place.home).releases / "current" / "support").resolve().name == release

    back = tell(place, "rollback", "support", "--why", "was better")
    assert "the config's own stands on" in back.stdout
    again = url_in(back.stdout)
    assert httpx.get(f"{again}/models").status_code == 200
    log = tell(place, "log", "support").stdout
    assert [why in log for why in ("a test", "was better")] == [True, True]


def test_one_that_cannot_start_is_told_and_taken_back(place: Place, up: Up) -> None:
    release = add(place, "large", is_full=True)
    failed = promote(place, "large")

    assert failed.returncode == 1
    assert "the GPU ran out of memory" in failed.stdout
    changes = ReleaseState(Home(place.home).state).changes("support")
    assert [each.after.current for each in changes] == [release, None]
    assert changes[1].who == "tutelage up"
    assert "ran out of memory" in changes[1].why
    assert "stopping" not in up.said


def test_a_damaged_release_is_refused_before_anything_changes(place: Place) -> None:
    release = add(place, "better")
    weights = Home(place.home).releases / release / "weights" / "config.json"
    weights.chmod(0o644)
    weights.write_text("{'name': 'bettor'}")
    refused = promote(place, "better")

    assert refused.returncode == 1
    assert "it is not used: add the release again" in refused.stdout
    assert ReleaseState(Home(place.home).state).changes() == []


def test_without_a_running_up_it_takes_effect_at_the_next_start(place: Place) -> None:
    release = add(place, "better")
    told = promote(place, "better")
    assert "it takes effect when one starts" in told.stdout

    with place.up("student"):
        (standing,) = ReleaseState(Home(place.home).state).standing()
        assert (standing.release, standing.state) == (release, "ready")
        assert standing.base_url == f"http://127.0.0.1:{place.ports['student']}/v1"
        (log,) = Home(place.home).logs.glob("engine-student.log")
        assert f"serves {Home(place.home).releases / release / 'weights'}" in log.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ls",), "no release yet"),
        (("show", "none"), "release 'none': there is none"),
        (("rollback", "support", "--why", "x"), "no release was ever promoted"),
        (("promote", "support", "--why", "x"), "there is no candidate"),
    ],
)
def test_what_cannot_be_done_is_said(place: Place, arguments: tuple[str, ...], said: str) -> None:
    told = tell(place, *arguments)

    assert said in told.stdout
    assert told.returncode == (0 if arguments == ("ls",) else 1)


def test_show_reads_every_byte_and_tells_the_manifest(place: Place) -> None:
    release = add(place, "better")
    shown = tell(place, "show", "better", "--json")

    assert json.loads(shown.stdout)["name"] == "better"
    assert release in tell(place, "show", release).stdout
    assert os.environ["TUTELAGE_HOME"] not in shown.stdout
