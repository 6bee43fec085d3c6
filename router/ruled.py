"""Which requests a threshold is about. No numpy: it is asked in a gateway that runs."""

from router.policy import Mode
from router.trace import Exchange, Outcome


def ruled(exchange: Exchange) -> bool:
    """Whether a gate decided who served."""
    return (
        exchange.mode == Mode.CASCADE.value
        and not exchange.pinned
        and exchange.outcome is Outcome.SERVED
    )
