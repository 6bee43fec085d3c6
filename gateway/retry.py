"""When a call is made again: what is safe, how long to wait, and how much retrying is too much.

A completion costs money and tokens each time, so only what was not processed is asked again:

- the connection could not be made, or a kept one had been closed meanwhile (`TransportError.safe`);
- 429, 502 and 503: the engine, or the proxy in front of it, turned the call away.

Not 500: the engine may have spent its tokens before it broke, and the same prompt tends to break it
again. Not 504: a proxy gave up waiting while the engine may still be writing. Not a new connection
that broke with the request on it: the engine had all of it, and may have died of it. Never after
the first byte of an answer, and never after a timeout of ours.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

AGAIN = frozenset({429, 502, 503})
"""Statuses that say: not processed, ask again."""

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
"""Whoever has to wait longer is better served by a fallback, or by his own retry."""
_LONGEST_RETRY_AFTER_S = 3600.0


def retry_after_s(value: str | None, now_unix_s: float) -> float | None:
    """From a Retry-After header, which holds seconds or a date; None: it is absent or nonsense."""
    if not value:
        return None
    text = value.strip()
    try:
        wait_s = float(text) if text[0].isdigit() else _until(text, now_unix_s)
    except (ValueError, IndexError):
        return None
    return min(max(wait_s, 0.0), _LONGEST_RETRY_AFTER_S)


def _until(date: str, now_unix_s: float) -> float:
    return parsedate_to_datetime(date).timestamp() - now_unix_s


def pause_s(
    attempt: int, jitter: float, *, told_s: float | None = None, elsewhere: bool = False
) -> float | None:
    """How long to wait after the failed `attempt` (0 is the first); None: too long to be worth it.

    Doubling, half of it by chance (`jitter` in [0, 1)): without that, all who failed together come
    back together. `told_s` is the replica's Retry-After, which says nothing about another
    replica: `elsewhere`.
    """
    own_s = min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S) * (0.5 + 0.5 * jitter)
    if elsewhere or told_s is None:
        return own_s
    return max(own_s, told_s) if told_s <= _LONGEST_PAUSE_S else None


@dataclass(slots=True)
class RetryBudget:
    """Retries are a share of calls: an upstream that fails everybody is not asked twice as often.

    Each call earns `share` of a retry, each retry spends one; at most `burst` are saved up, so of
    n calls at most burst + share * n are made again.
    """

    share: float = 0.2
    burst: float = 10.0
    saved: float = 10.0

    def earn(self) -> None:
        """A call was made."""
        if self.saved < self.burst:
            self.saved = min(self.burst, self.saved + self.share)

    def spend(self) -> bool:
        """Whether one more retry is affordable; it is then paid for."""
        if self.saved < 1.0:
            return False
        self.saved -= 1.0
        return True
