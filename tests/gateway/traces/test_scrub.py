from msgspec import UNSET, Raw
from msgspec.structs import asdict, replace

from gateway.traces.scrub import Content, scrub
from router.trace import Exchange, encode
from tests.gateway.traces.records import answer, exchange, feedback, judgement

SECRET = "the patient's name"
SPOKEN = replace(
    answer(text=SECRET), error=f"invalid: {SECRET}", tool_calls=Raw(b'["the patient\'s name"]')
)
TOLD = exchange(request=Raw(b'{"x":"the patient\'s name"}'), student=SPOKEN, teacher=SPOKEN)


def test_full_keeps_every_word() -> None:
    assert scrub(TOLD, Content.FULL) == TOLD
    assert scrub(judgement(), Content.FULL) == judgement()


def test_none_keeps_no_word() -> None:
    assert encode(TOLD).count(SECRET.encode()) == 7
    assert SECRET.encode() not in encode(scrub(TOLD, Content.NONE))
    assert scrub(judgement(), Content.NONE) == judgement(detail="")


def test_none_keeps_no_word_of_feedback_but_its_score() -> None:
    kept = scrub(feedback(), Content.NONE)

    assert kept == feedback(detail="", label=None, correction=None)
    assert (kept.agreement, kept.caller) == (0.25, "survey")


def test_none_keeps_every_figure() -> None:
    kept = scrub(TOLD, Content.NONE)

    assert isinstance(kept, Exchange)
    silent = replace(SPOKEN, text=None, error=None, tool_calls=UNSET)
    assert kept == replace(TOLD, request=UNSET, student=silent, teacher=silent)
    assert asdict(silent)["usage"] is not None


def test_a_model_that_was_not_asked_stays_so() -> None:
    kept = scrub(exchange(teacher=None), Content.NONE)

    assert isinstance(kept, Exchange)
    assert kept.teacher is None
