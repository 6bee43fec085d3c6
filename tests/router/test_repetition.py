import json
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.repetition import find_loop

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("unit", "copies"),
    [
        ("and so on ", 12),
        ("The answer is 42.\n", 6),
        ("I do not know what to say about it. Let me think again. ", 5),
        ("no", 60),
        ("\\n", 60),
        ("我不知道。", 25),
        ("0", 420),
        (" ", 420),
        ("\n", 420),
        ("0, ", 140),
        ("-", 420),
        (f"{'A long passage that is told once more, word by word. ' * 4}End.\n", 3),
    ],
)
def test_what_is_said_again_and_again_to_the_end_is_a_loop(unit: str, copies: int) -> None:
    for text in (unit * copies, f"First: {unit * copies}", unit * copies + unit[: len(unit) // 2]):
        found = find_loop(text)

        assert found is not None
        assert sorted(found.unit) == sorted(unit) * (len(found.unit) // len(unit))
        assert find_loop(text[: len(text) // 6]) is None


def test_a_numbered_list_of_the_same_is_a_loop() -> None:
    lines = [f"{number}. Ask the user for their name.\n" for number in range(1, 12)]

    assert find_loop("Steps:\n" + "".join(lines)) is not None
    assert find_loop("Steps:\n" + "".join(lines).rstrip()) is not None


def test_of_a_text_that_ended_by_itself_more_is_asked() -> None:
    song = "Row, row, row your boat,\n" * 10

    assert find_loop(song) is not None
    assert find_loop(song, ended_itself=True) is None
    assert find_loop(song * 2, ended_itself=True) is not None


def test_a_loop_that_was_left_is_none() -> None:
    assert find_loop("and so on " * 40 + "until the very end.") is None


SOUND = {
    "prose": "It was the best of times, it was the worst of times, it was the age of wisdom, it "
    "was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it "
    "was the season of Light, it was the season of Darkness, it was the spring of hope",
    "refrain": "London Bridge is falling down,\nFalling down, falling down,\nLondon Bridge is "
    "falling down,\nMy fair lady.\nBuild it up with wood and clay,\nWood and clay, wood and clay,\n"
    "Build it up with wood and clay,\nMy fair lady.\n",
    "refrain at the end": "Are you sleeping, are you sleeping,\nBrother John, Brother John?\n"
    "Morning bells are ringing, morning bells are ringing,\nDing, dang, dong. Ding, dang, dong.",
    "laughter": "He laughed: ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha ha!",
    "list": "".join(f"- Item {word} costs 5 EUR.\n" for word in "abcdefghijklmnopqrst"),
    "table": "| a | b | a and b |\n|---|---|---|\n| yes | yes | yes |\n| yes | no | no |\n"
    "| no | yes | no |\n| no | no | no |\n| no | no | no |\n| no | no | no |\n",
    "rule": "Title\n" + "=" * 80 + "\n\n" + "-" * 120,
    "zeros": "\n".join(["0 0 0 0 0 0 0 0"] * 8),
    "identity": json.dumps([[int(row == column) for row in range(12)] for column in range(12)]),
    "code": "def f():\n    pass\n\n\ndef g():\n    pass\n\n\nif __name__ == '__main__':\n"
    "    f()\n    f()\n    g()\n    g()\n",
    "brackets": "{" * 60 + "}" * 60,
    "numbers": ", ".join(str(number) for number in range(400)),
    "nested": "\n".join("    " * level + "}" for level in reversed(range(40))),
    "base64": "QUFB" * 20,
    "spaces": "a" + " " * 90,
}


@pytest.mark.parametrize("kind", SOUND)
def test_lists_tables_code_and_refrains_are_no_loops(kind: str) -> None:
    text = SOUND[kind]

    assert [end for end in (*range(0, len(text), 7), len(text)) if find_loop(text[:end])] == []


def test_nothing_in_this_repository_is_a_loop_wherever_it_is_cut() -> None:
    files = [*ROOT.glob("*.md"), *ROOT.glob("[gdrst]*/*.py"), *ROOT.glob("[gdrst]*/*.md")]
    assert len(files) > 60
    for path in files:
        text = path.read_text(encoding="utf-8")
        for end in range(0, len(text), 397):
            assert find_loop(text[max(0, end - 5000) : end]) is None, (path, end)


letters = st.characters(categories=["L"])
units = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).flatmap(
    lambda more: st.builds(lambda letter: letter + more, letters)
)


@example("", "a", 100)
@given(st.text(max_size=80), units, st.integers(5, 12))
def test_any_unit_with_a_letter_loops_once_it_fills_enough(
    before: str, unit: str, copies: int
) -> None:
    copies = max(copies, -(-100 // len(unit)))

    assert find_loop(before + unit * copies) is not None
    assert find_loop(before + unit * (4 * copies), ended_itself=True) is not None


@given(st.lists(st.text(max_size=12), max_size=12), st.sampled_from("\n,;| "))
def test_items_that_differ_are_no_loop(items: list[str], between: str) -> None:
    text = between.join(f"<{number}:{item}>" for number, item in enumerate(items * 4))

    assert find_loop(text) is None


@given(st.text(st.sampled_from("ab \n1."), max_size=300), st.booleans())
def test_a_loop_is_what_it_says_it_is(text: str, ended_itself: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    found = find_loop(text, ended_itself=ended_itself)

    if found is not None and "1" not in text:  # numbering is passed over
        looped = text if text.endswith(found.unit) else text.rstrip()
        times = found.length // len(found.unit)
        assert looped.endswith(found.unit * times)
        assert found.length >= (400 if ended_itself else 100)


@pytest.mark.parametrize(
    "text",
    [
        "0" * 399,
        "0" * 1599,
        ("0" * 24 + "1") * 15,
        "ab" * 49,
        ("x" * 23 + "y") * 4,
        "".join("0" * (24 + number % 7) + "1" for number in range(200)),
    ],
)
def test_a_long_text_costs_no_more_than_its_last_page(text: str) -> None:
    def steps(seen: str) -> int:
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            find_loop(seen, ended_itself=True)
        finally:
            sys.setprofile(before)
        return counted

    assert steps(text) <= 4096 * 3
    assert steps("word " + "b7" * 50_000 + text) <= 4096 * 3
