"""What is wanted, and which engines that takes."""

from pathlib import Path

import pytest

from serving.errors import BadConfig
from serving.llamacpp_spec import LlamaCppSpec
from serving.release import Release
from serving.release_moves import NothingToDo, promoted, rolled_back
from serving.release_state import Change, ReleaseState, Wanted
from serving.releases import Draft, Releases
from serving.rollout_plan import Seat, beside, model_of, spec_for
from serving.vllm_spec import VllmSpec
from tests.serving.vllm_specs import PLAIN

SPEC = LlamaCppSpec(name="student", gguf=Path("own.gguf"), port=8101, model="small")
VLLM = VllmSpec.model_validate(PLAIN)
SEAT = Seat("chat", SPEC.base_url, SPEC, "", Wanted())


def changed(*wanted: Wanted) -> list[Change]:
    """At 0 s, 1000 s, 2000 s, each from the one before."""
    before: list[Wanted | None] = [None, *wanted]
    return [
        Change(route="chat", changed_s=1000.0 * at, who="ann", why="", before=old, after=new)
        for at, (old, new) in enumerate(zip(before, wanted, strict=False))
    ]


A, B = Wanted(current="a"), Wanted(current="b")
A_AND_B = Wanted(current="a", candidate="b", share=0.1)


def test_a_promotion_is_a_share_first_and_then_all() -> None:
    some = promoted(A, "chat", "b", share=0.1, kept_s=60.0)
    assert (some.current, some.candidate, some.share) == ("a", "b", 0.1)
    for whole in (
        promoted(some, "chat", None, share=None, kept_s=60.0),
        promoted(A, "chat", "b", share=1.0, kept_s=60.0),
    ):
        assert whole == Wanted(current="b", kept_s=60.0)


def test_there_must_be_something_to_promote() -> None:
    with pytest.raises(NothingToDo, match="there is no candidate"):
        promoted(A, "chat", None, share=None, kept_s=0.0)
    with pytest.raises(NothingToDo, match="a is current already"):
        promoted(A, "chat", "a", share=None, kept_s=0.0)


def test_a_rollback_takes_the_candidate_away_first() -> None:
    assert rolled_back(A_AND_B, "chat", changed(A, A_AND_B)).candidate is None


def test_a_rollback_goes_to_who_was_there_before_and_another_one_back() -> None:
    history = changed(A, A_AND_B, B)
    back = rolled_back(B, "chat", history)
    assert back.current == "a"
    assert rolled_back(back, "chat", changed(A, A_AND_B, B, back)).current == "b"
    assert rolled_back(A, "chat", changed(A)).current is None


def test_without_a_promotion_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(NothingToDo, match="no release was ever promoted"):
        rolled_back(Wanted(), "chat", [])


@pytest.mark.parametrize(
    ("history", "now_s", "needed"),
    [
        ([], 0.0, [""]),
        (changed(A), 0.0, ["a", ""]),
        (changed(A), 600.0, ["a"]),
        (changed(A, A_AND_B), 1000.0, ["a", "b"]),
        (changed(A, A_AND_B, B), 2599.0, ["b", "a"]),
        (changed(A, A_AND_B, B), 2600.0, ["b"]),
    ],
)
def test_who_serves_runs_and_who_served_for_a_while(
    history: list[Change], now_s: float, needed: list[str]
) -> None:
    assert SEAT.needs(history, now_s) == needed


def test_the_configs_canary_is_wanted_until_somebody_says_something_else() -> None:
    seat = Seat("chat", SPEC.base_url, SPEC, "own", Wanted(candidate="b", share=0.1))

    assert seat.needs([], 0.0) == ["own", "b"]
    assert seat.needs(changed(Wanted()), 0.0) == ["own"]


@pytest.fixture
def gguf(tmp_path: Path) -> Release:
    weights = tmp_path / "new.gguf"
    weights.write_bytes(b"GGUF")
    return Releases(tmp_path / "releases").add(Draft("new", weights))


@pytest.fixture
def bent(tmp_path: Path) -> Release:
    weights, lora = tmp_path / "weights", tmp_path / "lora"
    for folder, name in ((weights, "config.json"), (lora, "adapter_config.json")):
        folder.mkdir()
        (folder / name).write_text('{"r": 24}')
    return Releases(tmp_path / "releases").add(Draft("bent", weights, adapter=lora))


def test_an_engine_is_the_configs_with_another_student(gguf: Release) -> None:
    spec = beside(spec_for(SPEC, gguf), gguf.id)

    assert isinstance(spec, LlamaCppSpec)
    assert (spec.gguf, spec.model, spec.port) == (gguf.weights, "small", 0)
    assert spec.name == f"student-{gguf.id[-12:-4]}"
    assert model_of(spec, gguf) == "small"


def test_vllm_knows_an_adapter_by_the_releases_own_name(bent: Release) -> None:
    spec = spec_for(VLLM, bent)

    assert isinstance(spec, VllmSpec)
    assert spec.lora is not None
    assert [(each.name, each.path) for each in spec.lora.adapters] == [(bent.id, bent.adapter)]
    assert spec.lora.max_rank == 32
    assert model_of(spec, bent) == bent.id


def test_a_student_of_the_other_kind_is_refused(gguf: Release, bent: Release) -> None:
    with pytest.raises(BadConfig, match="serves a folder"):
        spec_for(VLLM, gguf)
    with pytest.raises(BadConfig, match="serves a gguf"):
        spec_for(SPEC, bent)


def test_every_change_is_a_row_with_what_was_before(tmp_path: Path) -> None:
    state = ReleaseState(tmp_path / "new" / "state.db")
    assert (state.changes(), state.wanted(), state.standing()) == ([], {}, [])
    state.change("chat", A, who="ann", why="better", now_s=1.0)
    state.change("other", B, who="bob", why="worse", now_s=2.0)
    last = state.change("chat", A_AND_B, who="ann", why="try", now_s=3.0)

    assert (last.before, last.after, last.who, last.why) == (A, A_AND_B, "ann", "try")
    assert state.wanted() == {"chat": A_AND_B, "other": B}
    assert [each.changed_s for each in state.changes("chat")] == [1.0, 3.0]
