"""What promoting and rolling back make of what is wanted on a route: values alone."""

from collections.abc import Sequence

from serving.errors import ServingError
from serving.release_state import Change, Wanted


class NothingToDo(ServingError):
    """There is no candidate, or nothing before; the text says what there is."""


def promoted(
    now: Wanted, route: str, release: str | None, *, share: float | None, kept_s: float
) -> Wanted:
    """release: None is the candidate that there is; share: None is all of the route."""
    chosen = release or now.candidate
    if chosen is None:
        raise NothingToDo(f"route {route}: there is no candidate: name the release to promote")
    if chosen == now.current:
        raise NothingToDo(f"route {route}: {chosen} is current already")
    if share is None or share == 1.0:
        return Wanted(current=chosen, kept_s=kept_s)
    return Wanted(current=now.current, candidate=chosen, share=share, kept_s=kept_s)


def rolled_back(now: Wanted, route: str, changes: Sequence[Change]) -> Wanted:
    """Without its candidate; or, where there is none, to whom the current one took over from.

    changes: of this route, oldest first. A second one goes back to where the first came from.
    """
    if now.candidate is not None:
        return now.model_copy(update={"candidate": None, "share": 0.0})
    for change in reversed(changes):
        before = change.before or Wanted()
        if before.current != change.after.current:
            return Wanted(current=before.current, kept_s=now.kept_s)
    raise NothingToDo(f"route {route}: no release was ever promoted: there is none to go back to")


def told(release: str | None) -> str:
    """A release in words; None is the engine as the config has it."""
    return release or "the config's own"
