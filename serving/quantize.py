"""`tutelage engines quantize`: smaller weights, how they were made, and what that did to them.

1. check what was wished: source, method, group size, where it will run
2. split the texts: those to calibrate on, those to judge by
3. make the job's environment, if it is not there yet, and run the job in it
4. serve source and result, side by side, and ask both the same
5. write `quantization.json` into the result, and let it appear whole
"""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.console import Console

from serving.command import usable_cores
from serving.errors import BadConfig
from serving.home import Home
from serving.job_environment import Jobs
from serving.measured import Measuring, measure
from serving.quantization import Calibration, Quantization, Weights, weights_in
from serving.quantize_methods import METHODS, Method, group_size_for
from serving.quantize_table import quantize_table
from serving.screen import Screen
from serving.story import to_a_report
from serving.texts import Sample, read_texts, split
from serving.wheel import sha256_of


@dataclass(frozen=True, slots=True)
class QuantizeWishes:
    """As on the command line. measure: None leaves the fidelity report out."""

    source: Path
    method: str
    to: Path
    texts: Path | None
    samples: int
    held_out: int
    max_tokens: int
    group_size: int | None
    measure: Measuring | None


@dataclass(frozen=True)
class _Order:
    """What a job reads; `serving/quantize_jobs/order.py` has the same fields."""

    method: str
    source: str
    target: str
    samples: list[dict[str, object]]
    max_tokens: int
    bits: int
    group_size: int
    answer: str


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    calibration_tokens: int
    versions: dict[str, str]


class _Widths(BaseModel):
    """Of a model's `config.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hidden_size: int
    intermediate_size: int


def run(wishes: QuantizeWishes, *, env: Mapping[str, str], console: Console, as_json: bool) -> int:
    """Exit status: 0, or 1 after an error, which is printed. `--json` prints the manifest alone."""
    return to_a_report(
        console,
        lambda screen, story: quantize(wishes, env=env, screen=screen, story=story),
        quantize_table,
        as_json=as_json,
        stopped="stopped; nothing of it is kept",
    )


def quantize(
    wishes: QuantizeWishes, *, env: Mapping[str, str], screen: Screen, story: ExitStack
) -> Quantization:
    """Raises a `ServingError`; then nothing is left at `wishes.to`."""
    home, method = Home.of(env), _method(wishes)
    group_size = group_size_for(_widths(wishes.source), wishes.group_size) if method.grouped else 0
    samples, judged_by = _texts(wishes, method)
    jobs = Jobs(home.environments, logs=home.logs, env=env, progress=screen)
    python = jobs.environment(method.recipe)

    wishes.to.parent.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.TemporaryDirectory(prefix=".quantize-", dir=wishes.to.parent)
    partial = Path(story.enter_context(scratch))
    result, order, answer = partial / wishes.to.name, partial / "order.json", partial / "answer"
    screen.step(f"{method.name}: {method.what}")
    asked = _Order(
        method=method.name,
        source=str(wishes.source.absolute()),
        target=str(result),
        samples=[sample.order() for sample in samples],
        max_tokens=wishes.max_tokens,
        bits=method.bits,
        group_size=group_size,
        answer=str(answer),
    )
    order.write_text(json.dumps(asdict(asked)), encoding="utf-8")
    began_s = time.monotonic()
    jobs.run(
        f"quantize-{method.name}",
        [str(python), str(method.job), str(order)],
        env=_job_env(wishes.source),
    )
    seconds = time.monotonic() - began_s
    told = _Answer.model_validate_json(answer.read_bytes())

    fidelity = None
    if wishes.measure is not None:
        screen.step(f"the same {len(judged_by)} texts to both, on {wishes.measure.executable}")
        fidelity = measure(
            wishes.measure,
            (wishes.source, result),
            judged_by,
            max_tokens=wishes.max_tokens,
            home=home,
            env=env,
            screen=screen,
        )
    made = Quantization(
        method=method.name,
        bits=method.bits,
        group_size=group_size or None,
        source=weights_in(wishes.source),
        result=_at(wishes.to, weights_in(result)),
        calibration=_calibration(wishes, samples, told.calibration_tokens),
        versions=told.versions,
        seconds=round(seconds, 1),
        made_at=datetime.now(UTC),
        fidelity=fidelity,
    )
    made.write(result)
    result.rename(wishes.to)
    screen.say(f"{wishes.to} is ready")
    return made


def _method(wishes: QuantizeWishes) -> Method:
    method, measuring = METHODS[wishes.method], wishes.measure
    if not (wishes.source / "config.json").is_file():
        raise BadConfig(
            "SOURCE", f"{wishes.source} is no folder with a config.json and safetensors"
        )
    if wishes.to.exists():
        raise BadConfig("--to", f"{wishes.to} is there already; name a new folder")
    if measuring is not None and measuring.device == "cpu" and not method.on_cpu:
        raise BadConfig(
            "--method",
            f"{method.name}: vLLM serves it on GPUs alone, so it cannot be measured on a CPU; "
            "--unmeasured makes it all the same",
        )
    return method


def _texts(wishes: QuantizeWishes, method: Method) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """To calibrate on, and to judge by."""
    held_out = wishes.held_out if wishes.measure is not None else 0
    if wishes.texts is None:
        if method.calibrated:
            raise BadConfig("--texts", f"{method.name} calibrates on them: name a JSONL file")
        if wishes.measure is not None:
            raise BadConfig(
                "--texts",
                "the fidelity report is made on them: name a JSONL file, or add --unmeasured",
            )
        return (), ()
    found = read_texts(wishes.texts)
    samples, judged_by = split(found, held_out=held_out)
    if method.calibrated and not samples:
        raise BadConfig(
            "--texts",
            f"{wishes.texts} holds {len(found)} different texts, of which {held_out} are held out "
            "(--held-out): none is left to calibrate on",
        )
    if held_out and not judged_by:
        raise BadConfig("--texts", f"{wishes.texts} holds no text to judge by")
    return samples[: wishes.samples] if method.calibrated else (), judged_by


def _widths(source: Path) -> tuple[int, int]:
    path = source / "config.json"
    try:
        read = _Widths.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadConfig(str(path), f"names no widths of layers: {error}") from error
    return read.hidden_size, read.intermediate_size


def _job_env(source: Path) -> dict[str, str]:
    """GPTQModel refuses to start with fewer than two workers on a CPU."""
    workers = str(max(2, usable_cores()))
    offline = {"HF_HUB_OFFLINE": "1"} if source.is_dir() else {}
    return {"GPTQMODEL_CPU_WORKERS": workers, "TOKENIZERS_PARALLELISM": "false", **offline}


def _calibration(
    wishes: QuantizeWishes, samples: Sequence[Sample], tokens: int
) -> Calibration | None:
    if wishes.texts is None or not samples:
        return None
    return Calibration(
        path=str(wishes.texts),
        sha256=sha256_of(wishes.texts),
        samples=len(samples),
        tokens=tokens,
        max_tokens=wishes.max_tokens,
    )


def _at(path: Path, weights: Weights) -> Weights:
    return weights.model_copy(update={"path": str(path)})
