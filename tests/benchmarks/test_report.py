"""Tables and plots of a run that was made up."""

import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from benchmarks import report
from benchmarks.bars import Panel, chart, number
from benchmarks.figures import CHUNK_CPU_US, CPU_MS, added_ms, stretched
from benchmarks.load import Heard, Spread
from benchmarks.machine import Machine, build
from benchmarks.prometheus import labelled
from benchmarks.results import Found, Measured, Memory, Run
from benchmarks.ways import WAYS

MACHINE = Machine("2 x Fast", "Linux 6", "Python 3.12.1, with PGO", "abc1234")


def spread(p50: int) -> Spread:
    return Spread(count=100, mean=p50, min=1, p50=p50, p95=2 * p50, p99=3 * p50, max=4 * p50)


def measured(
    p50_us: int, *, per_s: float = 1000.0, cpu_s: float = 1.0, failed: int = 0
) -> Measured:
    heard = Heard(
        seconds=2.0,
        issued=2000 + failed,
        answered=2000,
        per_s=per_s,
        events=50_000,
        body_bytes=1,
        clients=64,
        reconnected=0,
        bad_status=0,
        errors={"unfinished": failed},
        latency_us=spread(p50_us),
        first_event_us=spread(p50_us // 2),
        gap_us=None,
    )
    return Measured(heard, cpu_s=cpu_s, upstream_requests=2000, upstream_chunks=40_000)


def found(name: str, p50_us: int, **how: float) -> Found:
    scenarios = ("open small", "closed small", "burst 1", "burst 16", "paced 200", "paced 1000")
    one = measured(p50_us, **how)  # type: ignore[arg-type]
    return Found(name, WAYS[name].title, "1.2", 50.0, dict.fromkeys(scenarios, one))


RUN = Run(
    MACHINE,
    "make bench",
    [
        found("direct", 200, per_s=40_000),
        msgspec.structs.replace(
            found("pass", 700, per_s=20_000, cpu_s=0.1),
            memory=[Memory(100_000, 80.0), Memory(500_000, 81.0), Memory(1_000_000, 82.0)],
            traces={"stored": 900.0, "queue_full": 100.0},
        ),
        found("nginx", 300, per_s=39_000, cpu_s=0.04),
        found("litellm", 13_000, per_s=90, cpu_s=20.0, failed=968),
        Found("vllm-router", WAYS["vllm-router"].title, trouble="not found: pip ended with 1"),
    ],
)


def row(table: str, of: str, number: int) -> list[str]:
    rows = [line for line in table.splitlines() if line.startswith(f"| {WAYS[of].title}")]
    return [cell.strip() for cell in rows[number].split("|")[1:-1]]


def test_added_latency_is_what_is_over_direct_at_the_same_quantile() -> None:
    ours = RUN.found[1]

    assert added_ms("open small", "p50")(RUN, ours) == pytest.approx(0.5)
    assert added_ms("open small", "p99")(RUN, ours) == pytest.approx(1.5)
    assert added_ms("paced 200", "p50", first=True)(RUN, ours) == pytest.approx(0.25)
    assert added_ms("open 20 KB", "p50")(RUN, ours) is None


def test_cpu_is_shared_out_over_requests_and_over_the_chunks_that_came_from_upstream() -> None:
    assert CPU_MS(RUN, RUN.found[1]) == pytest.approx(0.05)
    assert CHUNK_CPU_US(RUN, RUN.found[1]) == pytest.approx(2.5)


def test_the_mocks_own_cost_is_nobodys() -> None:
    assert CPU_MS(RUN, RUN.found[0]) is None


def test_stream_time_is_a_multiple_of_directs() -> None:
    assert stretched("paced 200")(RUN, RUN.found[1]) == pytest.approx(3.5)


def test_the_tables_say_who_failed_who_was_at_the_rigs_limit_and_who_is_not_here() -> None:
    text = report.tables(RUN)

    assert "make bench`: 2 x Fast; Linux 6; Python 3.12.1, with PGO; commit abc1234." in text
    assert row(text, "pass", 0)[1:4] == ["0.500", "1.00", "1.50"]
    assert "20,000" in row(text, "pass", 0)
    assert "≥ 39,000" in row(text, "nginx", 0)
    assert row(text, "litellm", 1)[-1].startswith("968 failed, 65.00 of the time")
    assert row(text, "vllm-router", 0)[0].endswith("(did not run)")
    assert row(text, "vllm-router", 0)[-1] == "not found: pip ended with 1"


def test_memory_is_told_at_both_ends_and_with_the_share_of_traces_that_were_stored() -> None:
    assert row(report.tables(RUN), "pass", 2) == [
        f"{WAYS['pass'].title} 1.2",
        "50",
        "80 at 100,000, 82 at 1,000,000",
        "90.0%",
    ]


def test_ratios_are_ours_over_theirs() -> None:
    *_, against_nginx, _, _ = report.tables(RUN).strip().splitlines()

    assert against_nginx == "| nginx, plain reverse proxy | 0.51 | 2.50 | 2.50 |"


def test_what_was_not_measured_leaves_no_table() -> None:
    only = Run(MACHINE, "make bench", [Found("pass", "ours", measured={"open 20 KB": measured(1)})])

    assert "### Whole answers" in report.tables(only)
    assert "### Streams" not in report.tables(only)


def test_the_run_is_written_between_the_marks_and_nothing_else_is_touched(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.START}old\n{report.END}after\n")

    report.write(RUN, tmp_path)
    once = readme.read_text()
    report.write(RUN, tmp_path)

    assert readme.read_text() == once
    assert once.startswith(f"before\n{report.START}`make bench`")
    assert once.endswith(f"{report.END}after\n")
    assert "old" not in once
    for name in ("whole.svg", "streams.svg"):
        assert name in once
        assert ET.parse(tmp_path / name).getroot().tag.endswith("svg")


def test_the_readme_of_the_benchmarks_has_the_marks() -> None:
    text = (Path(report.__file__).parent / "README.md").read_text(encoding="utf-8")

    assert 0 < text.index(report.START) < text.index(report.END)


def test_a_bar_is_longer_for_more_and_missing_for_nothing() -> None:
    drawn = chart(
        "t", ["a", "b", "c"], [True, False, False], [Panel("p", "more", [10, 1000, None])]
    )
    bars = [
        float(element.attrib["width"])
        for element in ET.fromstring(drawn).iter()
        if element.tag.endswith("rect") and element.get("height") == "14"
    ]

    assert len(bars) == 2
    assert 0 < bars[0] < bars[1] == 170


@pytest.mark.parametrize(
    ("value", "shown"),
    [(29_638.4, "29,638"), (13.25, "13.2"), (1.005, "1.00"), (0.0322, "0.032"), (0, "0")],
)
def test_numbers_are_shown_with_three_figures_that_count(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_metric_is_read_by_one_of_its_labels() -> None:
    text = (
        "# TYPE a_total counter\n"
        'a_total{outcome="stored",x="1"} 12.0\n'
        'a_total{x="1",outcome="dropped"} 3.0\n'
        'aa_total{outcome="other"} 1.0\n'
    )

    assert labelled(text, "a_total", "outcome") == {"stored": 12.0, "dropped": 3.0}


@pytest.mark.parametrize(
    ("configured", "built"),
    [
        ("'--enable-optimizations' '--with-lto'", "with PGO and LTO"),
        ("'--enable-optimizations'", "with PGO"),
        ("'--enable-shared'", "without PGO"),
        (None, "without PGO"),
    ],
)
def test_an_interpreter_says_how_it_was_built(configured: str | None, built: str) -> None:
    assert build(configured, "anywhere") == built
    assert build(configured, "/usr") == "the distribution's"
