"""Texts to quantize by: what a line may be, and which ones are kept for judging."""

import json
from pathlib import Path

import pytest

from serving.errors import BadConfig
from serving.texts import Message, Sample, read_texts, split

CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}
TRACE = {
    "kind": "exchange",
    "request": {"model": "m", "messages": [{"role": "user", "content": "Why?"}]},
    "student": {"text": "So."},
    "teacher": {"text": "Because."},
}


def written(folder: Path, *lines: object) -> Path:
    path = folder / "texts.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8")
    return path


def test_chats_texts_and_traces_are_read_each_once(tmp_path: Path) -> None:
    parts = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    judged = {"kind": "judgement", "trace_id": "1", "agreement": 1.0}
    wordless = {"kind": "exchange", "trace_id": "2"}
    found = read_texts(
        written(tmp_path, CHAT, {"text": "Once."}, TRACE, judged, wordless, parts, CHAT)
    )

    assert found == (
        Sample(messages=(Message("user", "Hi"), Message("assistant", "Yes?"))),
        Sample(text="Once."),
        Sample(messages=(Message("user", "Why?"), Message("assistant", "Because."))),
        Sample(messages=(Message("user", "Hi"),)),
    )


def test_a_chats_question_is_what_stands_before_its_last_answer(tmp_path: Path) -> None:
    answered, asked = read_texts(written(tmp_path, CHAT, {"messages": CHAT["messages"][:1]}))

    assert answered.question == asked.question == asked.messages


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"prompt": "Hi"}, "holds neither messages nor text"),
        ({"messages": [{"content": "Hi"}]}, "messages.0.role: Field required"),
        ({"messages": []}, "holds neither messages nor text"),
        ("Hi", "the line: Input should be an object"),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path: Path, line: object, said: str) -> None:
    with pytest.raises(BadConfig, match=r"texts\.jsonl:2: ") as found:
        read_texts(written(tmp_path, CHAT, line))

    assert said in str(found.value)
    assert '{"text": …}' in str(found.value)


def test_no_text_is_both_calibrated_on_and_judged_by_whatever_their_order() -> None:
    samples = [Sample(text=f"text {number}") for number in range(40)]

    kept, drawn = split(samples, held_out=8)
    again, others = split(samples[::-1], held_out=8)

    assert len(drawn) == 8
    assert set(kept).isdisjoint(drawn)
    assert set(kept) | set(drawn) == set(samples)
    assert set(drawn) == set(others)
    assert again == kept[::-1]
