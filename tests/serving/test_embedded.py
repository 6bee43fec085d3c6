"""The file that `up` writes for itself must be a config like any other."""

from pathlib import Path

import pytest

from gateway.config import load
from serving.deployment import read_deployment
from serving.embedded import EmbeddedModels, prepare_models, write_config
from serving.errors import ModelUnavailable
from serving.home import Home
from serving.llamacpp_spec import LlamaCppSpec
from serving.models import ModelCache
from serving.wheel import PinnedFile


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / 'a "home" with spaces')
    home.root.mkdir()
    return home


@pytest.fixture
def models(home: Home) -> EmbeddedModels:
    return EmbeddedModels(
        base=home.models / "base.gguf",
        teacher_adapter=Path("/package/adapter.gguf"),
        student=home.models / "student.gguf",
        threshold=0.73,
    )


def test_the_gateway_accepts_it(home: Home, models: EmbeddedModels) -> None:
    settings = load(write_config(home, models, port=8080))

    route = settings.routes["triage"]
    assert (route.student, route.teacher, route.label) == ("student", "teacher", "sentiment")
    assert route.gate.threshold == 0.73
    assert settings.traces.store == f"sqlite://{home.root}/traces.db"


def test_it_starts_the_engines_that_its_upstreams_name(home: Home, models: EmbeddedModels) -> None:
    found = read_deployment(write_config(home, models, port=8080))

    student, teacher = found.engines
    assert isinstance(student, LlamaCppSpec)
    assert isinstance(teacher, LlamaCppSpec)
    assert (student.name, student.gguf, student.adapters) == ("student", models.student, ())
    assert (teacher.name, teacher.gguf) == ("teacher", models.base)
    assert [adapter.path for adapter in teacher.adapters] == [models.teacher_adapter]
    assert student.port != teacher.port


def test_another_port_has_a_file_of_its_own(home: Home, models: EmbeddedModels) -> None:
    one, other = write_config(home, models, port=8080), write_config(home, models, port=9000)
    assert (one.name, other.name) == ("embedded.toml", "embedded-9000.toml")
    assert read_deployment(other).port == 9000


def test_a_damaged_package_is_told_like_any_missing_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BaseIsThere(ModelCache):
        def fetched(self, pinned: PinnedFile) -> Path:
            return tmp_path / pinned.file_name

    class Quiet:
        def say(self, line: str) -> None: ...

        def bytes_done(self, what: str, done: int, total: int) -> None: ...

    def broken() -> object:
        raise ValueError("manifest.json: damaged; reinstall tutelage")

    monkeypatch.setattr("serving.triage.manifest", broken)
    with pytest.raises(ModelUnavailable, match="reinstall tutelage"):
        prepare_models(BaseIsThere(tmp_path, progress=Quiet()))
