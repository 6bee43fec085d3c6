from hypothesis import given
from hypothesis import strategies as st

from router.divergence import Comparator, Comparison, compare
from router.json_fields import PLAIN, JsonRule, fields

ORDER = '{"order": {"total": 100.0, "items": ["a", "b", {"c": 1}]}, "tags": ["x", "y"]}'

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=1), inner),
    max_leaves=10,
)


def by_fields(student: str, teacher: str, rule: JsonRule = PLAIN) -> Comparison:
    return compare(Comparator.JSON, student, teacher, label=None, json_rule=rule)


def test_agreement_is_the_share_of_fields_and_the_first_that_parts_is_named() -> None:
    other = ORDER.replace("100.0", "101").replace('"y"', '"z"')

    assert by_fields(ORDER, other) == Comparison(1 - 2 / 6, "order.total: 100.0|101")


def test_numbers_may_be_as_far_apart_as_the_route_allows() -> None:
    other = ORDER.replace("100.0", "101")

    assert by_fields(ORDER, other, JsonRule(tolerance=0.01)).agreement == 1.0
    assert by_fields(ORDER, other, JsonRule(tolerance=0.009)).agreement < 1.0
    assert by_fields('{"a": true}', '{"a": 1}', JsonRule(tolerance=0.5)).agreement == 0.0
    huge = f'{{"a": {"9" * 400}}}'
    assert by_fields(huge, huge, JsonRule(tolerance=0.1)).agreement == 1.0


def test_order_counts_but_for_the_lists_that_are_named() -> None:
    other = ORDER.replace('"a", "b", {"c": 1}', '{"c": 1}, "b", "a"')

    assert by_fields(ORDER, other).agreement < 1.0
    assert by_fields(ORDER, other, JsonRule(unordered=frozenset({"order.items"}))).agreement == 1.0
    assert by_fields("[1, 2]", "[2, 1]", JsonRule(unordered=frozenset({""}))).agreement == 1.0


def test_of_an_unordered_list_what_is_alone_is_told() -> None:
    rule = JsonRule(unordered=frozenset({"tags"}))
    other = ORDER.replace('"x", "y"', '"y", "z", "x", "w"')

    assert by_fields(ORDER, other, rule) == Comparison(1 - 2 / 8, "tags[2]: (missing)|z")


def test_what_is_no_json_agrees_with_nothing() -> None:
    assert by_fields("fine", ORDER) == Comparison(0.0, "the student's answer is no JSON")
    assert by_fields(ORDER, ORDER[:-1]) == Comparison(0.0, "the teacher's answer is no JSON")


@given(plain, plain)
def test_two_values_part_in_as_many_fields_whoever_is_first(a: object, b: object) -> None:
    found = [
        sorted(each.agrees for each in fields(x, y, JsonRule(unordered=frozenset({"a"}))))
        for x, y in ((a, b), (b, a))
    ]

    assert found[0] == found[1]


@given(st.lists(plain), st.randoms())
def test_a_shuffled_list_is_the_same_where_order_does_not_matter(
    items: list[object], random: object
) -> None:
    shuffled = list(items)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert all(each.agrees for each in fields(items, shuffled, JsonRule(unordered=frozenset({""}))))
