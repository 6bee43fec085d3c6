"""An answer is the same however its bytes are cut, and no bytes at all do harm."""

import re
from itertools import pairwise

import httptools
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.http_response import Headers
from gateway.transport import TransportError
from tests.gateway.http_rig import Rig, now

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def heard(rig: Rig) -> tuple[int, dict[str, str], bytes] | str:
    """What came of the request once everything was said: an answer, or what went wrong."""
    response = rig.response
    if not response.status:
        assert response.error is not None
        return "no answer"
    try:
        body = now(response.read())
    except TransportError:
        return "broken"
    return response.status, dict(response.headers), body


# Answers as engines write them

names = st.from_regex(re.compile(r"x-[a-z]{1,5}", re.IGNORECASE), fullmatch=True)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8)
headers = st.dictionaries(names, values, max_size=3)
bodies = st.binary(max_size=40)
sizes = st.lists(st.integers(1, 9), max_size=8)


def head_of(status: int, fields: dict[str, str], *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Any", *(f"{n}: {v}" for n, v in fields.items()), *more]
    return "".join(line + "\r\n" for line in lines).encode() + b"\r\n"


def in_chunks(body: bytes, sizes: list[int]) -> bytes:
    chunks = []
    for size in [*sizes, len(body) or 1]:
        chunk, body = body[:size], body[size:]
        if chunk:
            chunks.append(b"%x;n=1\r\n%b\r\n" % (len(chunk), chunk))
    return b"".join(chunks) + b"0\r\nx-trailer: 1\r\n\r\n"


Answer = tuple[bytes, bool]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """A whole answer, and whether only the connection's end ends it."""
    interim = draw(st.sampled_from([b"", head_of(100, {}), head_of(103, {"link": "</x>"})]))
    status = draw(st.sampled_from([200, 201, 204, 304, 404, 429, 500]))
    fields, body = draw(headers), draw(bodies)
    if status in {204, 304}:
        return interim + head_of(status, fields), False
    match draw(st.sampled_from(["length", "chunks", "end"])):
        case "length":
            return interim + head_of(status, fields, f"Content-Length: {len(body)}") + body, False
        case "chunks":
            head = head_of(status, fields, "Transfer-Encoding: chunked")
            return interim + head + in_chunks(body, draw(sizes)), False
        case _:
            return interim + head_of(status, fields) + body, True


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in at} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


cuts = st.lists(st.integers(0, 400), max_size=12)


@given(answers(), cuts)
def test_an_answer_in_any_pieces_is_the_same_answer(answer: Answer, at: list[int]) -> None:
    data, ends_with_connection = answer
    at_once, piecewise = Rig(), Rig()
    at_once.hear(data)
    piecewise.hear(*cut(data, at))
    for rig in (at_once, piecewise):
        assert rig.connection.dead is False
        assert rig.keeper.journal == ([] if ends_with_connection else ["free"])
        rig.hang_up()

    expected = heard(at_once)
    assert not isinstance(expected, str)
    assert heard(piecewise) == expected


@given(st.lists(answers(), min_size=2, max_size=4), cuts)
def test_answers_on_one_connection_do_not_mix(several: list[Answer], at: list[int]) -> None:
    rig = Rig()
    for data, ends_with_connection in several:
        alone = Rig()
        alone.hear(data)
        rig.hear(*cut(data, at))
        if ends_with_connection:
            rig.hang_up()
            alone.hang_up()

        assert heard(rig) == heard(alone)
        if ends_with_connection:
            return
        rig.response = rig.connection.begin(b"POST")


@given(answers(), cuts, st.binary(min_size=1, max_size=20))
def test_what_follows_an_answer_never_changes_it(
    answer: Answer, at: list[int], more: bytes
) -> None:
    data, ends_with_connection = answer
    if ends_with_connection or not more.strip(b"\r\n"):
        return
    alone, rig = Rig(), Rig()
    alone.hear(data)
    rig.hear(*cut(data + more, at))

    assert heard(rig) == heard(alone)
    assert rig.connection.dead


@given(answers(), cuts, st.integers(0, 400))
def test_an_answer_that_is_cut_short_is_never_taken_for_a_whole_one(
    answer: Answer, at: list[int], length: int
) -> None:
    data, ends_with_connection = answer
    short = data[: length % len(data)]
    rig = Rig()
    rig.hear(*cut(short, at))
    rig.hang_up()

    result = heard(rig)
    if not ends_with_connection:
        assert isinstance(result, str)
    assert rig.keeper.journal[0] == "gone"


# Anything at all

words = st.sampled_from(
    [
        *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b"100", b"101", b"204", b" OK", b"\r\n", b"\r\n\r\n"),
        *(b"content-length: ", b"transfer-encoding: ", b"chunked", b"connection: ", b"close"),
        *(b"upgrade: x", b"connection: upgrade", b"keep-alive", b"0", b"5", b"ff", b"hello", b";"),
        *(b"99999999999999999999", b"-1", b":", b" ", b"\t", b"\n", b"\r", b"\x00", b"\xff"),
        b"x: y",
    ]
)
soup = st.lists(st.one_of(words, st.binary(max_size=4)), max_size=40).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data, _ = draw(answers())
    place = draw(st.integers(0, len(data)))
    return data[:place] + draw(st.one_of(words, st.binary(max_size=4))) + data[place:]


@given(st.one_of(soup, soup.map(OK.__add__), soup.map(CHUNKED.__add__), mutated()), cuts)
@example(b"HTTP/1.1 101 S\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc", [50])
@example(HELLO + HELLO, [])
@example(OK + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel", [])
def test_garbage_ends_in_an_answer_or_a_transport_error(data: bytes, at: list[int]) -> None:
    rig = Rig()
    rig.hear(*cut(data, at))
    rig.hang_up()

    heard(rig)
    assert rig.response.carrier is None
    assert rig.keeper.journal.count("gone") == 1
    assert rig.keeper.journal[-1] == "lost"


class Listed:
    """The headers as httptools itself reports them."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.headers.setdefault(
                name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")
            )

    def on_headers_complete(self) -> None:
        if self.parser.get_status_code() < 200:
            self.headers.clear()
        else:
            self.complete = True


lines = st.lists(
    st.one_of(
        st.builds(lambda n, v: n.encode() + b":" + v + b"\r\n", names, st.binary(max_size=10)),
        st.builds(lambda n, v: f"{n}:  {v}\t \r\n".encode(), names, values),
        soup.map(lambda data: data + b"\r\n"),
    ),
    max_size=5,
).map(b"".join)


@given(st.sampled_from([b"", b"\r\n", b"HTTP/1.1 103 E\r\nlink: x\r\n\r\n"]), lines, bodies)
def test_headers_are_those_that_the_parser_saw(before: bytes, lines: bytes, body: bytes) -> None:
    data = before + OK + lines + b"\r\n" + body
    listed = Listed()
    try:
        listed.parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        if not listed.complete:
            return
    if listed.complete:
        assert dict(Headers(data)) == listed.headers
