"""How traces look in a terminal. What a client or a model wrote is shown as text, never obeyed."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway.traces.stats import RouteStats
from router.trace import Exchange, Judge, Judgement, ModelAnswer, ServedBy
from router.verification import Ending, Verification

_ROOMY = 120
_FIRST_WORDS = 200
_SHORT_ID = len("01a20363-0fb5-7080")
"""Of a UUIDv7 the millisecond and twelve random bits: enough to `show` it by."""

_HUE = {ServedBy.STUDENT: "green", ServedBy.TEACHER: "yellow", ServedBy.BOTH: "cyan"}


class _Part(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[_Part] | None = None


class _Asked(msgspec.Struct):
    messages: list[_Message] = []


def listing(exchanges: Sequence[Exchange], *, width: int) -> RenderableType:
    """A line for each exchange; the words of both sides where the terminal has room for them."""
    if not exchanges:
        return Text("no trace fits")
    roomy = width >= _ROOMY
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", expand=roomy)
    days = {_time(each.ts, "%m-%d") for each in exchanges}
    form = "%H:%M:%S" if len(days) == 1 else "%m-%d %H:%M"
    for name in ("UTC", "trace id", "route", "served by", "reason"):
        table.add_column(name, no_wrap=True)
    for name in ("confidence", "ms"):
        table.add_column(name, no_wrap=True, justify="right")
    for name in ("question", "answer") if roomy else ():
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)
    for each in exchanges:
        words = (_question(each), _words(_served(each))) if roomy else ()
        table.add_row(
            _time(each.ts, form),
            each.trace_id[:_SHORT_ID],
            _plain(each.route),
            Text(each.served_by or each.outcome, _hue(each.served_by)),
            each.reason or "",
            _share(each.confidence, ".3f"),
            f"{each.total_s * 1000:.0f}",
            *map(_first_words, words),
        )
    return table


def story(exchange: Exchange, judgements: Sequence[Judgement]) -> RenderableType:
    """Everything that is known of one request."""
    parts: list[RenderableType] = [_facts(exchange)]
    if question := _question(exchange):
        parts.append(Panel(_plain(question), title="question", title_align="left"))
    for name, answer in (("student", exchange.student), ("teacher", exchange.teacher)):
        if answer is not None:
            parts.append(_answer(name, answer, served=exchange.served_by in {name, ServedBy.BOTH}))
    verdicts = [each for each in judgements if each.by is not Judge.FEEDBACK]
    parts.append(_verdicts(verdicts) if verdicts else Text("no judgement"))
    parts += [_feedback(each) for each in judgements if each.by is Judge.FEEDBACK]
    return Group(*parts)


def figures(routes: Sequence[RouteStats]) -> RenderableType:
    """A block for each route."""
    if not routes:
        return Text("no traces")
    return Group(*(_figures(each) for each in routes))


def _figures(route: RouteStats) -> RenderableType:
    table = _pairs()
    table.add_row("requests", f"{route.requests}  ({_counts(route.outcomes)})")
    table.add_row("coverage", f"{_share(route.coverage, '.1%')} served by the student")
    table.add_row("reasons", _counts(route.reasons))
    table.add_row("mean confidence", _share(route.mean_confidence, ".3f"))
    for each in route.agreements:
        share = each.share
        table.add_row(
            f"agreement, {each.by}",
            f"{each.comparator}: {share.estimate:.1%} ({share.low:.1%} to {share.high:.1%}), "
            f"{share.judged} judged, served by {_server(each.served_by)}",
        )
    if route.unjudged:
        table.add_row("shadows without a pair", _counts(route.unjudged))
    for felt in route.feedback:
        mean = f"mean score {felt.mean_score:.2f} of {felt.scored}" if felt.scored else "no score"
        table.add_row(f"feedback, {felt.served_by or 'nobody'}", f"{felt.received}, {mean}")
    if not route.fidelity():
        table.add_row("fidelity", "unknown: nothing that the student served was shadowed")
    if route.draft_acceptance is not None:
        table.add_row("drafts", f"{route.draft_acceptance:.1%} of the tokens accepted")
    for latency in route.latencies:
        table.add_row(
            f"latency, {latency.served_by}",
            f"p50 {latency.p50_s * 1000:.0f} ms, p95 {latency.p95_s * 1000:.0f} ms, "
            f"{latency.requests} requests",
        )
    table.add_row("cost", f"{_usd(route.cost_usd)}, saved {_usd(route.saved_usd)}")
    return Panel(table, title=_plain(route.route), title_align="left")


def _facts(exchange: Exchange) -> Table:
    table = _pairs()
    table.add_row("trace", exchange.trace_id)
    table.add_row("time", _time(exchange.ts, "%Y-%m-%d %H:%M:%S.%f UTC"))
    pinned = ", pinned" if exchange.pinned else ""
    stream = ", streamed" if exchange.stream else ""
    table.add_row("route", _plain(f"{exchange.route} ({exchange.mode}{pinned}{stream})"))
    table.add_row("served by", Text(exchange.served_by or "nobody", _hue(exchange.served_by)))
    table.add_row("reason", exchange.reason or "-")
    if exchange.threshold is not None:
        rule = f"threshold {exchange.threshold:.3f}, {exchange.tokens_seen or 0} tokens seen"
        table.add_row("confidence", f"{_share(exchange.confidence, '.4f')} ({rule})")
    table.add_row("outcome", f"{exchange.outcome}, status {exchange.status}")
    table.add_row("total", f"{exchange.total_s * 1000:.0f} ms")
    table.add_row("cost", f"{_usd(exchange.cost_usd)}, saved {_usd(exchange.saved_usd)}")
    for name, value in (("caller", exchange.caller), ("release", exchange.release)):
        if value is not None:
            table.add_row(name, _plain(value))
    if (verification := exchange.verification) is not None:
        table.add_row("verification", _plain(_told(verification)))
    if exchange.propensity is not None:
        table.add_row("propensity", f"{exchange.propensity:g}")
    return table


def _answer(name: str, answer: ModelAnswer, *, served: bool) -> Panel:
    lines = [f"{answer.upstream}, model {answer.model}"]
    if answer.usage is not None:
        lines.append(f"{answer.usage.prompt_tokens} + {answer.usage.completion_tokens} tokens")
    for what, value_s in (("first token", answer.first_token_s), ("total", answer.total_s)):
        if value_s is not None:
            lines.append(f"{what} {value_s * 1000:.0f} ms")
    if (drafted := answer.drafted) is not None:
        lines.append(f"{drafted.accepted} of {drafted.tokens} drafted tokens accepted")
    if answer.finish_reason is not None:
        lines.append(f"finish {answer.finish_reason}")
    if not answer.complete:
        lines.append("not heard to its end")
    body = [_plain(" · ".join(lines)).append("\n"), _plain(_words(answer) or "(no words kept)")]
    if answer.error is not None:
        body.append(Text("\nerror: ", "red").append_text(_plain(answer.error)))
    title = f"{name} (served)" if served else name
    return Panel(Text.assemble(*body), title=title, title_align="left")


def _verdicts(judgements: Sequence[Judgement]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("judged by", "comparator", "agreement", "student | teacher", "propensity"):
        table.add_column(name)
    for each in judgements:
        table.add_row(
            each.by,
            _plain(each.comparator),
            _share(each.agreement, "g"),
            _plain(each.detail),
            f"{each.propensity:g}",
        )
    return table


def _feedback(judgement: Judgement) -> Panel:
    table = _pairs()
    table.add_row("time", _time(judgement.ts, "%Y-%m-%d %H:%M:%S UTC"))
    if judgement.agreement is not None:
        table.add_row("score", f"{judgement.agreement:g}")
    words = {
        "caller": judgement.caller,
        "label": judgement.label,
        "comment": judgement.detail,
        "correction": judgement.correction,
    }
    for name, text in words.items():
        if text:
            table.add_row(name, _plain(text))
    return Panel(table, title="feedback", title_align="left")


def _pairs() -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    return table


def _served(exchange: Exchange) -> ModelAnswer | None:
    return exchange.student if exchange.served_by is ServedBy.STUDENT else exchange.teacher


def _question(exchange: Exchange) -> str:
    """What the user said last; empty if it was not kept or has no words."""
    if isinstance(exchange.request, msgspec.UnsetType):
        return ""
    try:
        messages = msgspec.json.decode(exchange.request, type=_Asked).messages
    except msgspec.DecodeError:
        return ""
    said = [each.content for each in messages if each.role == "user" and each.content]
    if not said:
        return ""
    last = said[-1]
    return last if isinstance(last, str) else " ".join(part.text for part in last if part.text)


def _words(answer: ModelAnswer | None) -> str:
    if answer is None:
        return ""
    if answer.text:
        return answer.text
    calls = answer.tool_calls
    return "" if isinstance(calls, msgspec.UnsetType) else bytes(calls).decode(errors="replace")


def _first_words(text: str) -> Text:
    return _plain(" ".join(text[:_FIRST_WORDS].split()))


def _plain(text: str) -> Text:
    """No markup, no terminal escapes: others wrote this."""
    return Text(
        "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    )


def _server(served_by: str) -> str:
    return served_by if served_by == ServedBy.BOTH else f"the {served_by}"


def _told(verification: Verification) -> str:
    """`greedy: continued after 3 of 12 tokens; the teacher read 60 and wrote 9`."""
    if verification.ending is Ending.UNFIT:
        return f"{verification.rule}: not tried: {verification.why_not}"
    told = f"{verification.rule}: {verification.ending} after {verification.agreed} of "
    told += f"{len(verification.readings)} tokens" if verification.readings else "unread tokens"
    spent = f"the teacher read {verification.read_tokens}, wrote {verification.written_tokens}"
    why_not = f" ({verification.why_not})" if verification.why_not else ""
    return f"{told}{why_not}; {spent}"


def _hue(served_by: ServedBy | None) -> str:
    return _HUE[served_by] if served_by is not None else "red"


def _time(unix_s: float, form: str) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime(form)


def _share(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.6f}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
