"""What `tutelage engines bench` prints."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serving.bench_report import BenchReport


def bench_table(report: BenchReport) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("", "first token", "each token", "answer", "tokens/s", "speed-up", "same answer"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for way in report.ways:
        table.add_row(
            way.name,
            f"{way.first_s * 1000:.0f} ms",
            f"{way.each_s * 1000:.1f} ms",
            f"{way.whole_s:.2f} s",
            f"{way.tokens_per_s:.1f}",
            f"{way.speed_up:.2f}x",
            f"{way.same_answer:.0%}",
        )
    return Group(table, *map(Text, _lines(report)))


def _lines(report: BenchReport) -> list[str]:
    even = report.break_even
    needed = (
        "no acceptance would make it pay, for the draft is as slow as the teacher"
        if even.needed_alpha is None
        else f"from {even.needed_alpha:.0%} on it pays"
    )
    verdict = {
        "teacher": "here neither pays: the teacher alone is the fastest way to its answers",
        "teacher + draft": "here the draft pays",
        "verification": "here reading the student's answers pays",
    }[report.best]
    return [
        f"draft: {report.accepted} of {report.drafted} tokens accepted, each with {even.alpha:.1%}",
        f"a token of the draft costs {even.cost:.2f} of the teacher's",
        f"with {even.k} a step that promises {even.predicted:.2f}x; {needed}",
        f"with {even.best_k} a step, the best number, {even.best_predicted:.2f}x",
        f"verification: {report.kept:.1%} of the student's tokens stand",
        verdict,
    ]
