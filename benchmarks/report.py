"""A run as tables and plots, and their place in README.md."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.bars import Panel, chart, number
from benchmarks.figures import (
    BURST_CHUNKS_PER_S,
    BURST_MS,
    CHUNK_CPU_US,
    CPU_MS,
    GAP_P99_MS,
    REQUESTS_PER_S,
    Figure,
    added_ms,
    cpu_of,
    stretched,
)
from benchmarks.results import Found, Run
from benchmarks.scenarios import BURST_TOKENS, STREAMS
from benchmarks.ways import DIRECT, WAYS

START = "<!-- figures: written by `make bench` -->\n"
END = "<!-- end of figures -->\n"
NOTHING = "-"
_AT_THE_LIMIT = 0.8
"""A server this near to the rig's own limit may be faster than was measured."""


def tables(run: Run) -> str:
    """Markdown; tables of which nothing was measured are left out."""
    blocks = [
        f"`{run.command}`: {run.machine}.\n",
        _titled("Whole answers", _whole(run)),
        _titled("Streams", _streams(run)),
        _titled("Memory and traces", _memory(run)),
        _titled(
            "Pass-through and cascade, as multiples of the others in the same run", _ratios(run)
        ),
    ]
    return "\n".join(block for block in blocks if block)


def write(run: Run, folder: Path) -> None:
    """Into README.md between the marks, and the plots beside it."""
    readme = folder / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    pictures = "![whole answers](whole.svg)\n\n![streams](streams.svg)\n"
    block = f"{START}{tables(run)}\n{pictures}{END}"
    readme.write_text(before + block + after, encoding="utf-8")
    (folder / "whole.svg").write_text(_whole_chart(run), encoding="utf-8")
    (folder / "streams.svg").write_text(_stream_chart(run), encoding="utf-8")


# The tables


def _whole(run: Run) -> list[str]:
    columns: dict[str, Figure] = {
        "added p50 ms": added_ms("open small", "p50"),
        "p95": added_ms("open small", "p95"),
        "p99": added_ms("open small", "p99"),
        "20 KB: p50": added_ms("open 20 KB", "p50"),
        "p99 ": added_ms("open 20 KB", "p99"),
        "CPU ms a request": CPU_MS,
        "20 KB": cpu_of("closed 20 KB", lambda one: one.cpu_ms_per_request),
    }
    rows = []
    for found in run.found:
        rates = [_rate(run, found, scenario) for scenario in ("closed small", "closed 20 KB")]
        figures = [_shown(figure(run, found)) for figure in columns.values()]
        rows.append([_name(found), *figures[:5], *rates, *figures[5:], _failures(found)])
    head = [*list(columns)[:5], "requests/s", "20 KB ", *list(columns)[5:], "failed"]
    return _table(["", *head], rows)


def _rate(run: Run, found: Found, scenario: str) -> str:
    direct, mine = run.of(DIRECT.name), found.measured.get(scenario)
    if mine is None:
        return NOTHING
    rate, limit = mine.heard.per_s, direct and direct.measured.get(scenario)
    near = limit and found is not direct and rate > _AT_THE_LIMIT * limit.heard.per_s
    return f"{'≥ ' if near else ''}{number(rate)}"


def _streams(run: Run) -> list[str]:
    first = f"paced {STREAMS[0]}"
    columns: dict[str, Figure] = {
        "added first event p50 ms": added_ms(first, "p50", first=True),
        "p99": added_ms(first, "p99", first=True),
        f"CPU us a chunk at {STREAMS[-1]}": CHUNK_CPU_US,
        "gap p99 ms": GAP_P99_MS,
        "burst: chunks/s": BURST_CHUNKS_PER_S,
        f"ms a stream of {BURST_TOKENS}": BURST_MS,
    }
    rows = []
    for found in run.found:
        figures = [_shown(figure(run, found)) for figure in columns.values()]
        paced = [_paced(run, found, streams) for streams in STREAMS]
        rows.append([_name(found), *figures, *paced])
    heads = [f"{streams} streams" for streams in STREAMS]
    return _table(["", *columns, *heads], rows)


def _paced(run: Run, found: Found, streams: int) -> str:
    """How many failed, and how long the others took against direct."""
    scenario = f"paced {streams}"
    measured = found.measured.get(scenario)
    if measured is None:
        return NOTHING
    times = stretched(scenario)(run, found)
    took = f", {times:.2f} of the time" if times is not None and found.name != DIRECT.name else ""
    return f"{measured.heard.failed} failed{took}"


def _memory(run: Run) -> list[str]:
    rows = []
    for found in run.found:
        if found.name == DIRECT.name or not found.measured:
            continue
        soaked = ", ".join(
            f"{one.rss_mb:.0f} at {one.requests:,}"
            for one in (*found.memory[:1], *found.memory[-1:])
        )
        total = sum(found.traces.values())
        kept = f"{found.traces.get('stored', 0) / total:.1%}" if total else NOTHING
        rows.append([_name(found), f"{found.peak_mb:.0f}", soaked or NOTHING, kept])
    return _table(["", "peak MB", "MB after so many requests", "traces stored"], rows)


def _ratios(run: Run) -> list[str]:
    figures = {"requests/s": REQUESTS_PER_S, "CPU a request": CPU_MS, "CPU a chunk": CHUNK_CPU_US}
    ours = [found for found in run.found if found.name in {"pass", "cascade"}]
    rows = []
    for found in run.found:
        if WAYS[found.name].is_ours:
            continue
        cells = []
        for mine in ours:
            for figure in figures.values():
                mine_is, theirs = figure(run, mine), figure(run, found)
                cells.append(f"{mine_is / theirs:.2f}" if mine_is and theirs else NOTHING)
        rows.append([found.title, *cells])
    head = [f"{mine.name}: {name}" for mine in ours for name in figures]
    return _table(["against", *head], rows) if ours else []


def _failures(found: Found) -> str:
    whole = [one for name, one in found.measured.items() if name.startswith(("open", "closed"))]
    return str(sum(one.heard.failed for one in whole)) if whole else found.trouble or NOTHING


def _name(found: Found) -> str:
    return f"{found.title} {found.version}".strip() + (" (did not run)" if found.trouble else "")


def _shown(value: float | None) -> str:
    return NOTHING if value is None else number(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    found = [list(row) for row in rows]
    if not any(cell != NOTHING for row in found for cell in row[1:]):
        return []
    lines = [head, ["---"] * len(head), *found]
    return [f"| {' | '.join(cell.strip() for cell in line)} |" for line in lines]


def _titled(title: str, table: list[str]) -> str:
    return "\n".join([f"### {title}", *table, ""]) if table else ""


# The plots


def _whole_chart(run: Run) -> str:
    panels = {
        ("requests/s, 64 clients", "more is better"): REQUESTS_PER_S,
        ("CPU ms a request", "less is better"): CPU_MS,
        ("added p50, ms", "less is better"): added_ms("open small", "p50"),
    }
    return _chart(run, "Whole answers of 3.3 KB", panels)


def _stream_chart(run: Run) -> str:
    panels = {
        (f"CPU us a chunk, {STREAMS[-1]} streams", "less is better"): CHUNK_CPU_US,
        ("burst: chunks/s", "more is better"): BURST_CHUNKS_PER_S,
        (f"burst: ms a stream of {BURST_TOKENS}", "less is better"): BURST_MS,
    }
    return _chart(run, "Streams", panels)


def _chart(run: Run, title: str, panels: dict[tuple[str, str], Figure]) -> str:
    shown = [found for found in run.found if found.measured]
    return chart(
        title,
        [found.title for found in shown],
        [WAYS[found.name].is_ours for found in shown],
        [
            Panel(name, better, [figure(run, found) for found in shown])
            for (name, better), figure in panels.items()
        ],
    )
