import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.divergence import Comparator, Comparison, compare
from router.trace import Judge, Judgement, decode_judgement, encode
from tests.router.test_deciding import documents

EXACT, NORMALISED, LABEL = Comparator.EXACT, Comparator.NORMALISED, Comparator.LABEL
NEGATIVE = '{"sentiment":"negative","intensity":2}'
NEUTRAL = '{"sentiment":"neutral","intensity":2}'

texts = st.text(max_size=12) | st.sampled_from([NEGATIVE, NEUTRAL, '{"a":"\\ud83d"}', "[" * 5000])


def parted(comparator: Comparator, student: str, teacher: str, label: str | None = None) -> str:
    found = compare(comparator, student, teacher, label=label)
    assert found.agreement == 0.0
    return found.detail


def agree(comparator: Comparator, student: str, teacher: str, label: str | None = None) -> bool:
    return compare(comparator, student, teacher, label=label) == Comparison(1.0, "")


def test_exact_is_to_the_character_and_says_where_they_part() -> None:
    assert agree(EXACT, "Yes.", "Yes.")
    assert parted(EXACT, "The cat sat", "The dog sat") == "character 4: cat sat|dog sat"


def test_an_answer_that_only_goes_on_parts_at_its_end() -> None:
    assert parted(EXACT, "Yes", "Yes, of course") == "character 3: |, of course"


def test_normalised_passes_over_case_spacing_and_forms_of_letters() -> None:
    assert agree(NORMALISED, " The\n CAFÉ ", "the cafe\u0301")
    assert parted(NORMALISED, "The cat", "the dog") == "character 4: cat|dog"


def test_normalised_json_is_compared_by_value() -> None:
    assert agree(NORMALISED, '{"a": 1, "b": [2.0]}', '```json\n{"b":[2],"a":1}\n```')
    assert parted(NORMALISED, '{"a":{"b":[1,2]}}', '{"a":{"b":[1,3]}}') == "a.b[1]: 2|3"


def test_a_missing_field_is_a_difference_by_name() -> None:
    assert parted(NORMALISED, '{"a":1}', '{"a":1,"b":null}') == "b: (missing)|null"
    assert parted(NORMALISED, "[1]", "[]") == "[0]: 1|(missing)"


def test_true_is_not_one_and_an_object_is_not_its_text() -> None:
    assert parted(NORMALISED, '{"a":true}', '{"a":1}') == "a: true|1"
    assert parted(NORMALISED, '{"a":{}}', '{"a":"{…}"}').startswith("a: ")


def test_the_label_is_all_that_counts_under_label() -> None:
    assert agree(LABEL, NEGATIVE, '{"intensity": 4, "sentiment": "Negative"}', "sentiment")
    assert parted(LABEL, NEGATIVE, NEUTRAL, "sentiment") == "sentiment: negative|neutral"


@pytest.mark.parametrize(
    ("student", "teacher", "said"),
    [
        ("I think it is negative", NEGATIVE, "the student's answer is no JSON object"),
        (NEGATIVE, '{"sentiment":"neg', "the teacher's answer is no JSON object"),
        ("broken", "broken", "the student's answer is no JSON object"),
        ('{"mood":1}', NEGATIVE, "the student's answer has no field sentiment"),
        ('{"sentiment":NaN}', NEGATIVE, "the student's answer is no JSON object"),
    ],
)
def test_an_answer_without_a_readable_label_agrees_with_nothing(
    student: str, teacher: str, said: str
) -> None:
    assert parted(LABEL, student, teacher, "sentiment") == said


def test_label_without_a_field_is_the_normalised_text() -> None:
    assert agree(LABEL, "Negative", "negative ")


def test_a_long_difference_is_shortened() -> None:
    detail = parted(NORMALISED, '{"a":"%s"}' % ("x" * 100), '{"a":"y"}')

    assert detail == f"a: {'x' * 40}…|y"


@given(st.sampled_from(Comparator), texts, texts, st.sampled_from([None, "sentiment", "a"]))
def test_agreement_is_symmetric_and_every_detail_can_be_stored(
    comparator: Comparator, a: str, b: str, label: str | None
) -> None:
    found = compare(comparator, a, b, label=label)

    assert found.agreement == compare(comparator, b, a, label=label).agreement
    assert (found.agreement == 1.0) == (found.detail == "")
    judgement = Judgement(
        trace_id="t",
        by=Judge.SHADOW,
        comparator=comparator,
        agreement=found.agreement,
        detail=found.detail,
        propensity=1.0,
        ts=0.0,
    )
    assert decode_judgement(encode(judgement)) == judgement


@given(documents)
def test_an_answer_agrees_with_itself_however_it_is_spelled(document: object) -> None:
    one = json.dumps(document)
    other = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)

    assert agree(NORMALISED, one, other)
