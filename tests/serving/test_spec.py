import pytest
from pydantic import ValidationError

from serving.deployment import explain
from serving.llamacpp_spec import LlamaCppSpec

GOOD: dict[str, object] = {"name": "student", "gguf": "student.gguf", "model": "triage-student"}


def refusal(**changed: object) -> str:
    with pytest.raises(ValidationError) as refused:
        LlamaCppSpec.model_validate({**GOOD, **changed})
    return explain(refused.value)


def test_a_misspelt_key_is_named() -> None:
    assert (
        refusal(contxt_tokens=512) == "contxt_tokens: unknown key; remove it or mend its spelling"
    )


def test_a_misspelt_key_of_an_adapter_is_named_with_its_place() -> None:
    assert "adapters.0.weight: unknown key" in refusal(adapters=[{"path": "a.gguf", "weight": 1}])


def test_a_port_out_of_range_is_shown_as_given() -> None:
    assert refusal(port=70000).endswith("(got 70000)")


def test_only_loopback_is_allowed_because_engines_have_no_keys() -> None:
    assert "host: Input should be '127.0.0.1' (got '0.0.0.0')" in refusal(host="0.0.0.0")


def test_an_engine_of_another_kind_is_refused() -> None:
    assert "kind: Input should be 'llamacpp' (got 'magic')" in refusal(kind="magic")


@pytest.mark.parametrize("name", ["", "Student", "a/b", "x" * 33])
def test_a_name_that_could_not_be_a_file_name_is_refused(name: str) -> None:
    assert refusal(name=name).startswith("name: ")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValidationError) as refused:
        LlamaCppSpec.model_validate({"name": "student", "model": "m"})
    assert explain(refused.value) == "gguf: missing"


def test_a_spec_is_what_its_json_says() -> None:
    spec = LlamaCppSpec.model_validate({**GOOD, "adapters": [{"path": "a.gguf", "scale": 0.5}]})
    assert LlamaCppSpec.model_validate_json(spec.model_dump_json()) == spec
