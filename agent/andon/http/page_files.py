"""The page's own files and its words, packed once: a tablet asks for them at each start."""

import asyncio
import gzip
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

MANIFEST: Final = "/manifest.webmanifest"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_PREFIXES: Final = (
    "andon.",
    "duration.",
    "state.",
    "calendar.",
    "why_null.",
    "declare.why.",
    "clock.by.",
    "fault.",
    "reason.none",
    "shift.none",
)
_PRINT_WORDS: Final = (
    "import json; from words.catalogue import catalogue; "
    f"print(json.dumps({{k: v for k, v in catalogue().items() if k.startswith({_PREFIXES!r}) "
    "and not (k.startswith('fault.') and k.count('.') > 1)}))"
)


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent. packed: with gzip."""

    packed: bytes
    media_type: str
    etag: str

    def unpacked(self) -> bytes:
        """Its content."""
        return gzip.decompress(self.packed)


def page_file(content: bytes, suffix: str) -> PageFile:
    """Packs a file of a type known by its suffix."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    return PageFile(gzip.compress(content, mtime=0), _TYPES.get(suffix, "application/json"), etag)


def json_file(content: Mapping[str, Any]) -> PageFile:
    """Packs JSON."""
    return page_file(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(), ".json")


def page_files() -> tuple[str, dict[str, PageFile]]:
    """The page's version, a digest of its files, and these by path; `/` is `index.html`. The page and its service worker know
    their version, so that a tablet that is never closed gets the next one.
    """
    contents = {
        f"/{file.name}": file.read_bytes()
        for file in resources.files("agent.andon").joinpath("page").iterdir()
        if file.is_file() and not file.name.startswith(".")
    }
    digest = hashlib.sha256(b"".join(contents[path] for path in sorted(contents))).hexdigest()[:12]
    contents["/"] = contents.pop("/index.html")
    for path in ("/", "/sw.js"):
        contents[path] = contents[path].replace(b"{version}", digest.encode())
    return digest, {path: page_file(content, _suffix(path)) for path, content in contents.items()}


def _suffix(path: str) -> str:
    return ".html" if path == "/" else path[path.rindex(".") :]


class Words:
    """The page's sentences in both languages. Reading the catalogue takes seconds and megabytes of a small gateway, so a
    process of its own does it, at the first question.
    """

    def __init__(self) -> None:
        self._reading: asyncio.Task[PageFile] | None = None

    async def file(self) -> PageFile:
        """The sentences by key. Raises `RuntimeError` if they cannot be read."""
        if self._reading is None or (self._reading.done() and self._reading.exception()):
            self._reading = asyncio.create_task(_read_words())
        return await asyncio.shield(self._reading)


async def _read_words() -> PageFile:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PRINT_WORDS, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the words cannot be read: {errors.decode(errors='replace')[-500:]}")
    return json_file({"words": json.loads(out)})
