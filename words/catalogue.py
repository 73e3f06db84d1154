"""The message catalogue: all `*.yaml` files of this folder, merged.

An entry is `key: {vi: ..., en: ...}`, both languages with the same placeholders of `str.format`. `{n} [stop|stops]` is the first
where the placeholder before it says 1, else the second. Keys begin with
their subject and a dot (`state.running`, `console.worklist.title`). Each file belongs to one package or subject, and each
key is in one file only.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final, Protocol

from words.languages import LANGUAGES
from words.system import in_language

NOTHING: Final = "—"
_PLACEHOLDER: Final = re.compile(r"\{(\w+)[^{}]*\}")
_FORMS: Final = re.compile(r"\[([^\[\]|{}]*)\|([^\[\]|{}]*)\]")
_OTHERS_WORDS: Final = frozenset({"detail", "error", "why"})
"""Placeholders for what the operating system or a library says."""


class ComplaintLike(Protocol):
    """A complaint about a file: keys of messages and values for their placeholders."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def cure(self) -> str: ...
    @property
    def values(self) -> Mapping[str, str]: ...


def read_catalogue(folder: Traversable) -> dict[str, dict[str, str]]:
    """The entries of every YAML file in a folder: key to language to text.

    Raises `ValueError` naming file and key where a key stands twice or an entry has not exactly both languages.
    """
    merged: dict[str, dict[str, str]] = {}
    home: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if not file.name.endswith(".yaml"):
            continue
        for key, entry in _read(file).items():
            if key in merged:
                raise ValueError(f"words/{file.name}: {key} already stands in words/{home[key]}; remove one of them")
            merged[key] = entry
            home[key] = file.name
    return merged


def _read(file: Traversable) -> dict[str, dict[str, str]]:
    import yaml  # not every command prints a message

    # every scalar is text here, so the differences between YAML 1.1 and 1.2 do not matter; ten times as fast as ruamel.yaml
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    entries = yaml.load(file.read_text(encoding="utf-8"), loader) or {}  # noqa: S506  # it makes nothing but text
    for key, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != set(LANGUAGES):
            raise ValueError(f"words/{file.name}: {key} needs exactly {{vi: ..., en: ...}}")
    return {key: {language: str(text) for language, text in entry.items()} for key, entry in entries.items()}


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """The program's own entries, read once."""
    return read_catalogue(resources.files("words"))


@cache
def subject(name: str) -> Mapping[str, Mapping[str, str]]:
    """The entries of the file that is named like a subject; none if there is no such file."""
    file = resources.files("words") / f"{name}.yaml"
    return _read(file) if file.is_file() else {}


def say(key: str, /, lang: str, **values: Any) -> str:
    """The sentence of a key in a language, its placeholders filled.

    The file of the key's subject is read first: all of them take a while, and a command's help needs only one. What an
    operating system or a library said is put into the language too, as far as `system.yaml` knows it.
    Raises `KeyError` naming the key, the language or the placeholder that is missing.
    """
    entries = subject(key.partition(".")[0])
    entries = entries if key in entries else catalogue()
    if key not in entries:
        raise KeyError(f"no sentence {key!r} in words/*.yaml; add it with vi and en")
    if lang not in LANGUAGES:
        raise KeyError(f"no language {lang!r}; there are {', '.join(LANGUAGES)}")
    for name in _OTHERS_WORDS & values.keys():
        if isinstance(values[name], str | Exception):
            values[name] = in_language(values[name], lang, subject("system"))
    return _numbered(entries[key][lang], values).format(**values)


def _numbered(text: str, values: Mapping[str, Any]) -> str:
    """The text with one of each pair of forms."""
    if "|" not in text:
        return text

    def form(found: re.Match[str]) -> str:
        name = _PLACEHOLDER.findall(text, 0, found.start())
        return found[1] if name and str(values.get(name[-1])) == "1" else found[2]

    return _FORMS.sub(form, text)


def complaint(item: ComplaintLike, lang: str) -> str:
    """A complaint as one line: place, message, cure."""
    values = {name: text or NOTHING for name, text in item.values.items()}
    values |= {"key": item.key, "value": item.value or NOTHING}
    for name in [name for name in values if name.endswith("_key")]:  # the value is a message itself
        values[name.removesuffix("_key")] = say(values[name], lang, **values)
    near = item.values.get("near", "")
    parts = [say(item.message, lang, **values)]
    parts += [say("complaint.did_you_mean", lang, near=near)] if near else []
    parts += [say("complaints.more", lang, more=item.values["more"])] if "more" in item.values else []
    parts.append(say(item.cure, lang, **values))
    place = f"{item.file}:{item.line}" if item.line else item.file
    return f"{place}: {item.key + ': ' if item.key else ''}{' '.join(parts)}"
