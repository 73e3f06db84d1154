"""A machine as written in the site file."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from config.yaml.common import Name, StateWord, Strict
from config.yaml.times import Duration, DurationOrZero
from oee.model.machine import OPERATOR
from oee.model.states import State


class RuleLine(Strict):
    """One line of a list of rules: `{when: "plc.alarm > 0", is: breakdown}`; without `when` it is always true."""

    when: str | None = Field(
        None, description="A condition over tags; left out in the last rule.", examples=["plc.running"]
    )
    state: StateWord = Field(alias="is", description="The state while the condition holds.", examples=["running"])
    reason: str = Field("", description="A reason that this rule proves, from `reasons`.", examples=["die-jam"])


class ProfileUse(BaseModel):
    """A state model by name; every other key is a parameter of the profile and its value a tag.

    `tag` is another name for the profile's first parameter.
    """

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, str]

    profile: str = Field(description="A file in config/profiles/states.", examples=["packml"])

    @property
    def tags(self) -> dict[str, str]:
        """Parameter to tag, as written."""
        return self.__pydantic_extra__


class Gap(Strict):
    """How long without a piece is a stop: more than `ideals` ideal times, and at least `at_least`."""

    ideals: float = Field(2.5, ge=1, description="In ideal times of the product.", examples=["2.5"])
    at_least: Duration = Field(description="Never less than this [s].", examples=["30s"])
    state: StateWord = Field(State.UNPLANNED_STOP, alias="is", description="What such a stop is.")


class FromCounts(Strict):
    """The state from counts alone: the machine runs while pieces are counted."""

    from_counts: Gap = Field(description="When a gap between pieces is a stop.")


# Names of branches are in angle brackets, so that no key of the file can be mistaken for one (config/yaml/translate.py).


def _line_kind(value: Any) -> str:
    return (
        "<profile>" if isinstance(value, ProfileUse) or (isinstance(value, dict) and "profile" in value) else "<rule>"
    )


def _state_kind(value: Any) -> str | None:
    if isinstance(value, (list, tuple)):
        return "<rules>"
    if isinstance(value, FromCounts) or (isinstance(value, dict) and "from_counts" in value):
        return "<from_counts>"
    if isinstance(value, ProfileUse) or (isinstance(value, dict) and "profile" in value):
        return "<profile>"
    return None


Line = Annotated[
    Annotated[RuleLine, Tag("<rule>")] | Annotated[ProfileUse, Tag("<profile>")],
    Discriminator(_line_kind),
]
StateSource = Annotated[
    Annotated[tuple[Line, ...], Tag("<rules>")]
    | Annotated[ProfileUse, Tag("<profile>")]
    | Annotated[FromCounts, Tag("<from_counts>")],
    Discriminator(_state_kind, custom_error_type="state_shape", custom_error_message="no way to tell a state"),
]


class CounterUse(Strict):
    """A tag that counts. bits and signed come from the tag's type where it has one."""

    tag: str = Field(description="The tag, or `operator`.", examples=["press-plc.strokes"])
    max_per_s: float | None = Field(None, gt=0, description="Highest plausible rate [counts/s].", examples=["5"])
    bits: int | None = Field(None, ge=1, le=64, description="Width at which it wraps.", examples=["16"])
    signed: bool | None = Field(None, description="Whether it wraps to negative values.")


def _counter(value: Any) -> Any:
    return {"tag": value} if isinstance(value, str) else value


CounterRef = Annotated[CounterUse, BeforeValidator(_counter)]


class PiecesSource(Strict):
    """Where pieces are counted. Two of total, good and reject give the third; left and right count pairs."""

    total: CounterRef | None = Field(None, description="All pieces.", examples=["press-plc.strokes"])
    good: CounterRef | None = Field(None, description="Pieces that were right first time.")
    reject: CounterRef | None = Field(None, description="Rejects: a tag, or operator.", examples=["operator"])
    rework: CounterRef | None = Field(None, description="Pieces to be reworked: a tag, or operator.")
    left: CounterRef | None = Field(None, description="Left ones; in place of total, with `right`: a piece is a pair.")
    right: CounterRef | None = Field(None, description="Right ones; a pair is made when both are.")
    per_count: int = Field(1, ge=1, description="Pieces in one count where the product does not say.")
    cavities: str = Field("", description="A tag that says how many pieces one count holds.")
    max_per_s: float | None = Field(None, gt=0, description="Highest plausible rate of all of them [counts/s].")

    def has_total(self) -> bool:
        """Whether the counters give the total."""
        return bool(self.total or self.good or (self.left and self.right))

    def counters(self) -> dict[str, CounterUse]:
        """The counters that are given, by key, `operator` among them."""
        counters = {"total": self.total, "good": self.good, "reject": self.reject, "rework": self.rework}
        counters |= {"left": self.left, "right": self.right}
        return {key: counter for key, counter in counters.items() if counter is not None}


class ReasonSource(Strict):
    """A tag whose value names the reason of a stop while the stop lasts."""

    tag: str = Field(description="The tag.", examples=["press-plc.alarm"])
    map: dict[str, str] = Field(description="Its value to a reason.", examples=["{12: die-jam}"])


MachineKind = Literal[
    "press", "bending", "laser", "turning", "milling", "grinding", "welding", "die_casting", "forging", "furnace",
    "plating", "painting", "injection", "extrusion", "blow_moulding", "vulcanising", "printing", "cutting", "sewing",
    "knitting", "weaving", "dyeing", "embroidery", "lasting", "smt", "assembly", "testing", "filling", "packing",
    "food_line", "woodworking", "other",
]  # fmt: skip
"""What a machine is compared with at other factories; closed, so that two of a kind bear one word."""


class MachineModel(Strict):
    """One machine: where its state, its pieces, its product and its reasons come from."""

    name: Name = Field({}, description="What people call it; default: its id.", examples=["{vi: Máy dập 1}"])
    kind: MachineKind | None = Field(None, description="What kind of machine it is.", examples=["press"])
    line: str = Field("", description="The line that it belongs to.", examples=["stamping"])
    state: StateSource = Field(
        description="Rules, a profile, or gaps between pieces.",
        examples=['[{when: "plc.running", is: running}, {is: unplanned_stop}]'],
    )
    no_count: Gap | None = Field(None, description="A gap between pieces that overrides running.")
    reason: ReasonSource | None = Field(None, description="A tag that names reasons.")
    pieces: PiecesSource = Field(
        default_factory=lambda: PiecesSource.model_validate({}), description="Where pieces are counted."
    )
    product: str = Field("", description='A tag, operator, or a product in quotes such as "1".')
    product_change: Literal["at_once", "next_stop"] = Field(
        "at_once", description="When a new product number takes effect."
    )
    calendar: str = Field("", description="One of `calendars`; default: the site's shifts.", examples=["office"])
    minor_stop_at_most: DurationOrZero = Field(300.0, description="The longest minor stop [s].", examples=["5min"])
    startup_pieces: int = Field(0, ge=0, description="Rejects among so many pieces after a set-up are start-up's.")
    shortest_run: DurationOrZero = Field(0.0, description="Shorter runs are flicker and vanish [s].")
    shortest_stop: DurationOrZero = Field(0.0, description="Shorter stops are flicker and vanish [s].")

    def lines(self) -> tuple[RuleLine | ProfileUse, ...]:
        """Its rules and profiles in order; none if the state comes from counts alone."""
        if isinstance(self.state, ProfileUse):
            return (self.state,)
        return () if isinstance(self.state, FromCounts) else self.state

    def gap(self) -> Gap | None:
        """The gap between pieces that is a stop, or None."""
        return self.state.from_counts if isinstance(self.state, FromCounts) else self.no_count


def is_operator(counter: CounterUse) -> bool:
    """Whether people enter this number."""
    return counter.tag == OPERATOR
