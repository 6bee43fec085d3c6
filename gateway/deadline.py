"""How long the client will wait, by what it says itself.

`x-tutelage-timeout-s` is a promise: after so many seconds the answer is of no use. It bounds
streams and whole answers alike, and is handed on to the engine.

`x-stainless-read-timeout`, which the OpenAI SDK for Python sends with every request, is httpx's
read timeout: how long it waits for the next bytes. We send none before a whole answer is there, so
that for a whole answer it is a deadline, and a safe one: nobody would read what comes later. A
stream may take longer in all than any pause in it, so there it says nothing. Its default of 600 s
is longer than most `total_s`; it bites where somebody chose less. The SDK for JavaScript sends
`x-stainless-timeout`, which ends when the head arrives; the same holds.
"""

from gateway.errors import BadRequest

EXPLICIT = b"x-tutelage-timeout-s"
HINTS = (b"x-stainless-read-timeout", b"x-stainless-timeout")
_LONGEST_S = 86_400.0


def until_s(
    now_s: float, *, explicit: str | None = None, hint: str | None = None, stream: bool
) -> float | None:
    """The monotonic time after which the client is not there any more; None: it does not say.

    `explicit` and `hint` are the headers' values. Raises BadRequest for an `explicit` that is not a
    number of seconds over 0; a hint that makes no sense is none.
    """
    wished_s = None
    if explicit is not None and (wished_s := _seconds(explicit)) is None:
        raise BadRequest(
            EXPLICIT.decode(), f"must be a number of seconds over 0, got {explicit[:40]!r}"
        )
    if hint is not None and not stream and (patience_s := _seconds(hint)) is not None:
        wished_s = patience_s if wished_s is None else min(wished_s, patience_s)
    return None if wished_s is None else now_s + wished_s


def _seconds(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return min(found, _LONGEST_S) if found > 0 else None
