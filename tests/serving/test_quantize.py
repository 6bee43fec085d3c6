"""The story of `tutelage engines quantize`, with a job and a vLLM that only look like some."""

import json
import os
import sys
from argparse import ArgumentParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from serving.cli import engines
from serving.errors import BadConfig
from serving.home import Home
from serving.measured import Measuring
from serving.quantization import FILE, read_quantization, weights_in
from serving.quantize import QuantizeWishes, run
from serving.quantize_methods import METHODS, group_size_for
from tests.serving.stub_vllm import install

JOB = """
import json, pathlib, sys
order = json.loads(pathlib.Path(sys.argv[2]).read_text())
pathlib.Path({seen!r}).write_text(json.dumps(order))
if {fails!r}:
    sys.exit("out of memory")
target = pathlib.Path(order["target"])
target.mkdir()
target.joinpath("model.safetensors").write_bytes(b"small")
told = {{"calibration_tokens": 7, "versions": {{"gptqmodel": "7.6.0"}}}}
pathlib.Path(order["answer"]).write_text(json.dumps(told))
"""
TEXTS = [{"text": f"Text number {number}, of several words."} for number in range(6)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    widths = {"hidden_size": 576, "intermediate_size": 1536}
    (folder / "config.json").write_text(json.dumps(widths), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"as large as it was")
    return folder


def made_environments(folder: Path, *, fails: bool = False) -> Path:
    """Environments whose Python runs no job but ours; returns what a job was ordered."""
    seen = folder / "seen.json"
    job = folder / "job.py"
    job.write_text(JOB.format(seen=str(seen), fails=fails), encoding="utf-8")
    for method in METHODS.values():
        name = f"{method.recipe.name}-{method.recipe.digest}"
        environment = Home.of(os.environ).environments / name
        python = environment / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} {job} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        (environment / ".made").touch()
    return seen


def wishes(weights: Path, **changed: Any) -> QuantizeWishes:
    texts = weights.parent / "texts.jsonl"
    texts.write_text("\n".join(map(json.dumps, TEXTS)), encoding="utf-8")
    given: dict[str, Any] = {
        "source": weights,
        "method": "gptq",
        "to": weights.parent / "made" / "small",
        "texts": texts,
        "samples": 3,
        "held_out": 2,
        "max_tokens": 64,
        "group_size": None,
        "measure": None,
    }
    return QuantizeWishes(**{**given, **changed})


def ran(wished: QuantizeWishes, *, as_json: bool = False) -> tuple[int, str]:
    out = StringIO()
    console = Console(file=out, width=120, highlight=False)
    return run(wished, env=os.environ, console=console, as_json=as_json), out.getvalue()


def test_the_job_gets_its_texts_and_the_manifest_says_how_it_went(
    tmp_path: Path, source: Path
) -> None:
    seen = made_environments(tmp_path)
    wished = wishes(source)

    status, said = ran(wished)

    assert status == 0, said
    order = json.loads(seen.read_text(encoding="utf-8"))
    assert order["samples"] == TEXTS[:3]
    assert (order["bits"], order["group_size"], order["max_tokens"]) == (4, 64, 64)
    manifest = read_quantization(wished.to)
    assert manifest.source == weights_in(source)
    assert manifest.result == weights_in(wished.to)
    assert manifest.calibration is not None
    assert (manifest.calibration.samples, manifest.calibration.tokens) == (3, 7)
    assert manifest.versions == {"gptqmodel": "7.6.0"}
    assert manifest.fidelity is None
    assert "not measured" in said
    assert [path.name for path in wished.to.parent.iterdir()] == ["small"]


def test_source_and_result_are_served_and_asked_the_same(tmp_path: Path, source: Path) -> None:
    made_environments(tmp_path)
    vllm = install(tmp_path)
    measure = Measuring(str(vllm), "cpu", answer_tokens=4, in_turn=False)

    status, said = ran(wishes(source, measure=measure, method="w8a8"), as_json=True)

    assert status == 0, said
    report = json.loads(said)["fidelity"]
    assert report["texts"] == 2
    assert report["same_answer"] == report["same_first_choice"] == 1.0
    assert report["before"]["perplexity"] == report["after"]["perplexity"] > 1
    assert json.loads(said)["calibration"] is None  # round to nearest needs none


def test_a_job_that_fails_leaves_nothing_behind(tmp_path: Path, source: Path) -> None:
    made_environments(tmp_path, fails=True)
    wished = wishes(source)

    status, said = ran(wished)

    assert status == 1
    assert "out of memory" in said
    assert list(wished.to.parent.iterdir()) == []


GPU_ONLY = Measuring("vllm", "cpu", answer_tokens=4, in_turn=False)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": "fp8", "measure": GPU_ONLY}, "--method: fp8: vLLM serves it on GPUs alone"),
        ({"texts": None}, "--texts: gptq calibrates on them"),
        ({"held_out": 6, "measure": GPU_ONLY}, "none is left to calibrate on"),
        ({"group_size": 100}, "--group-size: 100 does not divide the model's widths, 576 and 1536"),
        ({"source": Path("nowhere")}, "SOURCE: nowhere is no folder with a config.json"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_made(
    tmp_path: Path, source: Path, changed: dict[str, Any], said: str
) -> None:
    seen = made_environments(tmp_path)

    status, told = ran(wishes(source, **changed))

    assert status == 1
    assert said in " ".join(told.split())
    assert not seen.exists()


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path, source: Path) -> None:
    made_environments(tmp_path)

    status, told = ran(wishes(source, to=source))

    assert status == 1
    assert "is there already" in told


def test_a_group_is_the_largest_that_fits() -> None:
    assert group_size_for((4096, 14336), None) == 128
    assert group_size_for((576, 1536), None) == 64
    assert group_size_for((576, 1536), 32) == 32
    with pytest.raises(BadConfig, match="none of"):
        group_size_for((50, 100), None)


def test_the_hash_is_of_the_weights_and_not_of_the_manifest(source: Path) -> None:
    before = weights_in(source)
    (source / FILE).write_text("{}", encoding="utf-8")
    assert weights_in(source) == before

    (source / "model.safetensors").write_bytes(b"as large as it Was")
    assert weights_in(source).sha256 != before.sha256
    assert weights_in(source).bytes == before.bytes


def test_a_folder_without_a_manifest_is_told(source: Path) -> None:
    with pytest.raises(BadConfig, match="no manifest of `engines quantize`"):
        read_quantization(source)


def test_the_command_line_reaches_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    runner = engines(parser)
    words = ["quantize", "nowhere", "--method", "w8a8", "--to", str(tmp_path / "x"), "--unmeasured"]

    assert runner(parser.parse_args(words)) == 1
    assert "SOURCE: nowhere is no folder" in capsys.readouterr().out
