"""The suites see the user's home: what they need was fetched into it beforehand."""

import pytest

from tests.conformance.standing import TOOLS


@pytest.fixture(autouse=True)
def _home_of_its_own() -> None:
    """As it is, unlike in all other tests."""


@pytest.fixture(autouse=True)
def _tools() -> None:
    assert TOOLS.is_dir(), f"{TOOLS} is not there: make test-conformance makes it"
