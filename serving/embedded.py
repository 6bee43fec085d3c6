"""The embedded default: a config file like any other, which `up` writes when given none."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from serving import triage
from serving.errors import ModelUnavailable
from serving.home import Home
from serving.models import BASE, Derived, ModelCache
from serving.ports import pick_free_port
from serving.release import Gate
from serving.releases import Draft, Releases
from serving.triage.manifest import MANIFEST_FILE

ROUTE = "triage"
DEFAULT_PORT = 8080

_HOST = "127.0.0.1"
_LABEL = "sentiment"
_WINDOW = 24


@dataclass(frozen=True, slots=True)
class EmbeddedModels:
    """The three files, verified, and the threshold that belongs to this student.

    release: that student and threshold are one, of this id.
    """

    base: Path
    teacher_adapter: Path
    student: Path
    threshold: float
    release: str | None = None


def prepare_models(cache: ModelCache) -> EmbeddedModels:
    """Fetches and derives what is not there yet. Raises `ModelUnavailable`."""
    base = cache.fetched(BASE)
    try:
        sha256 = triage.manifest().student_sha256
        # Named by its hash: two installed releases can share a home without undoing each other.
        name = f"triage-student-{sha256[:8]}.gguf"
        student = cache.derived(Derived(name, sha256, triage.derive_student), base)
        adapter = triage.teacher_adapter_path()
        return EmbeddedModels(base, adapter, student, triage.manifest().threshold)
    except ValueError as error:  # BrokenManifest, BrokenDelta, WrongFile: each tells the cure
        raise ModelUnavailable(str(error)) from error


def released(releases: Releases, models: EmbeddedModels) -> EmbeddedModels:
    """The shipped student as a release of this machine; from now on it runs from there.

    Raises `CannotRelease`, `BrokenRelease`.
    """
    release = releases.add(
        Draft(
            name=ROUTE,
            weights=models.student,
            quantization="Q4_1, trained layers Q8_0",
            gate=Gate(threshold=models.threshold, label=_LABEL, window_tokens=_WINDOW),
            provenance=_shipped(),
        ),
        link=True,  # the cache replaces its files and never writes into them
    )
    return replace(models, student=release.weights, release=release.id)


def _shipped() -> dict[str, JsonValue]:
    told = json.loads(MANIFEST_FILE.read_text(encoding="utf-8"))
    return {key: told[key] for key in ("task", "base", "provenance") if key in told}


def write_config(home: Home, models: EmbeddedModels, *, port: int) -> Path:
    """`embedded.toml` (`embedded-PORT.toml` beside it for another port), engines on free ports."""
    name = "embedded.toml" if port == DEFAULT_PORT else f"embedded-{port}.toml"
    config = home.root / name
    part = config.with_suffix(".part")
    part.write_text(
        _toml(
            home,
            models,
            port=port,
            student_port=pick_free_port(_HOST),
            teacher_port=pick_free_port(_HOST),
        ),
        encoding="utf-8",
    )
    part.replace(config)
    return config


def _toml(  # one template, top to bottom as in the file
    home: Home,
    models: EmbeddedModels,
    *,
    port: int,
    student_port: int,
    teacher_port: int,
) -> str:
    def quoted(value: object) -> str:
        return json.dumps(str(value), ensure_ascii=False)  # also a TOML basic string

    release = f"release = {quoted(models.release)}\n" if models.release is not None else ""
    return f"""\
# Written by `tutelage up`: the embedded default. Copy it to make your own; this one is overwritten.

[server]
host = "{_HOST}"
port = {port}
drain_s = 5.0                     # Ctrl-C finishes requests in flight for so long

# The prices are an example, to show what a cascade saves: this machine bills nobody.
[upstreams.student]
base_url = "http://{_HOST}:{student_port}/v1"
model = "triage-student"
price = {{ input_usd_per_mtok = 0.02, output_usd_per_mtok = 0.04 }}
timeouts = {{ connect_s = 1.0, first_token_s = 10.0, idle_s = 10.0, total_s = 60.0 }}
retries = 1
max_in_flight = 64

[upstreams.teacher]
base_url = "http://{_HOST}:{teacher_port}/v1"
model = "triage-teacher"
price = {{ input_usd_per_mtok = 0.20, output_usd_per_mtok = 0.40 }}
timeouts = {{ connect_s = 1.0, first_token_s = 20.0, idle_s = 10.0, total_s = 60.0 }}
retries = 1
max_in_flight = 64

[routes.{ROUTE}]
mode = "cascade"
student = "student"
teacher = "teacher"
{release}label = "{_LABEL}"
gate = {{ signal = "mean_probability", threshold = {models.threshold}, window_tokens = {_WINDOW} }}
fallback = "regenerate"
shadow = {{ rate = 0.05, max_in_flight = 1 }}
compare = ["label"]

[traces]
store = {quoted(f"sqlite://{home.traces}")}
content = "full"
retention_days = 30

[engines.student]
gguf = {quoted(models.student)}
port = {student_port}
model = "triage-student"
context_tokens = 1024

[engines.teacher]
gguf = {quoted(models.base)}
adapters = [{{ path = {quoted(models.teacher_adapter)} }}]
port = {teacher_port}
model = "triage-teacher"
context_tokens = 1024
"""
