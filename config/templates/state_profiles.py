"""State profiles: standard state numbers of machines as rules, in YAML files.

A profile's rules refer to its parameters, which are replaced by tags where it is used. A rule that needs an optional
parameter which is not given is left out, so that one file serves machines with and without it.
"""

from collections.abc import Iterable, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationError

from config.yaml.common import Name, StateWord, Strict
from config.yaml.complaints import Complaint, InvalidValue, Misconfigured, SourceMap
from oee.model.conditions import BadExpression, Expression, parse, rename
from oee.model.machine import Rule


def _condition(text: str) -> str:
    try:
        parse(text)
    except BadExpression as error:
        raise InvalidValue(
            "bad_expression", str(error), detail_key=error.key, column=error.position + 1, **error.values
        ) from error
    return text


class Parameter(Strict):
    """A name used in rules, for which each machine names a tag."""

    name: Name = Field(description="What the tag means.")
    required: bool = Field(default=True, description="Whether the profile cannot be used without it.")


class ProfileRule(Strict):
    """A rule over parameters."""

    when: Annotated[str, AfterValidator(_condition)] | None = Field(None, description="Condition over parameters.")
    state: StateWord = Field(alias="is", description="The state while it holds.")


class StateProfile(Strict):
    """One file of config/profiles/states. The first parameter may be called `tag` in the site file."""

    name: Name
    sources: tuple[str, ...] = Field(min_length=1, description="Standard and year.")
    parameters: dict[str, Parameter] = Field(min_length=1)
    rules: tuple[ProfileRule, ...] = Field(min_length=1)

    @property
    def first(self) -> str:
        """The parameter that `tag` stands for."""
        return next(iter(self.parameters))


_OWN: Final[dict[str, StateProfile]] = {}
"""Those that come with the program."""


def load_profiles(folder: Traversable | None = None) -> dict[str, StateProfile]:
    """Every profile of a folder (default: the ones that come with the program) by its file's name.

    Raises `Misconfigured` if one of them is invalid.
    """
    if folder is not None:
        return _read(folder)
    if not _OWN:
        keep_profiles(_read(resources.files("config") / "profiles" / "states"))
    return dict(_OWN)


def keep_profiles(profiles: Mapping[str, StateProfile]) -> None:
    """What `load_profiles` answers from now on, read by another process: this one need not load the reader of YAML."""
    _OWN.update(profiles)


def _read(place: Traversable) -> dict[str, StateProfile]:
    from config.yaml.translate import complaints_of  # noqa: PLC0415  # not where `keep_profiles` is called
    from config.yaml.tree import lines, read_tree, value  # noqa: PLC0415  # the same

    files = sorted((item for item in place.iterdir() if item.name.endswith(".yaml")), key=lambda item: item.name)
    profiles: dict[str, StateProfile] = {}
    complaints: list[Complaint] = []
    for file in files:
        tree, errors = read_tree(file.read_text(encoding="utf-8"), file.name)
        source, data = SourceMap(file.name, lines(tree)), value(tree)
        complaints += errors
        try:
            profile = StateProfile.model_validate(data)
        except ValidationError as error:
            complaints += complaints_of(error, StateProfile, data, source)
            continue
        complaints += _unknown_names(profile, source)
        profiles[file.name.removesuffix(".yaml")] = profile
    if complaints:
        raise Misconfigured(complaints)
    return profiles


def _unknown_names(profile: StateProfile, source: SourceMap) -> Iterable[Complaint]:
    for index, rule in enumerate(profile.rules):
        for name in sorted(_expression(rule).tags - set(profile.parameters) if rule.when else ()):
            known = ", ".join(profile.parameters)
            yield source.complain("unknown_parameter", ("rules", index, "when"), name, known=known, near="")


def _expression(rule: ProfileRule) -> Expression:
    return parse(rule.when or "true")


def parameters_of(profile: StateProfile, written: Mapping[str, str]) -> dict[str, str]:
    """Parameter to tag, with `tag` read as the first parameter."""
    return {profile.first if name == "tag" else name: tag for name, tag in written.items()}


def rules_of(profile: StateProfile, tags: Mapping[str, str]) -> tuple[Rule, ...]:
    """The profile's rules over a machine's tags; tags: parameter to tag."""
    out: list[Rule] = []
    for rule in profile.rules:
        if rule.when is None:
            out.append(Rule(None, rule.state))
        elif (expression := _expression(rule)).tags <= set(tags):
            out.append(Rule(rename(expression, tags), rule.state))
    return tuple(out)
