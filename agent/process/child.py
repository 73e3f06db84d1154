"""Runs memory-hungry work in a child process.

Reading a large site file peaks at a third of a small gateway's memory for a second, and Python returns little of that
to the system. The result, a validated site, is small.
"""

import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def run_in_child(work: Callable[[], T]) -> T:
    """The result of `work`, computed in a forked child where the system can fork, else in this process.

    Only for a process without other threads. If the child fails for any reason, the work is done again in this
    process, so that its exceptions are raised unchanged.
    """
    if not hasattr(os, "fork"):
        return work()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            os.close(reading)
            with os.fdopen(writing, "wb") as out:
                pickle.dump(work(), out, pickle.HIGHEST_PROTOCOL)
            status = 0
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        return work()
    result: T = pickle.loads(data)  # noqa: S301  # our own child wrote it
    return result
