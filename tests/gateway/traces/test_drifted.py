"""`tutelage traces drift`, on a store that a gateway has written."""

import argparse
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.rulings import Ruling, Rulings
from gateway.traces.commands import traces
from router.drift_watch import taken_from
from tests.gateway.traces.conftest import Fill
from tests.router.recorded import traffic

CONFIG = """
[upstreams.small]
base_url = "http://127.0.0.1:1/v1"
model = "small"
[routes.support]
student = "small"
teacher = "small"
compare = ["label"]
shadow = { rate = 0.5 }
drift = { false_alarm_every = 50000 }
[traces]
store = "sqlite://%(folder)s/traces.db"
[server]
state = "sqlite://%(folder)s/state.db"
"""


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="tutelage traces")
    return traces(parser)(parser.parse_args(arguments))


@pytest.fixture
def config(path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> str:
    """3,000 requests; from the 2,000th on the student is half as sure of itself."""
    monkeypatch.setenv("TUTELAGE_HOME", str(path.parent))
    records = [
        record
        for place, (exchange, judgements) in enumerate(traffic(3000))
        for record in (
            replace(exchange, confidence=(exchange.confidence or 0.0) * (0.5 + (place < 2000) / 2)),
            *judgements,
        )
    ]
    fill(*records)
    (path.parent / "tutelage.toml").write_text(CONFIG % {"folder": path.parent})
    return str(path.parent / "tutelage.toml")


def test_a_change_is_told_with_its_evidence(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("drift", "support", "--config", config, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    readings = {each["reading"]: each for each in found["readings"]}

    assert (found["taken_s"], found["per"]) == (None, 50_000)
    assert readings["confidence"]["reference"] == 1000
    assert 1000 < readings["confidence"]["alarmed_after"] < 1100
    assert readings["confidence"]["evidence"] >= 1.0
    assert readings["confidence"]["psi"]["value"] > readings["confidence"]["psi"]["by_chance"]
    assert readings["deciding_tokens"]["alarmed_after"] is None
    assert readings["agreement"]["alarmed_after"] is None
    assert run("drift", "support", "--config", config) == 0
    said = capsys.readouterr().out
    assert "held to its first requests" in said
    assert "one comes in 50,000 readings" in said


def test_what_was_applied_since_is_what_it_is_held_to(
    config: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = traffic(3000)
    now_s = records[2000][0].ts
    halved = [
        (replace(each, confidence=(each.confidence or 0.0) / 2), judged) for each, judged in records
    ]
    reference = taken_from(halved, comparator="label", rarest=0.5, now_s=now_s)
    Rulings(path.parent / "state.db").apply(
        "support", Ruling(0.8, None, reference), who="ann", why="", now_s=now_s
    )
    assert run("drift", "support", "--config", config, "--json") == 0
    found = json.loads(capsys.readouterr().out)

    assert found["taken_s"] == now_s
    assert {each["reading"]: each["alarmed_after"] for each in found["readings"]} == {
        "confidence": None,
        "deciding_tokens": None,
        "agreement": None,
    }
    assert {each["since"] for each in found["readings"] if each["reading"] != "agreement"} == {1000}
    assert run("drift", "support", "--config", config) == 0
    assert "the traffic that its threshold of 2027-01-15" in capsys.readouterr().out


def test_without_a_config_by_what_the_traces_say(
    config: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del config
    assert run("drift", "support", "--store", f"sqlite://{path}") == 0
    assert "one comes in 100,000 readings" in capsys.readouterr().out


def test_a_route_without_traces_is_named(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("drift", "nowhere", "--config", config) == 2
    assert "route 'nowhere': no gate has ruled" in capsys.readouterr().err
