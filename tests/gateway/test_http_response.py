"""A response while it arrives: who is woken and when, and who is held back."""

import asyncio
import gc

import pytest

from gateway import http_connection
from gateway.http_connection import MOST_BARREN_BYTES, MOST_UNREAD_BYTES
from gateway.http_response import HttpResponse
from gateway.transport import TransportError
from tests.gateway.http_rig import Rig, now

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"content-length: 5\r\n\r\nhello"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def test_a_reader_that_is_slow_stops_the_socket_and_one_that_reads_starts_it() -> None:
    rig = Rig()
    rig.hear(OK + b"content-length: %d\r\n\r\n" % (4 * MOST_UNREAD_BYTES))
    rig.hear(bytes(MOST_UNREAD_BYTES))
    assert "pause" not in rig.wire.journal
    rig.hear(b"x")
    assert rig.wire.journal == ["write 4", "pause"]
    rig.hear(b"x")  # what was under way
    assert rig.wire.journal == ["write 4", "pause"]

    assert len(now(rig.response.read_some())) == MOST_UNREAD_BYTES + 2
    assert rig.wire.journal == ["write 4", "pause", "resume"]


def test_a_connection_is_not_left_paused_for_the_next_request() -> None:
    rig = Rig()
    rig.hear(
        OK + b"content-length: %d\r\n\r\n" % (MOST_UNREAD_BYTES + 1), bytes(MOST_UNREAD_BYTES + 1)
    )

    assert rig.wire.journal == ["write 4", "pause", "resume"]
    assert rig.keeper.journal == ["free"]
    assert len(now(rig.response.read())) == MOST_UNREAD_BYTES + 1
    assert rig.wire.journal == ["write 4", "pause", "resume"]


def test_who_wants_the_whole_body_is_not_held_back_but_has_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_connection, "MOST_WHOLE_BYTES", MOST_UNREAD_BYTES + 9)
    rig = Rig()
    rig.hear(CHUNKED)
    reading = rig.response.read()
    reading.send(None)
    rig.hear(b"%x\r\n" % (MOST_UNREAD_BYTES + 9), bytes(MOST_UNREAD_BYTES + 9), b"\r\n")
    assert rig.wire.journal == ["write 4"]
    rig.hear(b"1\r\nx\r\n")

    with pytest.raises(TransportError, match="a body of more than"):
        now(reading)
    assert rig.connection.dead


def test_a_chunk_extension_has_an_end() -> None:
    rig = Rig()
    rig.hear(CHUNKED + b"3\r\none\r\n5;")
    for _ in range(MOST_BARREN_BYTES // 65536 + 1):
        rig.hear(b"x" * 65536)

    assert rig.response.error is not None
    assert rig.connection.dead


# Who is woken, and when


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_asker_is_woken_by_the_head_and_nothing_else(rig: Rig) -> None:
    rig.hear(b"HTTP/1.1 100 C\r\n\r\n", OK[:5], OK[5:])
    assert not rig.response.begun.done()
    rig.hear(b"\r\n")
    assert rig.response.begun.done()


def test_who_wants_it_whole_is_woken_once(rig: Rig) -> None:
    rig.hear(CHUNKED)
    reading = rig.response.read()
    waited_for = reading.send(None)
    rig.hear(b"3\r\none\r\n", b"3\r\ntwo\r\n")
    assert not waited_for.done()
    rig.hear(b"0\r\n\r\n")
    assert waited_for.done()
    assert now(reading) == b"onetwo"


def test_a_reader_that_was_cancelled_can_read_on(rig: Rig) -> None:
    rig.hear(CHUNKED)
    reading = rig.response.read_some()
    reading.send(None).cancel()
    with pytest.raises(asyncio.CancelledError):
        now(reading)

    rig.hear(b"3\r\none\r\n")

    assert now(rig.response.read_some()) == b"one"


def test_what_arrived_before_the_break_can_be_read(rig: Rig) -> None:
    rig.hear(CHUNKED + b"3\r\none\r\n")
    rig.connection.connection_lost(ConnectionResetError(104, "x"))

    assert now(rig.response.read_some()) == b"one"
    with pytest.raises(TransportError, match=r"broke .Connection reset by peer. in the middle"):
        now(rig.response.read_some())


def test_a_response_that_is_over_no_longer_knows_its_connection(rig: Rig) -> None:
    rig.hear(HELLO)
    following = rig.connection.begin(b"POST")
    rig.response.close()

    assert not rig.connection.dead
    assert following.error is None
    assert isinstance(following, HttpResponse)


def test_a_connection_that_died_before_it_was_used_says_so_and_that_it_is_safe(rig: Rig) -> None:
    rig.hear(HELLO)
    rig.connection.connection_lost(None)
    late = rig.connection.begin(b"POST")

    assert late.error is not None
    assert late.error.safe


def test_neither_an_exchange_nor_a_connection_is_left_to_the_garbage_collector() -> None:
    rig = Rig()
    gc.collect()
    for _ in range(10):
        rig.hear(OK + b"content-length: 5\r\n\r\n", b"hel", b"lo")
        assert now(rig.response.read()) == b"hello"
        assert rig.response.headers["content-length"] == "5"
        rig.response = rig.connection.begin(b"POST")
    rig.hang_up()
    del rig

    assert gc.collect() == 0
