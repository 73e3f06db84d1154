"""What of the wheels goes into no package: what is for developers of a library, and what no process of a gateway loads.

A wheel has one form for everybody. Of the agent's 150 MB, 19 are the address space of an OPC UA server, 8 colour program text,
5 are the center. What is missing is named in a sentence to who asks for it (`cli/front.py`).
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_FOR_DEVELOPERS: Final = (
    "numpy/_core/_simd.*",
    "numpy/distutils",
    "pip",
    "pyarrow/include",
    "pyarrow/src",
    "reportlab/fonts",  # reports embed fonts of their own; one of these is under the GPL
    "scipy/_lib/_boost",
    "setuptools",
    "*.dist-info/RECORD",
)
_NOT_AT_A_GATEWAY: Final = (
    "asyncua/server/standard_address_space",  # what an OPC UA server offers, with which `nhip simulate` plays a PLC
    "cffi",  # cryptography needs its compiled half, which lies beside it
    "cffi-*.dist-info",
    "markdown_it",  # rich draws tables and bars here, neither Markdown nor program text
    "markdown_it_py-*.dist-info",
    "mdurl",
    "mdurl-*.dist-info",
    "numpy/f2py",  # SciPy takes all names of NumPy, and so these too
    "numpy/testing",
    "oee/advice",  # a center asks; it needs SciPy
    "pycparser",
    "pycparser-*.dist-info",
    "pydantic/v1",
    "pygments",
    "pygments-*.dist-info",
    "pytz/zoneinfo",  # asyncua takes UTC from it; zones come from tzdata
    "replay",
)
_KEPT_OF_CENTER: Final = ("__init__.py", "commands")
"""Its command lines, which say that the rest is not here."""
_NAMES: Final = ("tests", "test", "include")
_SUFFIXES: Final = ("*.pyi", "*.pyx", "*.pxd", "*.h", "*.a", "*.c")


def slim(libraries: Path, package: str, machine: str) -> None:
    """Removes what nobody loads, takes symbols for debuggers out of the rest, and lets everybody read it. machine: `x86_64` or
    `aarch64`.
    """
    unwanted = [path for pattern in _FOR_DEVELOPERS for path in libraries.glob(pattern)]
    if package == "nhip-agent":
        unwanted += (path for pattern in _NOT_AT_A_GATEWAY for path in libraries.glob(pattern))
        unwanted += (path for path in (libraries / "center").iterdir() if path.name not in _KEPT_OF_CENTER)
    for path in unwanted:
        _remove(path)
    for path in sorted(libraries.rglob("*"), reverse=True):
        if path.is_dir() and path.name in _NAMES and "asyncua" not in path.parts:
            shutil.rmtree(path)
    for pattern in ("numpy/_core/*_tests.*.so", *(f"**/{suffix}" for suffix in _SUFFIXES)):
        for file in libraries.glob(pattern):
            file.unlink()
    _strip(libraries, machine)
    for path in libraries.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _strip(libraries: Path, machine: str) -> None:
    """Binutils of each machine are a Debian package, so that one machine strips for all."""
    tool = f"{machine}-linux-gnu-strip"
    if shutil.which(tool) is None:
        raise SystemExit(f"{tool} is missing: sudo apt-get install binutils-{machine.replace('_', '-')}-linux-gnu")
    subprocess.run([tool, "--strip-unneeded", *_untouched_objects(libraries)], check=True)


def _untouched_objects(libraries: Path) -> Iterator[Path]:
    """Shared objects as their linker wrote them. Those of a wheel with libraries of its own (NAME.libs) were changed by patchelf,
    after which strip may spoil them.
    """
    changed = {folder.name.removesuffix(".libs") for folder in libraries.glob("*.libs")}
    for file in sorted(libraries.rglob("*.so")):
        top = file.relative_to(libraries).parts[0]
        if top not in changed and not top.endswith(".libs"):
            yield file
