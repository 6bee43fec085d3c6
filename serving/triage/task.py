"""The embedded task, feedback triage: what is asked, what may be answered, what counts as right.

One contract for the engines that serve it, the recipe that trains it and the tour that shows it.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

SYSTEM_PROMPT = "Triage this feedback as JSON."

NEUTRAL_WITHIN = 0.5
"""Mean ratings from -0.5 to 0.5 (scale -4..+4) count as neutral."""

STRONGEST = 4
"""The largest intensity, which is also the end of the raters' scale."""

_ANSWER = re.compile(r'\{"sentiment":"(negative|neutral|positive)","intensity":([0-4])\}')


class Sentiment(StrEnum):
    """The label that decides; the three words are one token each in SmolLM2's vocabulary."""

    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


_SHOWN = 80
"""Characters of a wrong answer that an error quotes."""

_EXAMPLE = '{"sentiment":"negative","intensity":2}'


@dataclass(frozen=True, slots=True)
class Answer:
    """What triage says about one text: its sentiment and how strong it is (0 to 4)."""

    sentiment: Sentiment
    intensity: int

    def __str__(self) -> str:
        """The exact bytes a model is trained to write."""
        return answer_text(self.sentiment, self.intensity)


class NotAnAnswer(ValueError):
    """The text is not exactly one triage answer."""


ANSWER_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "sentiment": {"type": "string", "enum": [label.value for label in Sentiment]},
        "intensity": {"type": "integer", "minimum": 0, "maximum": STRONGEST},
    },
    "required": ["sentiment", "intensity"],
    "additionalProperties": False,
}
"""JSON Schema of the answer, as `response_format` of an OpenAI request takes it."""


def messages(text: str) -> list[dict[str, str]]:
    """The chat that asks for one text's triage, in OpenAI's shape."""
    return [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": text},
    ]


def gold(mean_rating: float) -> Answer:
    """The right answer for a text whose raters' mean is `mean_rating` (-4..+4).

    Intensity rounds half to even, so that neutral and intensity 0 are the same texts.
    """
    intensity = min(STRONGEST, round(abs(mean_rating)))
    if mean_rating < -NEUTRAL_WITHIN:
        return Answer(Sentiment.NEGATIVE, intensity)
    if mean_rating > NEUTRAL_WITHIN:
        return Answer(Sentiment.POSITIVE, intensity)
    return Answer(Sentiment.NEUTRAL, intensity)


def answer_text(sentiment: Sentiment, intensity: int) -> str:
    """The answer as written: compact JSON, keys in this order, no spaces."""
    return json.dumps({"sentiment": sentiment.value, "intensity": intensity}, separators=(",", ":"))


def parse_answer(text: str) -> Answer:
    """Reads an answer; only the exact form passes, surrounding whitespace aside.

    Raises `NotAnAnswer`, with the beginning of what was there instead.
    """
    found = _ANSWER.fullmatch(text.strip())
    if found is None:
        raise NotAnAnswer(
            f"not a triage answer: {text[:_SHOWN]!r}; expected the form of {_EXAMPLE}"
        )
    return Answer(Sentiment(found[1]), int(found[2]))


def signed_intensity(answer: Answer) -> int:
    """The answer on one axis from -4 to +4: sentiment as the sign, neutral as 0."""
    sign = {Sentiment.NEGATIVE: -1, Sentiment.NEUTRAL: 0, Sentiment.POSITIVE: 1}
    return sign[answer.sentiment] * answer.intensity


def panel_distribution(mean_rating: float, rater_spread: float, raters: int) -> dict[Answer, float]:
    """How probable each answer is as the gold of a *fresh* panel of as many raters.

    `rater_spread` is the standard deviation of single ratings. The mean of a fresh panel given
    the mean of this one is about normal with variance 2 s²/n. Answers sum to 1; texts that
    raters see alike put nearly all on `gold(mean_rating)`, borderline ones share.
    """
    scale = max(rater_spread * math.sqrt(2.0 / raters), 1e-3)

    def below(cut: float) -> float:
        return 0.5 * math.erfc((mean_rating - cut) / (scale * math.sqrt(2.0)))

    cuts = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5]
    cumulative = [0.0, *(below(cut) for cut in cuts), 1.0]
    bins = [high - low for low, high in pairwise(cumulative)]
    return {gold(float(value)): share for value, share in zip(range(-4, 5), bins, strict=True)}
