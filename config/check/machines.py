"""Cross-checks of machines: tags, rules, counters, product, reasons, calendar, line."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from config.site.machine import CounterUse, FromCounts, MachineModel, ProfileUse, RuleLine, is_operator
from config.site.model import Site
from config.site.names import ONLINE, DefinedNames, missing_tag
from config.templates.state_profiles import StateProfile, parameters_of
from config.yaml.complaints import Complaint, Path, SourceMap, nearest
from oee.model.conditions import BadExpression, parse
from oee.model.machine import OPERATOR
from oee.model.states import State

Profiles = Mapping[str, StateProfile]


def check_machines(site: Site, names: DefinedNames, profiles: Profiles, source: SourceMap) -> Iterator[Complaint]:
    """Everything wrong with the machines."""
    for name, machine in site.machines.items():
        path: Path = ("machines", name)
        yield from _check_state(machine, names, profiles, path, source)
        yield from _check_pieces(site, machine, names, path, source)
        yield from _check_references(site, machine, names, path, source)
    yield from _check_shared(site, source)


def _check_state(
    machine: MachineModel, names: DefinedNames, profiles: Profiles, path: Path, source: SourceMap
) -> Iterator[Complaint]:
    lines = machine.lines()
    where = (*path, "state")
    if isinstance(machine.state, tuple) and not lines:
        yield source.complain("no_rules", where)
    final = None
    for number, line in enumerate(lines):
        spot = (*where, number) if isinstance(machine.state, tuple) else where
        if final is not None:
            yield source.complain("unreachable_rule", spot, rule=final)
        if isinstance(line, ProfileUse):
            yield from _check_profile(line, names, profiles, spot, source)
            final = number + 1 if line.profile in profiles and profiles[line.profile].rules[-1].when is None else None
        else:
            yield from _check_rule(line, names, spot, source)
            final = number + 1 if line.when is None else final
        if final is not None and number + 1 > final:
            return
    if machine.no_count is not None and isinstance(machine.state, FromCounts):
        yield source.complain("two_gaps", (*path, "no_count"))
    for gap, spot in ((machine.no_count, (*path, "no_count")), (machine.gap(), (*where, "from_counts"))):
        if gap is not None and gap.state in (State.RUNNING, State.UNKNOWN):
            yield source.complain("gap_is_no_stop", (*spot, "is"), gap.state.word)
    if machine.gap() is not None and not machine.pieces.has_total():
        yield source.complain("gap_without_counter", (*path, "no_count") if machine.no_count else where)


def _check_rule(line: RuleLine, names: DefinedNames, spot: Path, source: SourceMap) -> Iterator[Complaint]:
    if line.when is not None:
        try:
            tags = parse(line.when).tags
        except BadExpression as error:
            yield source.complain(
                "bad_expression",
                (*spot, "when"),
                line.when,
                column=error.position + 1,
                detail_key=error.key,
                **error.values,
            )
            tags = frozenset()
        for tag in sorted(tags - names.tags):
            yield missing_tag(tag, names, (*spot, "when"), source)
    if line.reason and line.reason not in names.reasons:
        yield _unknown("unknown_reason", line.reason, names.reasons, (*spot, "reason"), source)


def _check_profile(
    use: ProfileUse, names: DefinedNames, profiles: Profiles, spot: Path, source: SourceMap
) -> Iterator[Complaint]:
    profile = profiles.get(use.profile)
    if profile is None:
        yield _unknown("unknown_profile", use.profile, profiles, (*spot, "profile"), source)
        return
    given = parameters_of(profile, use.tags)
    for written, tag in use.tags.items():
        name = profile.first if written == "tag" else written
        if name not in profile.parameters:
            yield _unknown("unknown_parameter", written, profile.parameters, (*spot, written), source)
        elif tag not in names.tags:
            yield missing_tag(tag, names, (*spot, written), source)
    for name, parameter in profile.parameters.items():
        if parameter.required and name not in given:
            yield source.complain("missing_key", (*spot, name), example=f"{name}: device.tag")


def _check_pieces(
    site: Site, machine: MachineModel, names: DefinedNames, path: Path, source: SourceMap
) -> Iterator[Complaint]:
    pieces = machine.pieces
    where = (*path, "pieces")
    counters = pieces.counters()
    if (pieces.left is None) != (pieces.right is None):
        yield source.complain("half_a_pair", where, missing="right" if pieces.right is None else "left")
    elif pieces.left and (pieces.total or pieces.good):
        yield source.complain("pairs_and_total", where, other="total" if pieces.total else "good")
    elif counters and not pieces.has_total():
        yield source.complain("pieces_without_total", where)
    for key, counter in counters.items():
        spot = (*where, key)
        if is_operator(counter):
            if key not in ("reject", "rework"):
                yield source.complain("operator_cannot_count", spot, OPERATOR, counter=key)
        elif counter.tag not in names.tags:
            yield missing_tag(counter.tag, names, spot, source)
        else:
            yield from _check_counter(site, counter, spot, source)
    if pieces.cavities and pieces.cavities not in names.tags:
        yield missing_tag(pieces.cavities, names, (*where, "cavities"), source)


def _check_counter(site: Site, counter: CounterUse, spot: Path, source: SourceMap) -> Iterator[Complaint]:
    text_type = _text_type(site, counter.tag)
    if text_type:
        yield source.complain("tag_cannot_count", spot, counter.tag, type=text_type)


def _text_type(site: Site, name: str) -> str:
    """The type of a tag that holds no number, or ""."""
    if name.endswith(f".{ONLINE}"):
        return "bool"
    tag = site.tag(name)
    return tag.text_type if tag is not None else ""


def _check_references(
    site: Site, machine: MachineModel, names: DefinedNames, path: Path, source: SourceMap
) -> Iterator[Complaint]:
    product = machine.product
    if product and product != OPERATOR and product not in names.products and product not in names.tags:
        if "." in product:
            yield missing_tag(product, names, (*path, "product"), source)
        else:
            yield _unknown("unknown_product", product, names.products, (*path, "product"), source)
    if machine.reason is not None:
        if machine.reason.tag not in names.tags:
            yield missing_tag(machine.reason.tag, names, (*path, "reason", "tag"), source)
        for value, reason in machine.reason.map.items():
            if reason not in names.reasons:
                yield _unknown("unknown_reason", reason, names.reasons, (*path, "reason", "map", value), source)
    if machine.calendar and machine.calendar not in names.calendars:
        yield _unknown("unknown_calendar", machine.calendar, names.calendars, (*path, "calendar"), source)
    elif machine.calendar in (*site.calendars, "") and not site.calendar(machine.calendar).shifts:
        yield source.complain("no_shifts", path, severity="warning")
    if machine.line and machine.line not in names.lines:
        near = nearest(machine.line, names.lines, 0.75)
        if near:  # probably mistyped, rather than undescribed
            yield _unknown("unknown_line", machine.line, names.lines, (*path, "line"), source)
        else:
            yield source.complain("line_not_described", (*path, "line"), machine.line, severity="warning")


def _check_shared(site: Site, source: SourceMap) -> Iterator[Complaint]:
    users: dict[str, list[str]] = defaultdict(list)
    for name, machine in site.machines.items():
        for key, counter in machine.pieces.counters().items():
            if is_operator(counter):
                continue
            if users[counter.tag] and users[counter.tag][-1] != name:
                path = ("machines", name, "pieces", key)
                other = users[counter.tag][0]
                yield source.complain("counted_twice", path, counter.tag, severity="warning", other=other)
            users[counter.tag].append(name)


def _unknown(
    code: str, word: str, known: Mapping[str, object] | frozenset[str], path: Path, source: SourceMap
) -> Complaint:
    return source.complain(code, path, word, near=nearest(word, known), known=", ".join(sorted(known)) or "—")
