"""An action as the center keeps it, with what people wrote and filed beside it. Pure."""

from dataclasses import dataclass
from typing import Final

from oee.advice.gain.action import ActionRecord

MOST_FILE_BYTES: Final = 8_000_000
MOST_FILES: Final = 12
MOST_COMMENTS: Final = 300
"""Of an action. All stand on its page, for everybody who may see it, and each is an entry of the audit trail."""
MOST_SITE_BYTES: Final = 500_000_000
"""Of all files of a site's actions."""
_SIGNATURES: Final = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/webp": (b"RIFF",),
    "application/pdf": (b"%PDF-",),
}
MEDIA_TYPES: Final = tuple(_SIGNATURES)
"""What may be filed: pictures, and PDF for everything else. None of it is run by a browser."""


@dataclass(frozen=True)
class KeptAction:
    """An action as kept: its id, its site, its record, when and by whom it was drafted, and when it changed last [ns UTC]."""

    id: str
    site: str
    record: ActionRecord
    created_ns: int
    created_by: str
    changed_ns: int


@dataclass(frozen=True)
class ActionNote:
    """A line of an action's history. kind: `comment`, or the step that was made, key of `action_step.<kind>`."""

    id: int
    at_ns: int
    who: str
    kind: str
    text: str


@dataclass(frozen=True)
class ActionFile:
    """A file of an action, without its content."""

    id: str
    at_ns: int
    who: str
    name: str
    media_type: str
    size: int


def media_type_of(content: bytes) -> str | None:
    """What a file is, by its first bytes and not by its name; None for what may not be filed."""
    for media_type, signatures in _SIGNATURES.items():
        if content.startswith(signatures) and (media_type != "image/webp" or content[8:12] == b"WEBP"):
            return media_type
    return None


def file_name(written: str) -> str:
    """A name without folders and signs that a header or a file system might take for something else."""
    last = written.replace("\\", "/").rpartition("/")[2]
    kept = "".join(sign for sign in last if sign.isprintable() and sign not in '<>:"/\\|?*;%')
    return kept.strip(". ")[:100] or "file"
