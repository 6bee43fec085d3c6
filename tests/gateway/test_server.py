import asyncio
import socket

import pytest
import uvloop

from gateway import config
from gateway.server import PortTaken, listen

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
