"""What a route's config says of shadows, of candidates and of change."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.section import Section, Share
from router.drift import PER
from router.sampling import Sampler

RELEASE = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""It goes into a header."""


class Shadow(Section):
    """A share of traffic is also answered by the model that did not serve it, off the path.

    method: with "verify", the teacher first reads what the student served, and writes an answer of
    its own only where it would have said something else. sampler: with "near_threshold", `rate` is
    that of requests at the threshold, and the least sure and the surest are drawn at `floor`.
    """

    rate: Share = 0.0
    sampler: Sampler = Sampler.UNIFORM
    floor: Annotated[float, Field(gt=0, le=1)] = 0.01
    method: Literal["generate", "verify"] = "generate"
    max_in_flight: Annotated[int, Field(ge=1)] = 4


class Canary(Section):
    """A candidate's share of the route, until `tutelage releases` says something else."""

    release: Annotated[str, Field(pattern=RELEASE)]
    share: Share


class Drift(Section):
    """`false_alarm_every`: so many readings of a signal lie between two false alarms on average,
    at least: see `router.drift`.
    """

    false_alarm_every: Annotated[float, Field(ge=1000)] = PER
