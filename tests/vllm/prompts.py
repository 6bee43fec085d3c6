"""What the verification's proof asks: texts that no model was trained on, and prompts for prose."""

from dataclasses import dataclass
from itertools import islice, product

from serving.triage.dataset import Split, load
from serving.triage.task import messages

Messages = list[dict[str, str]]

_WISHES = (
    "Explain {} to a child in three sentences.",
    "Write the opening of a short story about {}.",
    "List five facts about {}.",
    "What should a beginner know about {}?",
    "Write a friendly letter that mentions {}.",
    "Describe {} to somebody who has never heard of it.",
    "Give three reasons why {} matters.",
    "Write a short poem about {}.",
    "What are common mistakes people make with {}?",
    "Compare {} with something similar.",
)
_THEMES = (
    "the sea", "bread", "photosynthesis", "chess", "the printing press", "a train journey",
    "winter", "electricity", "the violin", "bees", "a small library", "volcanoes",
    "learning to swim", "the moon", "gardening", "old maps", "sleep", "bicycles", "rivers",
    "a lost umbrella", "honesty", "the theatre", "cheese", "lighthouses", "mathematics",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prompts:
    """max_tokens: what each is asked with."""

    all: tuple[Messages, ...]
    max_tokens: int


def triage(count: int) -> Prompts:
    """Texts of the shadow part, which stands for traffic: no weights and no threshold saw them."""
    items = load(Split.SHADOW)
    spread = items[:: max(len(items) // count, 1)][:count]
    return Prompts(tuple(messages(item.text) for item in spread), max_tokens=16)


def prose(count: int) -> Prompts:
    """Each theme in turn, so that a few of them are already different."""
    made = (wish.format(theme) for wish, theme in product(_WISHES, _THEMES))
    chosen = islice(made, count)
    return Prompts(tuple([{"role": "user", "content": each}] for each in chosen), max_tokens=32)
