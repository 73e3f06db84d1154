"""Makes PDFs in a process of its own with bounds on CPU, memory and time, so that no report can stop the center.

The process is told on its standard input what the file is made of, and knows neither database nor store.
"""

import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from threading import BoundedSemaphore
from typing import Final

CPU_S: Final = 60
MEMORY_BYTES: Final = 1_500_000_000
"""Of addresses: the program and its libraries are mapped into these too."""
WAIT_S: Final = 150.0
"""For all files of a request, and until another one has had its turn."""
_TURN: Final = BoundedSemaphore(1)
_HEAD: Final = struct.Struct(">I")


class NoPdf(Exception):
    """The process ended without the files; the text says how."""


def made_apart(
    maker: str, told: bytes, langs: Sequence[str], *, cpu_s: int = CPU_S, memory: int = MEMORY_BYTES, wait_s: float = WAIT_S
) -> dict[str, bytes]:  # fmt: skip
    """The PDF in each of these languages. maker: `module:function`, which is loaded there and not
    here, and makes a file of `told` and a language. Raises `NoPdf`."""
    if not _TURN.acquire(timeout=wait_s):
        raise NoPdf(f"another report has been made for {wait_s:.0f} s; try again later")
    try:
        asked = json.dumps({"maker": maker, "langs": list(langs), "cpu_s": cpu_s, "memory": memory}).encode()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        done = subprocess.run(  # noqa: S603  # our own interpreter, nothing of a request in its arguments
            [sys.executable, "-P", "-m", __name__],
            input=_HEAD.pack(len(asked)) + asked + told,
            capture_output=True,
            timeout=wait_s,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise NoPdf(f"the process took longer than {wait_s:.0f} s") from error
    finally:
        _TURN.release()
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"it ended with {done.returncode}"]
        raise NoPdf(f"the process that makes PDFs failed: {lines[-1][:300]}")
    return dict(zip(langs, _files(done.stdout), strict=True))


def _files(data: bytes) -> list[bytes]:
    out, at = [], 0
    while at < len(data):
        (length,) = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        out.append(data[at : at + length])
        at += length
    return out


def main() -> None:
    """The process: reads bounds, languages and what the files are made of, writes each with its length before it."""
    data = sys.stdin.buffer.read()
    (length,) = _HEAD.unpack_from(data)
    asked = json.loads(data[_HEAD.size : _HEAD.size + length])
    resource.setrlimit(resource.RLIMIT_CPU, (asked["cpu_s"], asked["cpu_s"]))
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, function = asked["maker"].partition(":")
    maker = getattr(import_module(module), function)
    for lang in asked["langs"]:
        file = maker(data[_HEAD.size + length :], lang)
        sys.stdout.buffer.write(_HEAD.pack(len(file)) + file)


if __name__ == "__main__":
    main()
