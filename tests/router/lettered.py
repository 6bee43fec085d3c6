"""A scripted pair: models over a few tokens of bytes whose next-token odds depend on the prefix."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from router.verify import Draft
from router.verify_rules import Candidate, Drafted, Reading

END = 0
RAW = (b"<|end|>", b"a", b" b", b" the", b"\n", "é".encode(), b"\xf0\x9f", b"\x98\x80", b"\xc3")
"""Token 0 ends the answer; the last three are single bytes of characters."""


@dataclass(frozen=True)
class Lettered:
    """A model that always gives the same odds after the same tokens.

    coarse: odds in halves, so that first choices are often tied.
    """

    seed: int
    sharpness: float = 3.0
    coarse: bool = False

    def odds(self, prefix: Sequence[int]) -> list[float]:
        """Log-probabilities over the vocabulary."""
        draw = random.Random(f"{self.seed} {list(prefix)}")
        scores = [self.sharpness * draw.random() for _ in RAW]
        if self.coarse:
            scores = [round(score) for score in scores]
        total = math.log(sum(map(math.exp, scores)))
        return [score - total for score in scores]

    def best(self, prefix: Sequence[int]) -> int:
        """Greedy decoding: of equals the one with the lowest id."""
        odds = self.odds(prefix)
        return odds.index(max(odds))

    def continued(self, prefix: Sequence[int], limit: int) -> list[int]:
        """The whole answer that begins so, the end token included if it comes within the limit."""
        tokens = list(prefix)
        while len(tokens) < limit and (not tokens or tokens[-1] != END):
            tokens.append(self.best(tokens))
        return tokens

    def sampled(self, limit: int, seed: int) -> list[int]:
        draw, tokens = random.Random(seed), list[int]()
        while len(tokens) < limit and (not tokens or tokens[-1] != END):
            weights = [math.exp(nats) for nats in self.odds(tokens)]
            tokens += draw.choices(range(len(RAW)), weights)
        return tokens

    def drafted(self, tokens: Sequence[int], limit: int) -> Draft:
        """Its own tokens, as an engine tells them with their logprobs."""
        found = []
        for at, token in enumerate(tokens):
            odds = self.odds(tokens[:at])
            found.append(Drafted(token, RAW[token], odds[token], max(odds)))
        finished = bool(tokens) and (tokens[-1] == END or len(tokens) == limit)
        return Draft(tuple(found), finished)

    def read(self, tokens: Sequence[int], top: int) -> list[Reading]:
        """What it thinks of each of another's tokens: the prompt logprobs of an engine."""
        readings = []
        for at, token in enumerate(tokens):
            odds = self.odds(tokens[:at])
            ranked = sorted(range(len(odds)), key=lambda each: -odds[each])
            rank = 1 + sum(other > odds[token] for other in odds)
            best = tuple(Candidate(each, odds[each]) for each in ranked[:top])
            readings.append(Reading(token, odds[token], rank, best))
        return readings
