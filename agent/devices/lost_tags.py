"""Tags of a device that cannot be read, put together by why. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from adapters.contract import Fault


def group_faults(faults: Mapping[str, Fault]) -> list[tuple[Fault, list[str]]]:
    """Each fault with the tags that have it, in the order of the tags. faults: by tag. A group's values are those that are the
    same for all of its tags: a code, but not each tag's own address.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for tag, fault in faults.items():
        groups.setdefault((fault.code, fault.values.get("code", "")), []).append(tag)
    return [(_common([faults[tag] for tag in tags]), tags) for tags in groups.values()]


def _common(faults: list[Fault]) -> Fault:
    first, *others = faults
    same = {name: text for name, text in first.values.items() if all(item.values.get(name) == text for item in others)}
    return replace(first, values=same)
