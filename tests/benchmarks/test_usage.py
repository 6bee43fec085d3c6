"""CPU and memory of a server, read from a /proc made up for the purpose."""

import os
from pathlib import Path

import pytest

from benchmarks.usage import Process, family_of, memory_kb, parse_stat, usage

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def stat(pid: int, *, parent: int, group: int, ticks: tuple[int, int, int, int]) -> str:
    before = " ".join(["0"] * 8)  # fields 6 to 13 of proc(5)
    return (
        f"{pid} (a (name) of) its own) S {parent} {group} {before} {' '.join(map(str, ticks))} 20 0"
    )


def process(proc: Path, line: str, *, rss_kb: int, peak_kb: int) -> None:
    folder = proc / line.partition(" ")[0]
    folder.mkdir()
    (folder / "stat").write_text(line)
    (folder / "status").write_text(f"Name:\tx\nVmHWM:\t  {peak_kb} kB\nVmRSS:\t  {rss_kb} kB\n")


def test_a_stat_line_is_read_whatever_the_name_of_the_process() -> None:
    read = parse_stat(stat(7, parent=3, group=5, ticks=(1, 20, 300, 4000)))

    assert read == Process(pid=7, parent=3, group=5, ticks=4321)


def test_the_line_of_a_real_process_is_read() -> None:
    read = parse_stat(Path("/proc/self/stat").read_text())

    assert (read.pid, read.parent) == (os.getpid(), os.getppid())


def test_children_grandchildren_and_the_group_are_family_and_nobody_else_is() -> None:
    everyone = [
        Process(
            40, parent=30, group=40, ticks=0
        ),  # a grandchild, in a group of its own, seen first
        Process(10, parent=1, group=10, ticks=0),
        Process(20, parent=1, group=10, ticks=0),  # its parent has ended
        Process(30, parent=20, group=30, ticks=0),
        Process(50, parent=1, group=50, ticks=0),
    ]

    assert sorted(one.pid for one in family_of(10, everyone)) == [10, 20, 30, 40]


def test_usage_is_the_sum_over_the_family(tmp_path: Path) -> None:
    lines = [
        stat(10, parent=1, group=10, ticks=(TICKS_PER_S, 0, 0, 0)),
        stat(11, parent=10, group=10, ticks=(0, TICKS_PER_S, TICKS_PER_S, 0)),
        stat(12, parent=1, group=12, ticks=(TICKS_PER_S * 100, 0, 0, 0)),
    ]
    for line in lines:
        process(tmp_path, line, rss_kb=1024, peak_kb=2048)
    (tmp_path / "meminfo").touch()

    assert usage(10, tmp_path) == pytest.approx((3.0, 2.0, 4.0))


def test_a_process_that_just_ended_weighs_nothing(tmp_path: Path) -> None:
    assert memory_kb(tmp_path / "status") == (0, 0)
