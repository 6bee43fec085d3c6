"""On engines that are scripted and a clock that is turned by hand."""

import queue
import threading
from collections.abc import Iterator

import pytest

from serving.backoff import Backoff
from serving.errors import ServingError
from serving.supervisor import Change, State, Supervisor


class ScriptedEngine:
    """Starts as told; runs until the test ends it or the supervisor stops it."""

    def __init__(self, name: str, *starts: str) -> None:
        self.name = name
        self._starts = iter(starts)
        self._ends: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.started = 0

    def start(self) -> float:
        self.started += 1
        outcome = next(self._starts, "ready")
        if outcome != "ready":
            raise ServingError(outcome)
        return 0.25

    def wait_end(self) -> str:
        return self._ends.get()

    def die(self, how: str) -> None:
        self._ends.put(how)

    def stop(self) -> None:
        self._ends.put("was stopped")


class Stage:
    """A supervisor with its changes in a queue; pauses are noted and last no time."""

    def __init__(self, *engines: ScriptedEngine, run_s: float = 0.0) -> None:
        self.changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        self.pauses: list[float] = []
        self._now_s, self._run_s = 0.0, run_s
        self._stopping = threading.Event()
        self.supervisor = Supervisor(
            engines,
            on_change=self.changes.put,
            backoff=Backoff(first_s=1.0, most_s=8.0, forgiven_after_s=60.0),
            clock=self._clock,
            pause=self._pause,
        )

    def _clock(self) -> float:
        self._now_s += self._run_s  # between two looks at the clock, so much time has passed
        return self._now_s

    def _pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return self._stopping.is_set()

    def next(self) -> tuple[str, State]:
        change = self.changes.get(timeout=20)
        return change.name, change.state

    def stop(self) -> None:
        self._stopping.set()
        self.supervisor.stop()


@pytest.fixture
def student() -> ScriptedEngine:
    return ScriptedEngine("student")


@pytest.fixture
def stage(student: ScriptedEngine) -> Iterator[Stage]:
    stage = Stage(student)
    yield stage
    stage.stop()


def test_start_returns_when_all_are_ready() -> None:
    stage = Stage(ScriptedEngine("student"), ScriptedEngine("teacher"))
    stage.supervisor.start()
    assert stage.supervisor.states == {"student": State.READY, "teacher": State.READY}
    stage.stop()
    assert stage.supervisor.states == {"student": State.STOPPED, "teacher": State.STOPPED}


def test_an_engine_that_never_worked_fails_the_start_and_stops_the_others() -> None:
    teacher = ScriptedEngine("teacher", "engine teacher: model file base.gguf is not there")
    stage = Stage(ScriptedEngine("student"), teacher)

    with pytest.raises(ServingError, match=r"model file base\.gguf is not there"):
        stage.supervisor.start()

    assert teacher.started == 1
    assert stage.supervisor.states == {"student": State.STOPPED, "teacher": State.FAILED}


def test_what_dies_is_started_again_after_a_pause(stage: Stage, student: ScriptedEngine) -> None:
    stage.supervisor.start()
    student.die("was killed by signal 9")

    seen = [stage.changes.get(timeout=20) for _ in range(4)]

    assert [change.state for change in seen] == [
        *(State.READY, State.BACKING_OFF, State.STARTING, State.READY),
    ]
    assert seen[1].note == "was killed by signal 9; again in 1 s"
    assert student.started == 2


def test_pauses_double_up_to_the_cap_while_runs_stay_short(
    stage: Stage, student: ScriptedEngine
) -> None:
    stage.supervisor.start()
    for _ in range(5):
        student.die("died")
    while len(stage.pauses) < 5:
        stage.next()
    assert stage.pauses == [1.0, 2.0, 4.0, 8.0, 8.0]


def test_a_restart_that_fails_is_tried_again() -> None:
    student = ScriptedEngine("student", "ready", "port 8101 is already in use", "ready")
    stage = Stage(student)
    stage.supervisor.start()
    student.die("died")
    while student.started < 3 or stage.supervisor.states["student"] is not State.READY:
        stage.next()
    assert stage.pauses == [1.0, 2.0]
    stage.stop()


def test_a_long_run_is_forgiven() -> None:
    student = ScriptedEngine("student")
    stage = Stage(student, run_s=100.0)
    stage.supervisor.start()
    for _ in range(3):
        student.die("died")
    while len(stage.pauses) < 3:
        stage.next()
    assert stage.pauses == [1.0, 1.0, 1.0]
    stage.stop()


def test_a_stop_during_a_pause_ends_it(student: ScriptedEngine) -> None:
    supervisor = Supervisor(
        [student], on_change=lambda _change: None, backoff=Backoff(first_s=3600.0, most_s=3600.0)
    )
    supervisor.start()
    student.die("died")
    supervisor.stop()
    assert supervisor.states == {"student": State.STOPPED}


@pytest.mark.parametrize(("failures", "delay_s"), [(1, 0.5), (2, 1.0), (3, 2.0), (99, 30.0)])
def test_backoff_doubles_and_is_capped(failures: int, delay_s: float) -> None:
    assert Backoff().delay_s(failures) == delay_s


def test_backoff_survives_any_number_of_failures() -> None:
    assert Backoff().delay_s(10**6) == 30.0


def test_one_more_is_kept_like_the_others(stage: Stage) -> None:
    stage.supervisor.start()
    assert stage.next() == ("student", State.READY)
    second = ScriptedEngine("second")
    stage.supervisor.also(second)
    assert stage.next() == ("second", State.READY)
    second.die("died")

    assert [stage.next()[1] for _ in range(3)] == [
        State.BACKING_OFF,
        State.STARTING,
        State.READY,
    ]


def test_one_more_that_cannot_start_leaves_the_others_alone(stage: Stage) -> None:
    stage.supervisor.start()
    stage.supervisor.also(ScriptedEngine("second", "no memory"))
    assert [stage.next() for _ in range(2)] == [("student", State.READY), ("second", State.FAILED)]

    assert stage.supervisor.trouble("second") == "no memory"
    assert stage.supervisor.states["student"] is State.READY


def test_one_that_is_retired_is_not_started_again(stage: Stage) -> None:
    stage.supervisor.start()
    second = ScriptedEngine("second")
    stage.supervisor.also(second)
    assert [stage.next() for _ in range(2)] == [("student", State.READY), ("second", State.READY)]
    stage.supervisor.retire("second")

    assert stage.next() == ("second", State.STOPPED)
    assert stage.supervisor.states == {"student": State.READY}
    assert second.started == 1


def test_after_the_stop_nothing_more_is_started(stage: Stage) -> None:
    stage.supervisor.start()
    stage.supervisor.stop()
    second = ScriptedEngine("second")
    stage.supervisor.also(second)

    assert second.started == 0
