"""The table of differences says what the recordings of the real engines say."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.differences import LLAMACPP, VLLM, Differences

GOLDEN = Path(__file__).parent.parent / "golden"
RECORDED = [
    pytest.param("vllm-0.32", VLLM, id="vllm"),
    pytest.param("llamacpp", LLAMACPP, id="llamacpp"),
]


@pytest.mark.parametrize(("engine", "differs"), RECORDED)
def test_a_recorded_stream_opens_as_the_table_says(engine: str, differs: Differences) -> None:
    opening = (GOLDEN / engine / "chat_stream_length.sse").read_text(encoding="utf-8")
    first = json.loads(opening.split("\n\n")[0].removeprefix("data: "))

    assert first["choices"][0]["delta"]["content"] == differs.opening_content


@pytest.mark.parametrize(("engine", "differs"), RECORDED)
def test_recorded_choices_are_counted_as_the_table_says(engine: str, differs: Differences) -> None:
    path = GOLDEN / engine / "chat_n3.json"
    answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    assert len(answer["choices"]) == 3
    counted = 3 if differs.usage_counts_every_choice else 1
    assert answer["usage"]["completion_tokens"] == counted * 8
