# ruff: noqa: N815 - tensors carry their axes in their names
"""Prompts and answers as tokens: what a row holds, where it decides, how rows become batches."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from serving.triage.dataset import Feedback
from serving.triage.task import STRONGEST, Answer, Sentiment, messages, panel_distribution

_PROBE = "An ordinary sentence."


class Tokenizer(Protocol):
    """The two calls that are made on a transformers tokenizer."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **how: Any) -> str: ...  # noqa: ANN401

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any: ...  # noqa: ANN401


class TokenBoundary(ValueError):
    """A text's tokens do not fall where the task's do, so positions would be wrong."""


@dataclass(frozen=True)
class TaskTokens:
    """The task in tokens: the prefix that all prompts share, and the answer's fixed form."""

    prefix_ids: tuple[int, ...]
    """Up to and including `<|im_start|>user` and its newline."""
    answer_ids: Mapping[Answer, tuple[int, ...]]
    """Every answer, with the end-of-turn token."""
    label_ids: tuple[int, ...]
    """One token for each `Sentiment`, in that order."""
    digit_ids: tuple[int, ...]
    """One token for each intensity 0 to 4."""
    label_at: int
    """Index of the label inside the answer."""
    digit_at: int
    """Index of the digit inside the answer."""


@dataclass(frozen=True)
class Example:
    """One text as tokens, with the answer that is written into the row and the soft targets."""

    id: str
    text_ids: tuple[int, ...]
    """The user's text and the template up to the answer, without the shared prefix."""
    answer: Answer
    """Forced into the row; the digit's target is conditional on its sentiment."""
    sentiment_S: tuple[float, ...]
    intensity_S: tuple[float, ...]

    def __len__(self) -> int:
        """Tokens that are computed for this row, give or take the answer's fixed length."""
        return len(self.text_ids)


@dataclass(frozen=True)
class Batch:
    """Rows padded on the right. Causal attention never looks there, so no mask is needed."""

    ids_BT: Tensor
    label_at_B: Tensor
    """Position in T whose logits predict the label."""
    digit_at_B: Tensor
    sentiment_BS: Tensor
    intensity_BS: Tensor
    template_row_N: Tensor
    """Rows and positions whose logits predict a token of the template, and that token."""
    template_at_N: Tensor
    template_id_N: Tensor


def task_tokens(tokenizer: Tokenizer) -> TaskTokens:
    """The task in this tokenizer's tokens.

    Raises `TokenBoundary` if a label or a digit is not one token.
    """
    asked = _prompt(tokenizer, _PROBE)
    before, _, _ = asked.partition(_PROBE)
    prefix_ids = _ids(tokenizer, before)
    head = len(_ids(tokenizer, asked))
    answers = [Answer(label, digit) for label in Sentiment for digit in range(STRONGEST + 1)]
    answer_ids = {a: tuple(_ids(tokenizer, f"{asked}{a}<|im_end|>")[head:]) for a in answers}
    rows = list(answer_ids.values())
    if len({len(row) for row in rows}) != 1:
        raise TokenBoundary("answers differ in length: each label and digit must be one token")
    varying = [at for at, column in enumerate(zip(*rows, strict=True)) if len(set(column)) > 1]
    if len(varying) != 2:  # noqa: PLR2004 - the label and the digit
        raise TokenBoundary(f"answers vary at {varying}, expected one label and one digit")
    label_at, digit_at = varying
    return TaskTokens(
        prefix_ids=tuple(prefix_ids),
        answer_ids=answer_ids,
        label_ids=tuple(answer_ids[Answer(label, 0)][label_at] for label in Sentiment),
        digit_ids=tuple(
            answer_ids[Answer(Sentiment.NEGATIVE, d)][digit_at] for d in range(STRONGEST + 1)
        ),
        label_at=label_at,
        digit_at=digit_at,
    )


def gold_examples(
    items: Sequence[Feedback], tokenizer: Tokenizer, tokens: TaskTokens
) -> list[Example]:
    """Rows with the raters' answer: targets are what a fresh panel of raters would say."""
    examples = []
    for item in items:
        odds = panel_distribution(item.mean_rating, item.rater_spread, len(item.ratings))
        row = Example(item.id, text_ids(item.id, item.text, tokenizer, tokens), item.gold, (), ())
        examples.append(with_targets(row, odds))
    return examples


def text_ids(name: str, text: str, tokenizer: Tokenizer, tokens: TaskTokens) -> tuple[int, ...]:
    """A text's tokens and the template's up to the answer. Raises `TokenBoundary`."""
    head = len(tokens.prefix_ids)
    ids = _ids(tokenizer, _prompt(tokenizer, text))
    if tuple(ids[:head]) != tokens.prefix_ids:
        raise TokenBoundary(f"{name}: the text merges with the prompt; strip it first")
    return tuple(ids[head:])


def with_targets(example: Example, odds: dict[Answer, float]) -> Example:
    """The same row with soft targets from a distribution over answers.

    The digit's target is conditional on the sentiment that the row's answer states.
    """
    stated = example.answer.sentiment
    mass = sum(share for answer, share in odds.items() if answer.sentiment is stated)
    return replace(
        example,
        sentiment_S=tuple(
            sum(share for answer, share in odds.items() if answer.sentiment is label)
            for label in Sentiment
        ),
        intensity_S=tuple(odds.get(Answer(stated, d), 0.0) / mass for d in range(STRONGEST + 1)),
    )


def row_ids(example: Example, tokens: TaskTokens) -> list[int]:
    """The whole row after the prefix; an answer's last token predicts nothing and is left out."""
    return [*example.text_ids, *tokens.answer_ids[example.answer][:-1]]


def collate(examples: Sequence[Example], tokens: TaskTokens, *, template: bool) -> Batch:
    """One batch; with `template`, rows are whole and their other tokens are trained as well.

    The template is the same in every answer and learnt at once: without it rows end where the
    digit is predicted, which saves a tenth of the tokens and most of the vocabulary's products.
    """
    length = len(tokens.answer_ids[examples[0].answer])
    kept = length - 1 if template else tokens.digit_at  # the last token predicts nothing
    answers = [tokens.answer_ids[e.answer] for e in examples]
    rows = [[*e.text_ids, *ids[:kept]] for e, ids in zip(examples, answers, strict=True)]
    width = max(len(row) for row in rows)
    starts = [len(e.text_ids) for e in examples]
    other = [at for at in range(length) if at not in (tokens.label_at, tokens.digit_at)]
    picked = [(b, at) for b in range(len(rows)) for at in other] if template else []
    return Batch(
        ids_BT=torch.tensor([row + [0] * (width - len(row)) for row in rows]),
        label_at_B=torch.tensor([start + tokens.label_at - 1 for start in starts]),
        digit_at_B=torch.tensor([start + tokens.digit_at - 1 for start in starts]),
        sentiment_BS=torch.tensor([e.sentiment_S for e in examples]),
        intensity_BS=torch.tensor([e.intensity_S for e in examples]),
        template_row_N=torch.tensor([b for b, _ in picked], dtype=torch.long),
        template_at_N=torch.tensor([starts[b] + at - 1 for b, at in picked], dtype=torch.long),
        template_id_N=torch.tensor([answers[b][at] for b, at in picked], dtype=torch.long),
    )


def bucketed(
    lengths: Sequence[int], *, rows: int, epochs: float, seed: int, pool: int = 50
) -> list[list[int]]:
    """Indices of every batch of a run: shuffled, but with rows of like length together.

    Each pool of `pool` batches is sorted by length and cut, then batches are shuffled. The plan is
    a pure function of its arguments, so that a resumed run sees what an unbroken one does.
    """
    dice = random.Random(seed)  # noqa: S311 - not a secret
    plan: list[list[int]] = []
    for _ in range(-int(-epochs // 1)):
        order = list(range(len(lengths)))
        dice.shuffle(order)
        batches = []
        for start in range(0, len(order), pool * rows):
            part = sorted(order[start : start + pool * rows], key=lambda i: lengths[i])
            batches += [part[at : at + rows] for at in range(0, len(part), rows)]
        dice.shuffle(batches)
        plan += batches
    per_epoch = -(-len(lengths) // rows)
    return plan[: round(epochs * per_epoch)]


def _prompt(tokenizer: Tokenizer, text: str) -> str:
    return tokenizer.apply_chat_template(messages(text), tokenize=False, add_generation_prompt=True)


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
