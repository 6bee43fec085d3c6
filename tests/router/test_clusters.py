from collections.abc import Sequence

from msgspec.structs import replace

from router.clusters import cluster
from router.evidence import Record
from router.trace import Judge
from tests.router.recorded import traffic


def judged(details: Sequence[str], propensities: Sequence[float]) -> list[Record]:
    records = [each for each in traffic(200, rate=1.0) if each[1]]
    return [
        (
            exchange,
            [
                replace(
                    judgements[0],
                    agreement=float(not detail),
                    detail=detail,
                    propensity=propensity,
                )
            ],
        )
        for (exchange, judgements), detail, propensity in zip(
            records, details, propensities, strict=False
        )
    ]


def test_pairs_of_one_field_are_together_and_weigh_what_they_stand_for() -> None:
    details = ["mood: bad|fine", "mood: bad|fine", "mood: fine|bad", "items[3].price: 1|2", ""]
    mood, price = cluster(judged(details, [1.0, 1.0, 1.0, 0.5, 0.2]))

    assert (mood.where, mood.count, mood.share) == ("mood", 3, 0.3)
    assert mood.pairs == (("bad|fine", 2), ("fine|bad", 1))
    assert (price.where, price.share) == ("items[].price", 0.2)


def test_texts_part_anywhere_and_kinds_have_a_name() -> None:
    details = ["word 3: a|b", "word 70: c|d", "refuses|answers", "the student's answer is no JSON"]
    found = cluster(judged(details, [1.0] * 4))

    assert {each.where: each.pairs for each in found} == {
        "text": (),
        "form": (("refuses|answers", 1),),
        "the student's answer is no JSON": (),
    }


def test_examples_are_the_latest_ones_and_feedback_is_no_divergence() -> None:
    records = judged(["mood: bad|fine"] * 9, [1.0] * 9)
    (found,) = cluster(records)
    said = [(exchange, [replace(each, by=Judge.FEEDBACK)]) for exchange, (each,) in records]

    assert found.examples == tuple(exchange.trace_id for exchange, _ in records[:-4:-1])
    assert cluster(said) == []
