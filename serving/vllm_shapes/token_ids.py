"""Token ids: of a conversation, of an answer, and of a draft that is read or gone on from.

A script is what the model itself would answer. If a prompt of token ids ends with (a part of) an
answer, the script is how it would have gone: what stands there is read beside it, token by token,
and the rest of it is what the model says. So one script serves all ways to ask.
"""

from collections.abc import Iterable, Mapping, Sequence

from serving.say import Say, Tok
from serving.written import plain_text, runners_up, token_id

_MESSAGE_BEGINS, _MESSAGE_ENDS, _ANSWER_BEGINS = 1, 2, 3
READ_NATS = -1.5
"""The logprob of every token of a prompt, the first excepted, which has none."""
_UNHEARD_OF_NATS = -20.0
_UNHEARD_OF_RANK = 1000


def conversation_ids(messages: Iterable[Mapping[str, object]]) -> list[int]:
    """Word by word, and three more of template a message; the last one begins the answer."""
    ids: list[int] = []
    for each in messages:
        role, words = str(each.get("role")), plain_text(each.get("content")).split()
        ids += [_MESSAGE_BEGINS, token_id(role), *map(token_id, words), _MESSAGE_ENDS]
    return [*ids[:-1], _ANSWER_BEGINS]


def ids_of(tokens: Iterable[Tok]) -> list[int]:
    return [token_id(each.text) for each in tokens]


def begun(prompt: Sequence[int] | None) -> Sequence[int] | None:
    """The answer that a prompt ends with, perhaps none of it yet; None: it is no conversation."""
    if prompt is None or _ANSWER_BEGINS not in prompt:
        return None
    return prompt[len(prompt) - list(reversed(prompt)).index(_ANSWER_BEGINS) :]


def going_on(say: Say, answered: Sequence[int] | None) -> Say:
    """What is left to say after so many tokens."""
    if not answered:
        return say
    return Say(
        *say.tokens[len(answered) :],
        finish_reason=say.finish_reason,
        logprobs=say.logprobs,
        end=say.end,
    )


def prompt_logprobs(prompt: Sequence[int], say: Say, top: int) -> list[object]:
    """What the model thinks of each token of a prompt: null of the first."""
    answered = begun(prompt)
    asked = len(prompt) - len(answered or ())
    own = [*say.tokens, say.end]
    read: list[object] = [None]
    for at, each in enumerate(prompt[1:], 1):
        expected = own[min(at - asked, len(own) - 1)] if at >= asked else None
        read.append(_read(each, expected, top))
    return read


def _read(token: int, expected: Tok | None, top: int) -> dict[str, dict[str, object]]:
    """The token that stands there, then the `top` most probable ones."""
    if expected is None:
        expected = Tok(f"token{token}", READ_NATS)
        odds = {token: (expected.text, READ_NATS)}
    else:
        odds = {token_id(expected.text): (expected.text, expected.logprob)}
    others = runners_up(expected, max(top, len(expected.alternatives)))
    odds |= {token_id(text): (text, nats) for text, nats in others}
    ranked = sorted(odds.items(), key=lambda each: -each[1][1])
    known = {
        str(number): {"logprob": nats, "rank": rank, "decoded_token": text}
        for rank, (number, (text, nats)) in enumerate(ranked, 1)
    }
    unheard_of = {
        "logprob": _UNHEARD_OF_NATS,
        "rank": _UNHEARD_OF_RANK,
        "decoded_token": f"token{token}",
    }
    here = str(token)
    return {here: known.get(here, unheard_of)} | dict(list(known.items())[:top])
