"""Periodic tasks survive what they raise, and say it each time that it is something else."""

import asyncio

import pytest

from agent.process.health import Health
from agent.process.periodic import on_event

FAILURES = [ValueError("one"), ValueError("one"), None, ValueError("one"), KeyError("two"), KeyError("two")]


async def test_each_new_failure_is_logged_once(caplog):
    health, event, todo, done = Health(), asyncio.Event(), list(FAILURES), asyncio.Event()

    async def tick():
        if not todo:
            done.set()
            return
        event.set()
        if failure := todo.pop(0):
            raise failure

    event.set()
    task = asyncio.create_task(on_event(event, tick, health))
    await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert health.snapshot()["turns_failed"] == 5
    assert caplog.text.count("turn failed work=tick") == 3
