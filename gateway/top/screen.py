"""The live page, in a terminal."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Sparkline, Static

from gateway.top.lines import (
    ROUTE_COLUMNS,
    UPSTREAM_COLUMNS,
    colour,
    head,
    route_row,
    upstream_row,
)
from gateway.top.look import Look, NotMetrics, Unreachable
from gateway.top.picture import Picture, picture
from gateway.top.window import Window

SPANS_S = (10.0, 60.0, 300.0)
_REMEMBERED = 120
"""Looks in the curve."""


class TopScreen(App[None]):
    """Looks every `every_s` seconds. `look` raises Unreachable or NotMetrics."""

    TITLE = "tutelage top"
    CSS = """
    #head { padding: 0 1; height: auto; }
    #trouble { color: $error; padding: 0 1; height: auto; display: none; }
    Sparkline { height: 3; margin: 1 1; }
    DataTable { height: auto; margin: 0 1 1 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("space", "pause", "Pause or go on"),
        Binding("w", "widen", "Window: 10 s, 1 min, 5 min"),
    ]

    def __init__(self, look: Callable[[], Awaitable[Look]], *, url: str, every_s: float) -> None:
        super().__init__()
        self._look = look
        self._url = url
        self._every_s = every_s
        self._windows = {span_s: Window(span_s) for span_s in SPANS_S}
        self._shown = SPANS_S[1]
        self._last = Window(0.0)
        """The last two looks, for the curve."""
        self._rates: deque[float] = deque([0.0], maxlen=_REMEMBERED)
        self._paused = False

    def compose(self) -> ComposeResult:
        yield Static(f"{self._url}: the first look", id="head")
        yield Static(id="trouble")
        yield Sparkline(list(self._rates), summary_function=max)
        yield DataTable(id="routes", cursor_type="none", zebra_stripes=True)
        yield DataTable(id="upstreams", cursor_type="none")
        yield Footer()

    async def on_mount(self) -> None:
        self._table("#routes").add_columns(*ROUTE_COLUMNS)
        self._table("#upstreams").add_columns(*UPSTREAM_COLUMNS)
        await self.renew()
        self.set_interval(self._every_s, self.renew)

    def action_pause(self) -> None:
        """What is shown stands still; looks go on, so that no gap comes into the window."""
        self._paused = not self._paused

    def action_widen(self) -> None:
        at = SPANS_S.index(self._shown)
        self._shown = SPANS_S[(at + 1) % len(SPANS_S)]
        self._draw()

    async def renew(self) -> None:
        """One look more; a gateway that cannot be reached is told on the page."""
        trouble = self.query_one("#trouble", Static)
        try:
            look = await self._look()
        except (Unreachable, NotMetrics) as error:
            trouble.update(Text(f"{self._url}: {error}; trying again"))
            trouble.display = True
            return
        trouble.display = False
        for window in (*self._windows.values(), self._last):
            window.add(look)
        if self._last.seconds:
            count = self._last.total("tutelage_requests_total")
            self._rates.append(count / self._last.seconds)
        if not self._paused:
            self._draw()

    def _draw(self) -> None:
        shown = picture(self._windows[self._shown])
        self.query_one("#head", Static).update(Text(f"{self._url}  ·  {head(shown)}"))
        self.query_one(Sparkline).data = list(self._rates)
        self._fill(shown)

    def _fill(self, shown: Picture) -> None:
        routes, upstreams = self._table("#routes"), self._table("#upstreams")
        routes.clear()
        for route in shown.routes:
            routes.add_row(*(Text(cell) for cell in route_row(route)))
        upstreams.clear()
        for upstream in shown.upstreams:
            name, state, *rest = upstream_row(upstream)
            upstreams.add_row(name, Text(state, style=colour(upstream)), *rest)

    def _table(self, selector: str) -> DataTable[str | Text]:
        return self.query_one(selector, DataTable)
