import asyncio
import contextlib
import itertools
import socket
import sys

import pytest
import uvloop

from gateway import config
from gateway.listening import PortTaken, listen, listen_together

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("loop", LOOPS)
def test_small_responses_are_sent_at_once(loop: str) -> None:
    """TCP_NODELAY is on: without it every response waits 40 ms for an acknowledgement."""

    async def accepted_with_nodelay() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        class Look(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted = transport.get_extra_info("socket")
                seen.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        listener = listen(config.Server(port=0))
        async with await asyncio.get_running_loop().create_server(Look, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            flag = await seen
            writer.close()
            await writer.wait_closed()
        return flag

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(accepted_with_nodelay()) != 0


def test_a_taken_port_is_told_with_its_number_and_the_fix() -> None:
    with listen(config.Server(port=0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=rf"server.port = {port}.*--port"):
            listen(config.Server(port=port))


def test_a_port_that_workers_share_is_taken_for_everybody_else() -> None:
    shared = listen_together(config.Server(port=0), 3)
    port = shared[0].getsockname()[1]

    for count in (1, 2):
        with pytest.raises(PortTaken, match=rf"server.port = {port}"):
            listen_together(config.Server(port=port), count)
    assert {each.getsockname()[1] for each in shared} == {port}
    for each in shared:
        each.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel spreads connections on Linux")
def test_connections_are_spread_over_the_workers() -> None:
    listeners = listen_together(config.Server(port=0), 2)
    clients = [socket.create_connection(listeners[0].getsockname()) for _ in range(64)]

    def accepted(listener: socket.socket) -> int:
        listener.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            for count in itertools.count():
                listener.accept()[0].close()
                counts[listener] = count + 1
        return counts[listener]

    counts = dict.fromkeys(listeners, 0)
    taken = [accepted(each) for each in listeners]

    assert sum(taken) == 64
    assert min(taken) > 0
    for each in (*listeners, *clients):
        each.close()
