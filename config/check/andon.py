"""Cross-checks of the page at the machine: what it offers where, and the targets that it shows."""

from collections.abc import Collection, Iterator

from config.site.model import Site
from config.site.names import DefinedNames
from config.yaml.common import is_loopback
from config.yaml.complaints import Complaint, Path, SourceMap, nearest


def check_andon(site: Site, names: DefinedNames, source: SourceMap) -> Iterator[Complaint]:
    """Every error and warning about them."""
    offered = [("reasons", key, item.machines) for key, item in site.reasons.items()]
    offered += [("reject_causes", key, item.machines) for key, item in site.reject_causes.items()]
    for section, key, machines in offered:
        for number, machine in enumerate(machines):
            if machine not in names.machines:
                where = (section, key, "machines", number)
                yield _unknown("unknown_machine", machine, names.machines, where, source)
    yield from _check_targets(site, names, source)
    for key, task in site.maintenance.items():
        if task.machine not in names.machines:
            yield _unknown("unknown_machine", task.machine, names.machines, ("maintenance", key, "machine"), source)
    if site.andon and not site.andon.pin_file and not is_loopback(site.andon.host):
        yield source.complain("andon_without_pin", ("andon",), site.andon.listen, severity="warning")


def _check_targets(site: Site, names: DefinedNames, source: SourceMap) -> Iterator[Complaint]:
    lines = {*names.lines, *(machine.line for machine in site.machines.values() if machine.line)}
    seen: dict[tuple[object, ...], int] = {}
    for number, target in enumerate(site.targets):
        path: Path = ("targets", number)
        for key, known in (("machine", names.machines), ("line", lines), ("product", names.products)):
            if (word := getattr(target, key)) and word not in known:
                yield _unknown(f"unknown_{key}", word, known, (*path, key), source)
        place = (target.line, target.machine, target.product, target.since)
        if place in seen:
            yield source.complain("same_target", path, other=seen[place] + 1)
        seen.setdefault(place, number)


def _unknown(code: str, word: str, known: Collection[str], path: Path, source: SourceMap) -> Complaint:
    return source.complain(code, path, word, near=nearest(word, known), known=", ".join(sorted(known)) or "—")
