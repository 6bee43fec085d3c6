"""What a gate read up to its ruling, token by token: enough to rule again with a smaller window."""

from collections.abc import Sequence

import msgspec

MOST_TOKENS = 256
"""Deciding tokens that are kept; a longer opening is not."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The deciding tokens of one streamed answer up to the ruling; numbers, and no word of it.

    Tokens are counted from 1, all of them. window: of the gate that ruled. begun: tokens before the
    window began (reasoning). tokens: read up to the ruling. places, nats: of each deciding token,
    in order. value_end: where a gate without a deciding token in its window would have ruled, the
    end of the first deciding value; None if that was not reached.
    """

    window: int
    begun: int
    tokens: int
    places: tuple[int, ...]
    nats: tuple[float, ...]
    value_end: int | None = None

    def ruled_at(self, window: int) -> int | None:
        """At which token a gate with this window would have ruled; None if that cannot be known,
        since the one that ruled had read less.
        """
        full = self.begun + window
        if full >= self.tokens:
            settled = window <= self.window or self.tokens < self.begun + self.window
            return self.tokens if settled else None
        if self.places and self.places[0] <= full:
            return full
        if self.value_end is None:
            # It ruled without: at the answer's end, or inside the value, its window being full.
            return None if self.places else self.tokens
        return self.value_end

    def read(self, ruled_at: int) -> Sequence[float]:
        """Log-probabilities, in nats, of the deciding tokens up to there."""
        return [
            nats for place, nats in zip(self.places, self.nats, strict=True) if place <= ruled_at
        ]
