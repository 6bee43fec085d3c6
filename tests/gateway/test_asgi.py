import asyncio
from typing import Any

import pytest

from gateway.asgi import AsgiHttp
from gateway.errors import ClientLeft

pytestmark = pytest.mark.anyio


class Server:
    """An ASGI server that reports the end of an exchange as a disconnect, as uvicorn does."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        await self.over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.over.set()
        for _ in range(3):  # a slow client: the watcher runs before this returns
            await asyncio.sleep(0)

    def http(self) -> AsgiHttp:
        return AsgiHttp({"headers": []}, self.receive, self.send, max_body_bytes=100)


async def test_the_end_of_an_exchange_is_not_taken_for_a_hang_up() -> None:
    server = Server()
    http = server.http()

    with http.cancelled_by_hang_up():
        await http.reply(200, b"{}")

    assert [message["type"] for message in server.sent] == [
        "http.response.start",
        "http.response.body",
    ]


async def test_a_hang_up_cancels_the_work_and_is_told_as_what_it_is() -> None:
    server = Server()
    ended: list[str] = []

    async def work() -> None:
        with server.http().cancelled_by_hang_up():
            server.over.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("work")

    with pytest.raises(ClientLeft):
        await work()

    assert ended == ["work"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_another_cancellation_passes_through() -> None:
    server = Server()

    async def work() -> None:
        with server.http().cancelled_by_hang_up():
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work())
        await asyncio.sleep(0)
        task.cancel()

    assert task.cancelled()
