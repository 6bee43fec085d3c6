"""`tutelage tune` on a store that a gateway has written."""

import argparse
import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from gateway.rulings import Rulings
from gateway.tuning.commands import tune
from router.evidence import Record
from tests.gateway.traces import stores
from tests.router.recorded import traffic
from tests.router.streams import streams

CONFIG = """
[upstreams.small]
base_url = "http://127.0.0.1:1/v1"
model = "small"
[routes.support]
student = "small"
teacher = "small"
compare = ["label"]
[traces]
store = "sqlite://{store}"
[server]
state = "sqlite://{store}.state"
"""


@pytest.fixture
def store(tmp_path: Path) -> str:
    """3,000 requests of the route `support`, half of the served ones judged."""
    return stored(tmp_path / "traces.db", traffic(3000))


def stored(path: Path, records: Iterable[Record]) -> str:
    return asyncio.run(stores.stored(path, records))


def configured(store: str, folder: Path) -> Path:
    config = folder / "tutelage.toml"
    config.write_text(CONFIG.format(store=store.removeprefix("sqlite://")))
    return config


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tutelage tune")
    return tune(parser)(parser.parse_args(arguments))


def test_the_answer_is_a_sentence(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("support", "--store", store, "--max-risk", "0.06") == 0
    said = " ".join(capsys.readouterr().out.split())

    assert said.startswith("support: threshold 0.")
    assert "with 95% certainty at most 6.0% of what it serves differs from the teacher" in said
    assert "3000 requests ruled on" in said


def test_machines_get_one_object(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("support", "--store", store, "--max-risk", "0.06", "--json") == 0
    found = json.loads(capsys.readouterr().out)

    assert found["promise"]["risk_bound"] <= 0.06
    assert found["requests"] == 3000
    assert found["chosen"]["coverage"]["lower"] > 0.5


def test_where_nothing_can_be_promised_the_status_says_so(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("support", "--store", store, "--max-risk", "0.001") == 3
    assert "support: no threshold." in capsys.readouterr().out


def test_windows_and_slices_are_in_the_report_its_object_and_its_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, picture = stored(tmp_path / "traces.db", streams(3000)), tmp_path / "risk.svg"
    wished = ("support", "--store", store, "--max-risk", "0.06", "--slice-by", "caller")
    assert run(*wished, "--svg", str(picture)) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    marks = {each.get("class") for each in ET.parse(picture).iter()}
    assert run(*wished, "--json") == 0
    found = json.loads(capsys.readouterr().out)

    assert ["4", "(cheapest)"] in [row[:2] for row in rows]
    assert "(none)" in [row[0] for row in rows if row]
    assert {"slice", "window"} <= marks
    assert found["windows"]["cheapest"] == 4
    assert found["slices"]["slices"][0]["standing"] == "kept"


def test_a_slicing_that_there_is_not_is_refused(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("support", "--store", store, "--max-risk", "0.06", "--slice-by", "mood") == 2
    assert "'mood' is no way to slice" in capsys.readouterr().err


def test_a_replay_needs_no_wish(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("support", "--store", store, "--replay", "0.5", "0.9") == 0
    header, *rows = capsys.readouterr().out.splitlines()

    assert header.split()[-1] == "bound"
    assert [row.split()[0] for row in rows] == ["0.5000", "0.9000"]


def test_the_picture_is_an_svg_with_the_wish_and_the_choice(store: str, tmp_path: Path) -> None:
    picture = tmp_path / "risk.svg"
    run("support", "--store", store, "--max-risk", "0.06", "--svg", str(picture))
    marks = {each.get("class") for each in ET.parse(picture).iter()}

    assert {"band", "curve", "wish", "chosen", "now"} <= marks


def test_a_calibrated_score_needs_the_route_that_it_is_for(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(store, tmp_path)
    wished = ("--max-risk", "0.06", "--score", "calibrated")

    assert run("support", "--store", store, *wished) == 2
    assert "needs --config" in capsys.readouterr().err
    assert run("support", "--config", str(config), *wished) == 0
    assert "confidence: " in capsys.readouterr().out
    assert run("other", "--config", str(config), *wished) == 2
    assert "no route 'other'" in capsys.readouterr().err


def test_a_wish_is_needed_and_must_be_a_share(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run("support", "--store", store)
    assert "say what is wished for" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("support", "--store", store, "--max-risk", "2")
    assert "not a share" in capsys.readouterr().err


def test_a_route_without_traces_is_named(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nowhere", "--store", store, "--max-risk", "0.1") == 2
    assert "nowhere: no gate has ruled on any request" in capsys.readouterr().err


def test_what_is_applied_is_written_down_with_who_and_why(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(configured(store, tmp_path))
    for risk, score, why in (("0.06", "recorded", "first"), ("0.05", "calibrated", "second")):
        wished = ("--max-risk", risk, "--score", score, "--apply", why)
        assert run("support", "--config", config, *wished) == 0
    first, second = Rulings(Path(f"{store.removeprefix('sqlite://')}.state")).all()

    assert "applied: support rules by" in capsys.readouterr().err
    assert (first.route, first.why, first.before) == ("support", "first", None)
    assert (second.why, second.before) == ("second", first.after)
    assert second.after is not None
    assert second.after.calibration is not None
    assert second.after.calibration.student == "small"
    assert first.who


def test_a_revert_puts_back_what_was_before_and_says_so(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(configured(store, tmp_path))
    assert run("support", "--config", config, "--revert", "too soon") == 2
    assert "nothing was ever applied to route 'support'" in capsys.readouterr().err
    assert run("support", "--config", config, "--max-risk", "0.06", "--apply", "first") == 0
    capsys.readouterr()

    assert run("support", "--config", config, "--revert", "complaints") == 0
    assert "reverted: support rules by the config's, before by 0." in capsys.readouterr().err
    first, second = Rulings(Path(f"{store.removeprefix('sqlite://')}.state")).all()
    assert (second.why, second.before, second.after) == ("complaints", first.after, None)


def test_a_revert_goes_alone(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("support", "--store", store, "--revert", "complaints")
    assert "--revert goes with --config alone" in capsys.readouterr().err


def test_a_refusal_applies_nothing(store: str, tmp_path: Path) -> None:
    config = str(configured(store, tmp_path))

    assert run("support", "--config", config, "--max-risk", "0.001", "--apply", "now") == 3
    assert not Path(f"{store.removeprefix('sqlite://')}.state").exists()


def test_to_apply_takes_a_config(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("support", "--store", store, "--max-risk", "0.06", "--apply", "now")
    assert "--apply goes with --config" in capsys.readouterr().err


def test_a_threshold_is_found_on_one_release_and_belongs_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = traffic(3000)
    records = [
        (replace(exchange, release="old" if number < 1000 else "new"), judgements)
        for number, (exchange, judgements) in enumerate(everything)
    ]
    store = stored(tmp_path / "traces.db", records)
    config = configured(store, tmp_path)
    wished = ("support", "--config", str(config), "--max-risk", "0.08", "--json")
    run(*wished, "--release", "old")
    old = json.loads(capsys.readouterr().out)
    assert run(*wished, "--apply", "a test") == 0
    new = json.loads(capsys.readouterr().out)

    assert (old["requests"], new["requests"]) == (1000, 2000)
    (applied,) = Rulings(Path(f"{tmp_path / 'traces.db'}.state")).all()
    assert applied.release == "new"
