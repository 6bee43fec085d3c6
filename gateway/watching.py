"""What one of a gateway's workers keeps an eye on, beside the requests: what the traces say now.

    each second, in the worker that holds the lock -> what came into the store since -> every duty
    sees it -> each acts, which may be a row in the state file that all workers follow

Read from the store, not from requests: it costs no request anything, sees what all workers wrote,
and a gateway that starts again finds out again what it knew.
"""

import asyncio
import fcntl
import logging
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Protocol

from gateway.background import Background
from gateway.rulings import RulingsError
from gateway.traces.following import Following
from gateway.traces.store import TraceStoreError
from router.trace import Exchange, Judgement

log = logging.getLogger(__name__)


class Duty(Protocol):
    """What is done with the news. All but `tell` runs in a thread, one call at a time."""

    def begin(self) -> float | None:
        """Before every look: None goes on; else all is to be seen again, from what came at that
        time (unix seconds) on. May raise RulingsError.
        """

    def forget(self) -> None:
        """All that was seen comes again."""

    def see(self, exchange: Exchange) -> None: ...

    def judged(self, exchange: Exchange, judgement: Judgement) -> None: ...

    def act(self) -> None:
        """After a look. May raise RulingsError."""

    def tell(self) -> None:
        """Then, in the event loop: the metrics."""


class Watch:
    """Owned by one worker. lock: a file of which one worker at a time has hold, until it ends."""

    def __init__(self, store: Path, lock: Path, duties: Sequence[Duty]) -> None:
        self._following = Following(store)
        self._lock = lock
        self._duties = duties
        self._held: int | None = None
        self._busy = False
        self._since: list[float] = [0.0 for _ in duties]
        self._trouble: str | None = None

    def look(self, background: Background) -> None:
        """Once a second; returns at once. While a look is under way, and in the workers that do
        not have the lock, nothing.
        """
        if not self._busy and self._leads():
            self._busy = True
            background.spawn(self._look(), name="watch")

    async def step(self) -> None:
        """One look, to its end."""
        await asyncio.to_thread(self._work)
        for duty in self._duties:
            duty.tell()

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _look(self) -> Coroutine[object, object, None]:
        async def look() -> None:
            try:
                await self.step()
            except (RulingsError, TraceStoreError) as error:  # said once, tried again
                if str(error) != self._trouble:
                    log.warning("what the traces say is not looked at: %s", error)
                self._trouble = str(error)
            else:
                self._trouble = None
            finally:
                self._busy = False

        return look()

    def _leads(self) -> bool:
        if self._held is None:
            opened = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(opened)
                return False
            self._held = opened
        return True

    def _work(self) -> None:
        wishes = [duty.begin() for duty in self._duties]
        if any(wish is not None for wish in wishes):
            self._since = [
                wish if wish is not None else before
                for wish, before in zip(wishes, self._since, strict=True)
            ]
            self._following.rewind(min(self._since))
            for duty in self._duties:
                duty.forget()
        news = self._following.look()
        for duty in self._duties:
            for exchange in news.exchanges:
                duty.see(exchange)
            for exchange, judgement in news.judged:
                duty.judged(exchange, judgement)
            duty.act()
