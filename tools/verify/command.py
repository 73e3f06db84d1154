"""`nhip verify FILE...`: whether files are what their packager signed."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.exits import FAILED, MISCONFIGURED, fail
from cli.terminal import show_json, show_table
from tools.verify.judge import Authenticity, Judged, judge
from tools.verify.minisign import PublicKey, Unreadable, read_public_key
from words import say

INSTALLED_KEY: Final = Path(sys.prefix) / "packager.pub"
"""In the version that runs: an update is judged by the key of what is installed."""


@dataclass(frozen=True)
class VerifyOptions:
    """key: None for the installed one; sums: None for `SHA256SUMS` beside each file."""

    key: Path | None
    sums: Path | None
    as_json: bool
    lang: str


def run(files: Sequence[Path], options: VerifyOptions) -> int:
    """Prints a row for each file. Exit status 0 if all are as signed, 1 if one is not, 2 without a public key."""
    key = _key(options.key or INSTALLED_KEY, options.lang)
    found = judge(files, options.sums, key)
    _show(found, key, options)
    return 0 if all(item.verdict is Authenticity.FINE for item in found) else FAILED


def _key(file: Path, lang: str) -> PublicKey:
    try:
        return read_public_key(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        fail(say("verify.no_key", lang, file=file), MISCONFIGURED)
    except OSError as error:
        fail(say("verify.closed_key", lang, file=file, why=error.strerror), MISCONFIGURED)
    except (Unreadable, UnicodeDecodeError):
        fail(say("verify.unreadable_key", lang, file=file), MISCONFIGURED)


def _show(found: Sequence[Judged], key: PublicKey, options: VerifyOptions) -> None:
    texts = [say(f"verify.{item.verdict}", options.lang, **item.values) for item in found]
    if options.as_json:
        rows = [
            {"file": str(item.file), "verdict": item.verdict, "values": item.values, "text": text}
            for item, text in zip(found, texts, strict=True)
        ]
        show_json({"key": key.name, "files": rows})
        return
    headings = ["", say("verify.column.file", options.lang), say("verify.column.verdict", options.lang)]
    marks = ["✓" if item.verdict is Authenticity.FINE else "✗" for item in found]
    show_table(headings, [[mark, str(item.file), text] for mark, item, text in zip(marks, found, texts, strict=True)])
