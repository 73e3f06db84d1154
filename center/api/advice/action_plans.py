"""Plans of actions as requests say them, and the plan that is proposed for a finding."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from center.model.kept_finding import KeptFinding
from center.model.times import BadQuestion
from center.queries.question import formula_of, require_machines
from center.runtime.advice.measured_past import site_today
from center.runtime.state import CenterState
from oee.advice.catalogue import rules
from oee.advice.gain.action import ActionTerms
from oee.advice.gain.metrics import METRICS, attacked
from oee.advice.gain.plan import MOST_CONTROLS, MOST_MACHINES, SETTLE_DAYS, Days, GainPlan, complaints

WINDOW_DAYS: Final = 28
"""Of the windows that are proposed: four weeks."""
_WORK_DAYS: Final = 2
_Text = Annotated[str, Field(max_length=2000)]
_Line = Annotated[str, Field(min_length=1, max_length=200)]
_Id = Annotated[str, Field(max_length=64)]


class BadPlan(BadQuestion):
    """A plan that says nothing. codes: keys of `action_plan.bad.<code>`."""

    def __init__(self, codes: Sequence[str]) -> None:
        super().__init__(f"plan: {', '.join(codes)}; docs/actions.md says what a plan needs")
        self.codes = tuple(codes)


class PlanRequest(BaseModel):
    """What is to be measured. Dates are business dates of the site, both ends included."""

    model_config = ConfigDict(extra="forbid")

    machines: Annotated[list[_Id], Field(min_length=1, max_length=MOST_MACHINES)]
    metric: Annotated[str, Field(json_schema_extra={"enum": [*METRICS]})]
    part: Annotated[
        str,
        Field(
            max_length=200,
            description="What of the metric: a state or state/reason, an edge, a pair of products A→B; empty where it has no parts.",
        ),
    ] = ""
    before_from: date
    before_to: date
    work_from: date
    work_to: date
    after_from: date
    after_to: date
    settle_days: Annotated[int, Field(ge=0, le=60, description="Left out after the work.")] = SETTLE_DAYS
    controls: Annotated[list[_Id], Field(max_length=MOST_CONTROLS)] = []
    mix: Annotated[bool, Field(description="Weigh products alike in both windows.")] = True
    expected_min: Annotated[float, Field(ge=0, le=10_080, description="What it should bring [minutes a week].")] = 0.0


class TermsRequest(BaseModel):
    """What people write about an action."""

    model_config = ConfigDict(extra="forbid")

    what: Annotated[_Line, Field(description="The countermeasure in one line.")]
    owner: Annotated[_Line, Field(description="Who does it.")]
    method: _Text = ""
    cause: Annotated[_Text, Field(description="The cause that was found.")] = ""
    cost: Annotated[float | None, Field(ge=0, le=1e15)] = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "VND"

    def terms(self) -> ActionTerms:
        """As they are kept: texts without blanks around them."""
        texts = {name: getattr(self, name).strip() for name in ("what", "owner", "method", "cause")}
        if not texts["what"] or not texts["owner"]:
            raise BadQuestion("what, owner: neither may be empty")
        return ActionTerms(**texts, cost=self.cost, currency=self.currency)


class ActionRequest(TermsRequest):
    """An action to be drafted."""

    site: Annotated[_Id, Field(examples=["van-long"])]
    finding: Annotated[_Id, Field(description="Id of the finding that it is against; empty without one.")] = ""
    plan: PlanRequest


class ChangeRequest(TermsRequest):
    """Other words of an action, and of a draft another plan."""

    plan: PlanRequest

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """From these values. Raises `ValidationError`."""
        return cls.model_validate(fields)


def plan_of_request(center: CenterState, site: str, asked: PlanRequest, chosen: Days | None) -> GainPlan:
    """The plan, checked against the site. Raises `BadPlan` or `UnknownSite`."""
    require_machines(center, site, (*asked.machines, *asked.controls))
    plan = GainPlan(
        site,
        tuple(asked.machines),
        asked.metric,
        asked.part.strip(),
        Days(asked.before_from, asked.before_to),
        Days(asked.work_from, asked.work_to),
        Days(asked.after_from, asked.after_to),
        asked.settle_days,
        tuple(asked.controls),
        asked.mix,
        asked.expected_min,
        chosen,
        formula_of(center, site),
    )
    wrong: list[str] = [*complaints(plan)]
    if any(linked(center, site, one, other) for one in plan.machines for other in plan.controls):
        wrong.append("linked")
    if wrong:
        raise BadPlan(wrong)
    return plan


def linked(center: CenterState, site: str, one: str, other: str) -> bool:
    """Whether material flows from one to the other: both stand in the same serial line."""
    bodies = [center.ledger_cache.sites.body_of(site, machine) for machine in (one, other)]
    named = [body.machines.get(name) if body else None for body, name in zip(bodies, (one, other), strict=True)]
    if one == other or bodies[0] is None or named[0] is None or named[1] is None or named[0].line != named[1].line:
        return False
    line = bodies[0].lines.get(named[0].line)
    return line is not None and line.flow == "serial"


def chosen_days(center: CenterState, item: KeptFinding) -> Days:
    """The dates by which a finding was chosen and confirmed: the weeks that its rule looks at, up to when it was opened."""
    rule = rules().get(item.record.finding.rule)
    current = center.ledger_cache.sites.current(item.site)
    zone = current.zone if current else center.zone
    opened = datetime.fromtimestamp(item.record.stage_ns / 1e9, UTC).astimezone(zone).date()
    weeks = rule.weeks if rule else 8
    return Days(opened - timedelta(weeks=weeks), opened - timedelta(1))


def proposed(center: CenterState, site: str, machine: str, item: KeptFinding | None) -> PlanRequest:
    """A plan that could be registered as it is: the attacked loss, a fresh baseline of four weeks, two days of work, three to
    settle, four weeks after, and as controls up to three machines of the same site that material does not link.
    """
    today = site_today(center, site)
    finding = item.record.finding if item else None
    metric, part = attacked(finding.rule, finding.key, finding.claims) if finding else ("oee", "")
    begin = today - timedelta(WINDOW_DAYS)
    if item is not None:
        begin = max(begin, chosen_days(center, item).last + timedelta(1))
    before_to = begin + timedelta(WINDOW_DAYS - 1)
    work = Days(before_to + timedelta(1), before_to + timedelta(_WORK_DAYS))
    after_from = work.last + timedelta(SETTLE_DAYS + 1)
    return PlanRequest(
        machines=[machine],
        metric=metric,
        part=part,
        before_from=begin,
        before_to=before_to,
        work_from=work.first,
        work_to=work.last,
        after_from=after_from,
        after_to=after_from + timedelta(WINDOW_DAYS - 1),
        controls=possible_controls(center, site, [machine])[:MOST_CONTROLS],
        expected_min=round(item.record.told.low_min, 1) if item else 0.0,
    )


def possible_controls(center: CenterState, site: str, machines: Sequence[str]) -> list[str]:
    """Machines of the site that could be controls, those of the same line first."""
    sites = center.ledger_cache.sites
    own_body = sites.body_of(site, machines[0]) if machines else None
    own = own_body.machines[machines[0]].line if own_body else ""
    free = [
        name
        for name in sites.machines(site)
        if name not in machines
        and sites.body_of(site, name)
        and not any(linked(center, site, name, one) for one in machines)
    ]

    def elsewhere(name: str) -> bool:
        body = sites.body_of(site, name)
        return body is None or body.machines[name].line != own

    return sorted(free, key=lambda name: (elsewhere(name), name))
