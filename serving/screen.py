"""What the terminal shows: steps with their time, bytes as they come, errors in red.

In a terminal things move; in a pipe or a CI log there are plain lines only.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn, track
from rich.progress import Progress as Bars

PLAIN_LINES_PER_DOWNLOAD: Final = 4

T = TypeVar("T")


class Screen:
    """Implements `serving.progress.Progress`. `clock` is monotonic seconds."""

    def __init__(self, console: Console, *, clock: Callable[[], float]) -> None:
        self.console = console
        self._clock = clock
        self._began_s = clock()
        self._bars: Bars | None = None
        self._quarters_told = 0

    def step(self, title: str) -> None:
        """A new part of the story begins."""
        self.console.print(f"{self._stamp()} [bold]{escape(title)}[/bold]")

    def say(self, line: str) -> None:
        self.console.print(f"{self._stamp()} {escape(line)}", soft_wrap=True)

    def fail(self, message: str) -> None:
        """Why it ends; on the same stream, after everything said before."""
        self.console.print(f"[bold red]error:[/bold red] {escape(message)}", soft_wrap=True)

    def bytes_done(self, what: str, done: int, total: int) -> None:
        if self.console.is_terminal:
            self._move_bar(what, done, total)
            return
        quarters = done * PLAIN_LINES_PER_DOWNLOAD // total
        if quarters > self._quarters_told:
            self.say(f"{what}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
        self._quarters_told = 0 if done >= total else quarters

    def _move_bar(self, what: str, done: int, total: int) -> None:
        if self._bars is None:
            self._bars = Bars(
                TextColumn(" " * 9 + "{task.description}"),
                BarColumn(bar_width=32),
                DownloadColumn(),
                TransferSpeedColumn(),
                console=self.console,
            )
            self._bars.add_task(what, total=total)
            self._bars.start()
        self._bars.update(self._bars.task_ids[0], completed=done)
        if done >= total:
            self.rest()

    def counted(self, items: Sequence[T], what: str) -> Iterable[T]:
        """The items one by one, with a bar while they are worked on; nothing in a pipe."""
        return track(
            items,
            description=" " * 9 + what,
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )

    def rest(self) -> None:
        """Lets go of the terminal: a bar that an error or Ctrl-C interrupted is taken down."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _stamp(self) -> str:
        return f"[dim]{self._clock() - self._began_s:6.1f} s[/dim]"
