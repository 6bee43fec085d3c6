"""The picture on paper: two looks, then tables; for pipes and tickets."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.top.lines import (
    ROUTE_COLUMNS,
    UPSTREAM_COLUMNS,
    colour,
    head,
    route_row,
    upstream_row,
)
from gateway.top.picture import Picture

_WIDTH = 130


def print_picture(shown: Picture, url: str, console: Console) -> None:
    console.width = max(console.width, _WIDTH)  # a pipe has 80
    console.print(Text(f"{url}  ·  {head(shown)}"), soft_wrap=True)
    routes = Table(*ROUTE_COLUMNS, box=None)
    for route in shown.routes:
        routes.add_row(*(Text(cell) for cell in route_row(route)))
    console.print(routes)
    upstreams = Table(*UPSTREAM_COLUMNS, box=None)
    for upstream in shown.upstreams:
        name, state, *rest = upstream_row(upstream)
        upstreams.add_row(Text(name), Text(state, style=colour(upstream)), *rest)
    console.print(upstreams)
