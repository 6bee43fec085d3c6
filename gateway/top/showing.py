"""Shows one gateway, live or once."""

import asyncio
import math
import time

import httpx
from rich.console import Console

from gateway.top.look import NotMetrics, Unreachable
from gateway.top.once import print_picture
from gateway.top.picture import picture
from gateway.top.scrape import Scrape
from gateway.top.window import Window

_TIMEOUT_S = 5.0


async def show(url: str, *, every_s: float, once: bool) -> int:
    """Returns the exit code."""
    err = Console(stderr=True, highlight=False)
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
        scrape = Scrape(client, url, time.monotonic)
        try:
            if once:
                window = Window(math.inf)
                window.add(await scrape())
                await asyncio.sleep(every_s)
                window.add(await scrape())
                print_picture(picture(window), scrape.url, Console(highlight=False))
            else:
                await scrape()  # a wrong URL is told in the shell, not on the page
                return await _live(scrape, every_s, err)
        except (Unreachable, NotMetrics) as error:
            err.print(f"{scrape.url}: {error}", markup=False, soft_wrap=True)
            return 1
    return 0


async def _live(scrape: Scrape, every_s: float, err: Console) -> int:
    try:
        from gateway.top.screen import TopScreen  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError:
        need = "tutelage top needs textual: pip install 'tutelage[console]'; or see --once"
        err.print(need, markup=False, soft_wrap=True)
        return 2
    await TopScreen(scrape, url=scrape.url, every_s=every_s).run_async()
    return 0
