import numpy as np
import pytest
from msgspec import UNSET, Raw, UnsetType
from msgspec.structs import replace

from router.evidence import Record
from router.slices import OTHERS, UNTOLD, Slices, Standing, UnknownSlicing, slice_up, slicing
from router.thresholds import plan
from router.trace import Exchange, Outcome
from router.tuning import Wish, tune
from tests.router.recorded import traffic
from tests.router.streams import in_two_languages
from tests.router.worlds import World, flat, uniform


def asked(request: bytes | None, caller: str | None = None) -> Exchange:
    raw: Raw | UnsetType = Raw(request) if request is not None else UNSET
    return Exchange(
        trace_id="t", ts=0.0, route="r", caller=caller, stream=False, request=raw, mode="cascade",
        pinned=False, status=200, outcome=Outcome.SERVED, total_s=0.1,
    )  # fmt: skip


def sliced(records: list[Record], by: str) -> Slices:
    wish = Wish(max_risk=0.2, slice_by=by)
    found = tune("support", records, wish, label=None, window_tokens=24).slices
    assert found is not None
    return found


def test_a_slice_in_which_the_promise_is_broken_is_told_from_one_in_which_it_is_kept() -> None:
    found = {each.name: each for each in sliced(in_two_languages(3000), "metadata.language").slices}

    assert found["en"].standing is Standing.KEPT
    assert found["en"].threshold is not None
    assert found["de"].standing is Standing.BROKEN
    assert found["de"].threshold is None
    assert found["fi"].standing is Standing.UNPROVEN
    assert sum(each.requests for each in found.values()) == 3000


def test_slices_are_the_most_frequent_and_the_rest_together() -> None:
    records: list[Record] = []
    for place, (exchange, judgements) in enumerate(traffic(600)):
        request = b'{"metadata":{"tag":%d}}' % min(place // 20, 11)
        records.append((replace(exchange, request=Raw(request)), judgements))
    found = sliced(records, "metadata.tag").slices

    assert len(found) == 11
    assert found[0].name == "11"
    assert found[-1].name == OTHERS


def test_of_many_slices_that_all_break_the_promise_hardly_ever_is_one_called_kept() -> None:
    """Every slice has a risk just above the wish: 400 worlds of four slices, delta .1 in all."""
    random = np.random.default_rng(5)
    world, replicates, wrong = World(flat, uniform), 400, 0
    (one, *_) = traffic(1)
    for _ in range(replicates):
        evidence = world.evidence(random, 2400)
        records = [(asked(None, caller=f"c{place % 4}"), one[1]) for place in range(2400)]
        planned = np.arange(2400) % 3 == 0
        planning, testing = evidence.part(planned), evidence.part(~planned)
        thresholds = plan(planning, int(testing.judged.sum()), max_risk=0.05, delta=0.1)
        found = slice_up(
            "caller",
            records,
            evidence,
            planned,
            threshold=thresholds[len(thresholds) // 2],
            plan_of_all=thresholds,
            max_risk=0.05,
            delta=0.1,
        )
        wrong += any(each.threshold is not None for each in found.slices)

    assert wrong / replicates <= 0.1


@pytest.mark.parametrize(
    ("by", "request_", "name"),
    [
        ("metadata.team", b'{"metadata":{"team":"sales"}}', "sales"),
        ("metadata.team", b'{"metadata":{"other":"sales"}}', UNTOLD),
        ("metadata.team", b'{"metadata":"sales"}', UNTOLD),
        ("metadata.team", b"[1]", UNTOLD),
        ("metadata.team", None, UNTOLD),
        ("script", b'{"messages":[{"role":"user","content":"Wo ist es?"}]}', "latin"),
        (
            "script",
            '{"messages":[{"role":"system","content":"Answer at length."},'
            '{"role":"user","content":[{"type":"text","text":"Где это?"}]}]}'.encode(),
            "cyrillic",
        ),
        ("script", '{"prompt":"それはどこですか"}'.encode(), "hiragana"),
        ("script", '{"input":[{"role":"user","content":"在哪里"}]}'.encode(), "cjk"),
        ("script", b'{"prompt":"123"}', UNTOLD),
        ("caller", None, UNTOLD),
    ],
)
def test_a_request_is_in_one_slice(by: str, request_: bytes | None, name: str) -> None:
    assert slicing(by)(asked(request_)) == name


def test_what_cannot_be_sliced_by_is_refused() -> None:
    with pytest.raises(UnknownSlicing, match=r"take caller, script or metadata\.KEY"):
        slicing("weather")
