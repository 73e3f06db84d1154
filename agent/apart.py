"""Work that leaves much litter behind, done by a child that takes it along when it ends.

Reading a large site file needs a third of what a gateway has to give for a second, and Python gives little of that
back. What remains of it, the checked site, is small.
"""

import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """What `work` returns; done by a forked child where that is possible, else here.

    Only for a process without other threads. Where the child fails, whatever the reason, the work is done here, so
    that its errors are raised as they are.
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
    with os.fdopen(reading, "rb") as back:
        data = back.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        return work()
    done: T = pickle.loads(data)  # noqa: S301  # our own child wrote it
    return done
