"""How long a client waits is what it says, and for streams only what it says outright."""

import pytest

from gateway.deadline import until_s
from gateway.errors import BadRequest


def test_a_client_that_says_nothing_waits_for_ever() -> None:
    assert until_s(100.0, stream=False) is None


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_said_outright_bounds_streams_too(*, stream: bool) -> None:
    assert until_s(100.0, explicit="2.5", stream=stream) == 102.5


def test_the_read_timeout_of_an_sdk_bounds_whole_answers_alone() -> None:
    assert until_s(100.0, hint="600", stream=False) == 700.0
    assert until_s(100.0, hint="600", stream=True) is None


def test_the_shorter_one_counts() -> None:
    assert until_s(0.0, explicit="5", hint="3", stream=False) == 3.0
    assert until_s(0.0, explicit="5", hint="3", stream=True) == 5.0
    assert until_s(0.0, explicit="2", hint="3", stream=False) == 2.0


@pytest.mark.parametrize("nonsense", ["", "soon", "0", "-1", "nan", "2s"])
def test_nonsense_is_refused_where_it_is_ours_and_ignored_where_it_is_not(nonsense: str) -> None:
    assert until_s(0.0, hint=nonsense, stream=False) is None
    with pytest.raises(BadRequest, match="x-tutelage-timeout-s") as refused:
        until_s(0.0, explicit=nonsense, stream=False)
    assert refused.value.param == "x-tutelage-timeout-s"


def test_no_deadline_is_further_away_than_a_day() -> None:
    assert until_s(0.0, explicit="inf", stream=True) == 86_400.0
