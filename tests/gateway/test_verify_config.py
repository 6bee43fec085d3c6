"""What a route may say about verification."""

import pytest
from pydantic import ValidationError

from gateway.config import Route, Verify
from router.verify_rules import Chow, Diff, Greedy, Lenient, Opt, Rule, TokenV1, TokenV2, TopK


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ({}, Greedy(0.05)),
        ({"tie_nats": 0.2}, Greedy(0.2)),
        ({"rule": "lenient", "by": 0.3}, Lenient(0.3)),
        ({"rule": "token_v1", "by": 0.3}, TokenV1(0.3)),
        ({"rule": "token_v2", "by": 0.3}, TokenV2(0.3)),
        ({"rule": "top_k", "by": 3}, TopK(3)),
        ({"rule": "chow", "by": 0.1}, Chow(0.1)),
        ({"rule": "diff", "by": 0.1}, Diff(0.1)),
        ({"rule": "opt", "by": 1}, Opt(1.0)),
    ],
)
def test_a_rule_is_made_of_its_name_and_number(said: dict[str, object], made: Rule) -> None:
    assert Verify.model_validate(said).made() == made


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"by": 0.3}, "takes no `by`"),
        ({"rule": "lenient"}, "needs `by`"),
        ({"rule": "lenient", "by": 1.5}, r"epsilon must be in \[0, 1\]"),
        ({"rule": "top_k", "by": 1.5}, "whole number"),
        ({"rule": "top_k", "by": 0}, "at least 1"),
        ({"top_logprobs": 1}, "greater than or equal to 2"),
        ({"rule": "typical"}, "Input should be"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(said: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Verify.model_validate(said)


@pytest.mark.parametrize(
    "reads",
    [{"fallback": "verify"}, {"shadow": {"method": "verify"}}, {"on_collapse": "takeover"}],
)
@pytest.mark.parametrize("mode", ["student", "teacher"])
def test_what_goes_on_from_a_students_tokens_needs_a_cascade(
    mode: str, reads: dict[str, object]
) -> None:
    route = {"student": "small", "teacher": "large", "mode": mode, **reads}

    with pytest.raises(ValidationError, match="only a cascade has a student"):
        Route.model_validate(route)
    assert Route.model_validate(route | {"mode": "cascade"}).reads == (
        "shadow.method" if "shadow" in reads else next(iter(reads)),
    )
