"""Embeddings, models, tokenize and wrong paths, in the shape of vLLM 0.32."""

import base64
import json
import math
import struct
from typing import Any

import pytest

from serving.dialect import Refused
from serving.say import Say
from serving.vllm_shapes.token_ids import conversation_ids
from tests.serving.speakers import EMBEDDINGS, VLLM


def embedded(**wishes: Any) -> Any:
    return VLLM.whole(EMBEDDINGS, wishes, Say())


def test_each_input_has_a_vector_of_its_own_that_depends_on_it_alone() -> None:
    said = embedded(input=["one", "two two", "one"])

    first, second, third = (each["embedding"] for each in said["data"])
    assert first == third != second
    assert math.isclose(sum(value * value for value in second), 1.0, abs_tol=1e-6)
    assert [each["index"] for each in said["data"]] == [0, 1, 2]
    assert said["usage"]["prompt_tokens"] == said["usage"]["total_tokens"] == 4


def test_base64_is_the_same_vector_in_single_precision() -> None:
    floats = embedded(input="one")["data"][0]["embedding"]
    raw = base64.b64decode(embedded(input="one", encoding_format="base64")["data"][0]["embedding"])

    assert list(struct.unpack(f"<{len(floats)}f", raw)) == floats


def test_dimensions_shorten_the_vector_and_too_many_are_refused() -> None:
    assert len(embedded(input="one", dimensions=3)["data"][0]["embedding"]) == 3
    with pytest.raises(Refused):
        embedded(input="one", dimensions=4096)


def test_token_ids_are_taken_as_input() -> None:
    assert len(embedded(input=[1, 2])["data"]) == 1
    assert len(embedded(input=[[1, 2], [3]])["data"]) == 2


def test_the_model_list_has_the_recorded_shape() -> None:
    (recorded,) = json.loads(VLLM.recorded("models.json"))["data"]

    (card,) = VLLM.probe("GET", "/v1/models")["data"]

    assert card["id"] == recorded["id"]
    assert list(card) == list(recorded)
    assert list(card["permission"][0]) == list(recorded["permission"][0])


@pytest.mark.parametrize(
    ("wish", "recording"),
    [({}, "tokenize.json"), ({"return_token_strs": True}, "tokenize_strings.json")],
)
def test_tokenize_has_the_recorded_shape(wish: dict[str, bool], recording: str) -> None:
    recorded = json.loads(VLLM.recorded(recording))

    said = VLLM.probe("POST", "/tokenize", {"prompt": "one two one"} | wish)

    assert list(said) == list(recorded)
    assert (said["token_strs"] is None) == (recorded["token_strs"] is None)
    assert said["count"] == 3
    assert said["tokens"][0] == said["tokens"][2] != said["tokens"][1]


def test_messages_are_tokenized_too() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "one two"}]}]

    told = VLLM.probe("POST", "/tokenize", {"messages": messages})

    assert told["tokens"] == conversation_ids(messages)
    assert told["count"] == len(told["tokens"])


def test_detokenize_has_the_recorded_shape() -> None:
    said = VLLM.probe("POST", "/detokenize", {"tokens": [504, 3575]})

    assert list(said) == list(json.loads(VLLM.recorded("detokenize.json")))


@pytest.mark.parametrize(
    ("method", "path", "status", "recording"),
    [
        ("POST", "/v1/nowhere", 404, "error_not_found.json"),
        ("GET", "/v1/chat/completions", 405, "error_method.json"),
    ],
)
def test_a_wrong_path_is_answered_as_recorded(
    method: str, path: str, status: int, recording: str
) -> None:
    with pytest.raises(Refused) as refused:
        VLLM.probe(method, path, {})

    assert refused.value.status == status
    assert refused.value.body.decode() == VLLM.recorded(recording)
