"""What the gateway's tests ask for by name."""

from collections.abc import AsyncIterator

import pytest

from tests.gateway.upstreams import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Makes upstreams, and closes their connections in the end."""
    made = Bench()
    yield made
    await made.aclose()
