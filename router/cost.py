"""What an answer cost, and what it saved against asking the teacher every time."""

from dataclasses import dataclass

from router.trace import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens."""

    input_usd_per_mtok: float
    output_usd_per_mtok: float


def cost_usd(usage: Usage, price: Price) -> float:
    """Cached prompt tokens are priced like the others: an upper bound where they are cheaper."""
    return (
        usage.prompt_tokens * price.input_usd_per_mtok
        + usage.completion_tokens * price.output_usd_per_mtok
    ) / 1e6


def saved_usd(served: Usage, teacher: Price, spent_usd: float) -> float:
    """The teacher's charge for the usage that the client was served, minus what was spent.

    `spent_usd` is every call made to answer: a deferral pays student and teacher, so it saves a
    negative sum. An approximation where the two models write answers of different length, or count
    tokens differently.
    """
    return cost_usd(served, teacher) - spent_usd
