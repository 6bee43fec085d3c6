"""A verification in the store and on the terminal."""

from rich.console import Console

from gateway.traces.scrub import Content, scrub
from gateway.traces.tables import story
from router.trace import Exchange, decode_exchange, encode
from router.verification import Ending, Verification
from router.verify_rules import Candidate, Reading
from tests.gateway.traces.records import exchange

READ = Verification(
    rule="greedy",
    deferred="low_confidence",
    ending=Ending.CONTINUED,
    kept=1,
    agreed=1,
    token_ids=(504, 7),
    readings=(
        Reading(504, -0.5, 1, (Candidate(504, -0.5), Candidate(7, -1.5))),
        Reading(7, -3.0, 4, (Candidate(9, -0.25),)),
    ),
    read_tokens=60,
    written_tokens=9,
)


def shown(verification: Verification) -> str:
    console = Console(width=200, record=True)
    with console.capture() as captured:
        console.print(story(exchange(verification=verification), []))
    return captured.get()


def test_it_comes_back_as_it_was_written() -> None:
    assert decode_exchange(encode(exchange(verification=READ))).verification == READ


def test_without_content_no_token_is_kept_and_every_figure_is() -> None:
    kept = scrub(exchange(verification=READ), Content.NONE)

    assert isinstance(kept, Exchange)
    assert kept.verification is not None
    assert (kept.verification.token_ids, kept.verification.readings) == ((), ())
    assert kept.verification.kept == 1
    assert kept.verification.read_tokens == 60


def test_it_is_told_in_one_line() -> None:
    told = "greedy: continued after 1 of 2 tokens; the teacher read 60, wrote 9"
    unfit = Verification(
        rule="greedy", deferred="no_signal", ending=Ending.UNFIT, why_not="several choices"
    )

    assert told in shown(READ)
    assert "greedy: not tried: several choices" in shown(unfit)
