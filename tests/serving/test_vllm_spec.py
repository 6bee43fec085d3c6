"""The checked form of a vLLM engine, and the command line that it becomes."""

import json
import os
import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.command import engine_command
from serving.deployment import explain
from serving.errors import BadConfig
from serving.vllm_command import MENDS
from serving.vllm_flags import FLAGS, UnknownToVllm
from serving.vllm_spec import KEY_OF, VllmSpec
from tests.serving.vllm_specs import EVERYTHING, PLAIN


def spec(**keys: object) -> VllmSpec:
    return VllmSpec.model_validate({**PLAIN, **keys})


def argv(**keys: object) -> tuple[str, ...]:
    return engine_command(spec(**keys), env={}, cores=2).argv


def refusal(**keys: object) -> str:
    with pytest.raises(ValidationError) as refused:
        spec(**keys)
    return explain(refused.value)


def test_a_plain_spec_is_this_command() -> None:
    assert argv() == (
        *("vllm", "serve", "org/model", "--served-model-name", "m"),
        *("--host", "127.0.0.1", "--port", "8101", "--dtype", "auto"),
        *("--scheduling-policy", "priority", "--max-logprobs", "20", "--shutdown-timeout", "10"),
        "--disable-uvicorn-access-log",
    )


def test_a_spec_with_everything_is_this_command() -> None:
    assert engine_command(VllmSpec.model_validate(EVERYTHING), env={"K": "k"}, cores=2).argv == (
        *("./bin/vllm", "serve", "./teacher", "--served-model-name", "m"),
        *("--host", "0.0.0.0", "--port", "8101", "--dtype", "bfloat16"),
        *("--quantization", "compressed-tensors", "--max-model-len", "4096"),
        *("--max-num-seqs", "64", "--gpu-memory-utilization", "0.85"),
        *("--tensor-parallel-size", "2", "--pipeline-parallel-size", "3"),
        *("--data-parallel-size", "4", "--tool-call-parser", "hermes"),
        *("--reasoning-parser", "qwen3", "--scheduling-policy", "fcfs", "--max-logprobs", "-1"),
        "--speculative-config",
        '{"method": "draft_model", "model": "./student", "num_speculative_tokens": 5}',
        *("--per-request-spec-decode-metrics", "summary", "--shutdown-timeout", "30"),
        *("--enable-prefix-caching", "--no-enable-chunked-prefill", "--enable-auto-tool-choice"),
        *("--enable-per-request-metrics", "--enforce-eager", "--disable-uvicorn-access-log"),
        *("--enable-lora", "--max-loras", "2", "--max-lora-rank", "64"),
        *("--lora-modules", "polite=a/polite", "terse=a/terse"),
        *("--block-size", "32", "--compilation-config.mode=0"),
    )


@pytest.mark.parametrize("keys", [PLAIN, EVERYTHING], ids=["plain", "everything"])
def test_vllm_knows_every_flag_that_we_write(keys: dict[str, object]) -> None:
    _, _, _, *flags = engine_command(VllmSpec.model_validate(keys), env={"K": "k"}, cores=2).argv

    FLAGS.must_know(flags)


def test_a_key_of_the_spec_stands_for_every_flag_that_it_writes() -> None:
    command = engine_command(VllmSpec.model_validate(EVERYTHING), env={"K": "k"}, cores=2).argv
    written = {word for word in command if word.startswith("--")} - {"--block-size"}
    written = {word.replace("--no-enable-", "--enable-") for word in written}

    assert {word for word in written if "=" not in word} <= set(KEY_OF)
    assert set(KEY_OF) <= set(FLAGS.flags)


@pytest.mark.parametrize(
    ("speculate", "told"),
    [
        (
            {"method": "ngram", "lookup_max": 3},
            {"num_speculative_tokens": 4, "prompt_lookup_max": 3},
        ),
        ({"method": "suffix"}, {}),
        ({"method": "mtp"}, {"num_speculative_tokens": 1}),
        (
            {"method": "eagle3", "weights": "org/head", "tokens": 2},
            {"model": "org/head", "num_speculative_tokens": 2},
        ),
    ],
)
def test_each_way_to_speculate_is_told_as_vllm_wants_it(
    speculate: dict[str, object], told: dict[str, object]
) -> None:
    command = argv(speculate=speculate)
    config = json.loads(command[command.index("--speculative-config") + 1])

    assert config == {"method": speculate["method"], **told}


def test_a_draft_without_weights_is_refused() -> None:
    assert "weights: missing" in refusal(speculate={"method": "draft_model"})


# The environment


def test_a_key_travels_in_the_environment_and_not_where_ps_shows_it() -> None:
    command = engine_command(spec(api_key={"env": "K"}), env={"K": "secret"}, cores=1)

    assert command.env["VLLM_API_KEY"] == "secret"
    assert not [word for word in command.argv if "secret" in word or word == "--api-key"]


def test_a_key_that_is_not_set_is_named() -> None:
    with pytest.raises(BadConfig, match=r"engines\.student.*the variable K is not set"):
        engine_command(spec(api_key={"env": "K"}), env={}, cores=1)


def test_a_cpu_engine_gets_its_cache_and_its_threads() -> None:
    env = engine_command(spec(device="cpu", kv_cache_gib=2, threads=1), env={}, cores=1).env

    assert env["VLLM_CPU_KVCACHE_SPACE"] == "2"
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    shared = engine_command(spec(device="cpu"), env={}, cores=3).env
    assert shared["OMP_NUM_THREADS"] == "3"


def test_what_the_spec_wants_in_the_environment_has_the_last_word() -> None:
    wishes = {
        "store_responses": True,
        "lora": {"hot_load": True},
        "env": {"VLLM_NO_USAGE_STATS": "0", "NEW": "1"},
    }
    env = engine_command(spec(**wishes), env={"PATH": "/bin", "NEW": "0"}, cores=1).env

    assert env["VLLM_ENABLE_RESPONSES_API_STORE"] == "1"
    assert env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"
    assert (env["VLLM_NO_USAGE_STATS"], env["NEW"], env["PATH"]) == ("0", "1", "/bin")


def test_an_engine_that_speculates_on_a_cpu_finds_its_mends_first() -> None:
    ngram = {"speculate": {"method": "ngram"}}

    env = engine_command(spec(device="cpu", **ngram), env={"PYTHONPATH": "/a"}, cores=1).env
    plain = engine_command(spec(device="cpu"), env={"PYTHONPATH": "/a"}, cores=1).env
    gpu = engine_command(spec(**ngram), env={}, cores=1).env

    assert env["PYTHONPATH"].split(os.pathsep) == [str(MENDS), "/a"]
    assert plain["PYTHONPATH"] == "/a"
    assert "PYTHONPATH" not in gpu


def test_the_mends_are_a_plugin_of_vllm() -> None:
    (found,) = [
        point
        for distribution in distributions(path=[str(MENDS)])
        for point in distribution.entry_points
        if point.group == "vllm.general_plugins"
    ]

    written = (MENDS / f"{found.module}.py").read_text(encoding="utf-8")
    assert f"def {found.attr}(" in written


@pytest.mark.parametrize(("weights", "offline"), [("./here", "1"), ("org/model", None)])
def test_the_hub_is_left_alone_where_the_weights_are_a_folder(
    weights: str, offline: str | None
) -> None:
    env = engine_command(spec(weights=weights), env={}, cores=1).env

    assert env.get("HF_HUB_OFFLINE") == offline


# What is refused


def test_a_flag_that_vllm_does_not_have_is_refused_with_the_one_that_was_meant() -> None:
    said = refusal(extra_args=["--max-num-batched-token", "64"])

    assert "`vllm serve` 0.32.0 has no such flag; did you mean --max-num-batched-tokens?" in said


def test_a_flag_that_a_key_sets_is_refused_with_the_key() -> None:
    assert "-tp is set by the key tensor_parallel" in refusal(extra_args=["-tp", "2"])
    assert "--no-enable-prefix-caching is set by the key prefix_caching" in refusal(
        extra_args=["--no-enable-prefix-caching"]
    )


@pytest.mark.parametrize(
    ("extra_args", "said"),
    [
        (["--seed", "many"], "--seed: 'many' is no int"),
        (["--seed"], "--seed needs a value (int)"),
        (["--seed=1", "stray"], "'stray' stands where a flag"),
        (["--kv-cache-dtype", "fp7"], "--kv-cache-dtype: 'fp7' is not among auto, bfloat16"),
        (["--enable-dbo=yes"], "--enable-dbo takes no value"),
        (["--compilation-config", "{mode: 3}"], "is no json"),
        (["--max-num-batched-tokens", "4q"], "'4q' is no size"),
        (["--watermark", "x"], "'x' is no float"),
    ],
)
def test_a_value_that_vllm_would_not_take_is_refused(extra_args: list[str], said: str) -> None:
    assert said in refusal(extra_args=extra_args)


@pytest.mark.parametrize(
    "extra_args",
    [
        ["--seed", "-1"],
        ["--max-num-batched-tokens", "8k"],
        ["--middleware", "a.b", "--allowed-media-domains", "a.example", "b.example"],
        ["--hf-token", "--enable-dbo"],
        ["-cc.mode=3", "--compilation-config", '{"mode": 3}'],
    ],
)
def test_what_vllm_takes_is_taken(extra_args: list[str]) -> None:
    assert spec(extra_args=extra_args).extra_args == tuple(extra_args)


@pytest.mark.parametrize(
    ("key", "name", "said"),
    [
        ("tool_parser", "hermess", "did you mean hermes?"),
        ("reasoning_parser", "qwen33", "did you mean qwen3?"),
        ("quantization", "bitsandbytes", "vLLM 0.32.0 has none of that name"),
    ],
)
def test_a_name_that_vllm_would_not_find_is_refused(key: str, name: str, said: str) -> None:
    assert said in refusal(**{key: name})


def test_a_parser_that_a_plugin_brings_is_the_plugins_business() -> None:
    assert spec(tool_parser="ours", extra_args=["--tool-parser-plugin", "p.py"]).tool_parser


def test_other_machines_are_let_in_with_a_key_only() -> None:
    assert "lets other machines in: set api_key = { env" in refusal(host="0.0.0.0")
    assert spec(host="0.0.0.0", api_key={"env": "K"}).url == "http://127.0.0.1:8101"
    assert spec(host="::1").base_url == "http://[::1]:8101/v1"


def test_a_key_for_another_device_is_refused() -> None:
    assert "memory_share means nothing with device = 'cpu'" in refusal(
        device="cpu", memory_share=0.5
    )
    assert "kv_cache_gib means nothing with device = 'gpu'" in refusal(kv_cache_gib=1)


# Places


def test_paths_are_taken_from_the_config_file_and_names_are_left() -> None:
    moved = VllmSpec.model_validate(EVERYTHING).beside(Path("/etc/tutelage"))

    assert moved.weights == "/etc/tutelage/teacher"
    assert moved.executable == "/etc/tutelage/bin/vllm"
    assert [str(path) for _, path in moved.files] == [
        *("/etc/tutelage/teacher", "/etc/tutelage/student", "/etc/tutelage/bin/vllm"),
        *("/etc/tutelage/a/polite", "/etc/tutelage/a/terse"),
    ]
    assert spec().beside(Path("/etc/tutelage")).weights == "org/model"
    assert spec().files == ()


def test_the_record_of_flags_is_whole() -> None:
    assert FLAGS.version == "0.32.0"
    assert len(FLAGS.flags) > 300
    with pytest.raises(UnknownToVllm, match=r"it has auto_awq, .* more"):
        FLAGS.must_have_name("--quantization", "???", key="quantization")


def test_the_example_in_the_readme_is_a_spec_that_uses_every_key_but_those_of_a_cpu() -> None:
    readme = Path(__file__).parents[2] / "serving" / "README.md"
    (block,) = [
        each
        for each in re.findall(r"```toml\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
        if 'kind = "vllm"' in each
    ]
    (table,) = tomllib.loads(block)["engines"].values()

    shown = VllmSpec.model_validate({**table, "name": "teacher"})

    of_a_cpu = {"device", "kv_cache_gib", "threads"}
    named_beside = {"pipeline_parallel", "data_parallel", "chunked_prefill"}
    assert shown.model_fields_set == set(VllmSpec.model_fields) - of_a_cpu - named_beside
