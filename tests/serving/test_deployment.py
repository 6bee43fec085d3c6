from pathlib import Path

import pytest

from serving.deployment import Price, read_deployment
from serving.errors import BadConfig
from serving.llamacpp_spec import LlamaCppSpec
from serving.vllm_spec import VllmSpec

WITH_ENGINE = """
[server]
port = 9000
[upstreams.student]
base_url = "http://127.0.0.1:8101/v1/"
model = "m"
price = { input_usd_per_mtok = 0.02, output_usd_per_mtok = 0.04 }
[upstreams.teacher]
base_url = "https://api.example.com/v1"
model = "large"
[routes.support]
student = "student"
teacher = "teacher"
[engines.student]
gguf = "models/student.gguf"
adapters = [{ path = "/abs/lora.gguf" }]
port = 8101
model = "m"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "tutelage.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(BadConfig) as refused:
        read_deployment(written(folder, text))
    return str(refused.value)


def test_engines_and_address_are_read_and_the_rest_is_left_to_the_gateway(tmp_path: Path) -> None:
    found = read_deployment(written(tmp_path, WITH_ENGINE + "[nobody.knows]\nthis = 1\n"))

    assert found.url == "http://127.0.0.1:9000"
    (engine,) = found.engines
    assert engine.name == "student"
    assert found.prices["student"] == Price(input_usd_per_mtok=0.02, output_usd_per_mtok=0.04)
    assert found.routes["support"].teacher == "teacher"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (engine,) = read_deployment(written(tmp_path, WITH_ENGINE)).engines
    assert isinstance(engine, LlamaCppSpec)
    assert engine.gguf == tmp_path / "models/student.gguf"
    assert engine.adapters[0].path == Path("/abs/lora.gguf")


def test_an_unknown_key_of_an_engine_is_refused_with_its_place(tmp_path: Path) -> None:
    said = refusal(tmp_path, WITH_ENGINE + "quantum = true\n")
    assert said.endswith(
        "tutelage.toml: [engines.student]: quantum: unknown key; remove it or mend its spelling"
    )


def test_an_engine_without_a_port_is_refused(tmp_path: Path) -> None:
    assert "[engines.student]: port: give one" in refusal(
        tmp_path, WITH_ENGINE.replace("port = 8101\n", "")
    )


def test_an_engine_that_no_upstream_names_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, WITH_ENGINE.replace("port = 8101", "port = 8111"))
    assert "no upstream has base_url = 'http://127.0.0.1:8111/v1'" in said


def test_a_file_that_is_missing_or_not_toml_is_named(tmp_path: Path) -> None:
    assert "tutelage.toml: not TOML" in refusal(tmp_path, "port: 8080")
    with pytest.raises(BadConfig, match=r"none\.toml: cannot be read: No such file"):
        read_deployment(tmp_path / "none.toml")


def test_a_price_is_per_million_tokens() -> None:
    price = Price(input_usd_per_mtok=2.0, output_usd_per_mtok=10.0)
    assert price.usd(prompt_tokens=1_000_000, completion_tokens=500_000) == pytest.approx(7.0)


WITH_VLLM = (
    WITH_ENGINE
    + """
[upstreams.large]
base_url = "http://127.0.0.1:8102/v1"
model = "large"
[engines.large]
kind = "vllm"
weights = "./models/large"
port = 8102
model = "large"
"""
)


def test_a_vllm_stands_beside_a_llama_cpp(tmp_path: Path) -> None:
    _, large = read_deployment(written(tmp_path, WITH_VLLM)).engines

    assert isinstance(large, VllmSpec)
    assert large.weights == str(tmp_path / "models/large")


def test_a_flag_that_vllm_does_not_know_is_refused_with_its_place(tmp_path: Path) -> None:
    said = refusal(tmp_path, WITH_VLLM + 'extra_args = ["--sed", "1"]\n')
    assert said.endswith(
        "[engines.large]: --sed: `vllm serve` 0.32.0 has no such flag; did you mean --seed?"
    )


def test_an_engine_of_another_kind_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, WITH_VLLM.replace('"vllm"', '"magic"'))
    assert said.endswith("[engines.large]: kind: there are llamacpp and vllm (got 'magic')")


def test_upstreams_that_no_engine_serves_run_elsewhere(tmp_path: Path) -> None:
    (teacher,) = read_deployment(written(tmp_path, WITH_ENGINE)).elsewhere

    assert (teacher.upstream, teacher.base_url) == ("teacher", "https://api.example.com/v1")
