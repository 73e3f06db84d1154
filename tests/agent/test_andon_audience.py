"""Who is told what, and when: open pages without a network."""

import asyncio
import itertools

import pytest

from agent.andon.http.audience import Audience

PAGES = 12


@pytest.mark.parametrize("told", [1, 3])
async def test_one_page_in_a_round_of_the_loop(told):
    audience, rounds, took = Audience(lambda: "{}"), itertools.count(), []
    now, ended = 0, False

    def count():
        nonlocal now
        now = next(rounds)
        if not ended:
            asyncio.get_running_loop().call_soon(count)

    async def page():
        with audience.open([]) as tablet:
            await tablet.take()  # what was before it opened
            opened.release()
            events = await tablet.take()
            took.append((now, events))

    opened = asyncio.Semaphore(0)
    pages = [asyncio.create_task(page()) for _ in range(PAGES)]
    for _ in range(PAGES):
        await opened.acquire()
    count()
    for number in range(told):
        audience.put(f"m-{number}", "live", "{}")
    await asyncio.gather(*pages)
    ended = True
    assert len({number for number, _ in took}) == PAGES
    assert all(events == [("live", "{}")] * told for _, events in took)


async def test_a_page_that_is_gone_while_it_waits_keeps_no_turn():
    audience = Audience(lambda: "{}")
    with audience.open([]) as gone, audience.open([]) as stays:
        waiting = asyncio.create_task(gone.take())
        await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(60):
            assert [event for event, _ in await stays.take()] == ["hello"]
            assert [event for event, _ in await gone.take()] == ["hello"]  # nothing was lost
