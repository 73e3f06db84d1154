"""Reads and changes actions for a viewer: what the API and the console have in common."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, Literal

from sqlalchemy import Connection, Engine

from center.api.advice import action_answers as answers
from center.api.advice.action_plans import (
    ActionRequest,
    BadPlan,
    ChangeRequest,
    PlanRequest,
    chosen_days,
    plan_of_request,
    proposed,
)
from center.api.parameters import V1
from center.database import actions as database
from center.database import findings
from center.database.actions import TooMuch
from center.model.kept_action import (
    MOST_FILE_BYTES,
    MOST_FILES,
    MOST_SITE_BYTES,
    ActionFile,
    KeptAction,
    file_name,
    media_type_of,
)
from center.model.kept_finding import KeptFinding
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries.question import UnknownSite, require_machines, sites_of, zone_of
from center.runtime.advice.measured_past import PlanPast, site_today
from center.runtime.state import CenterState
from oee.advice.gain import action as life
from oee.advice.gain.action import ActionRecord, NotNow, total
from oee.advice.gain.detectable import Detectable
from oee.advice.gain.plan import Days, GainPlan
from words import say

RecordAction = Callable[[Connection, str, str, str, KeptAction, str], None]
"""Enters a step into the audit trail in its own transaction: who, from which address, which step, the action, and a text."""
MOST_NOTE: Final = 2000
Note = Literal["standardise", "give_up", "comment"]


class RefusedStep(BadQuestion):
    """A step that cannot be made. code: key of `action_refused.<code>`."""

    def __init__(self, code: str) -> None:
        super().__init__(say(f"action_refused.{code}", "en"))
        self.code = code


class ActionsDesk:
    """Reads and changes actions for a viewer. The console finds it in the application's state.

    All methods raise `UnknownSite` also for what the viewer may not see, `BadQuestion` for what cannot be done
    (`BadPlan`, `RefusedStep`), and `StoreUnavailable`.
    """

    def __init__(self, center: CenterState, engine: Engine, record: RecordAction) -> None:
        self.center, self.engine, self.record = center, engine, record

    def listed(self, viewer: Viewer, site: str = "", state: str = "") -> answers.ActionsAnswer:
        """Actions of the viewer's sites, the newest first; the total is of all of them whatever `state` says."""
        kept = database.kept_actions(self.engine, sites_of(self.center, viewer, site))
        chosen = [item for item in kept if state in ("", item.record.state(site_today(self.center, item.site)))]
        return answers.actions(self.center, viewer, chosen, total([item.record for item in kept]))

    def one(self, viewer: Viewer, number: str) -> answers.ActionDetailAnswer:
        """One with its history and files."""
        item = self.kept(viewer, number)
        notes, files = database.notes_of(self.engine, item.id), database.files_of(self.engine, item.id)
        return answers.detail(self.center, viewer, item, notes, files)

    def kept(self, viewer: Viewer, number: str) -> KeptAction:
        """As it is kept."""
        item = database.kept_action(self.engine, number)
        if item is None or not viewer.sees(item.site):
            raise UnknownSite(f"there is no action {number[:64]!r}; GET {V1}/actions lists them")
        return item

    def proposal(self, viewer: Viewer, site: str, machine: str, finding: str) -> PlanRequest:
        """A plan for this finding, or for this machine without one."""
        found = self.finding(viewer, finding) if finding else None
        site, machine = (found.site, found.record.finding.machine) if found else (site, machine)
        zone_of(self.center, viewer, site)
        require_machines(self.center, site, (machine,))
        plan = proposed(self.center, site, machine, found)
        acted = _acted(self, site, Days(plan.before_from, plan.after_to))
        return plan.model_copy(update={"controls": [name for name in plan.controls if name not in acted]})

    def finding(self, viewer: Viewer, number: str) -> KeptFinding:
        """The finding that an action is against."""
        found = findings.kept_finding(self.engine, number)
        if found is None or not viewer.sees(found.site):
            raise UnknownSite(f"there is no finding {number[:64]!r}")
        return found

    def draft(self, viewer: Viewer, address: str, asked: ActionRequest) -> answers.ActionDetailAnswer:
        """A new draft, with what its plan could show."""
        zone_of(self.center, viewer, asked.site)
        found = self.finding(viewer, asked.finding) if asked.finding else None
        if found is not None and found.site != asked.site:
            raise UnknownSite(f"the finding {asked.finding!r} is not of site {asked.site!r}")
        plan = _checked(self, asked.site, asked.plan, chosen_days(self.center, found) if found else None)
        record = ActionRecord(asked.terms(), plan, finding=asked.finding, told=_told(self, plan))
        audit = _audit(self, viewer, address)
        try:
            item = database.new_action(self.engine, asked.site, record, viewer.name, self.center.now_ns(), audit)
        except ValueError as error:
            raise RefusedStep("not_open") from error
        if item is None:
            raise RefusedStep("not_open")
        return self.one(viewer, item.id)

    def edit(self, viewer: Viewer, address: str, number: str, asked: ChangeRequest) -> answers.ActionDetailAnswer:
        """Other words; of a draft another plan too."""
        item = self.kept(viewer, number)
        plan = _checked(self, item.site, asked.plan, item.record.plan.chosen, item.id)
        told = _told(self, plan) if item.record.stage == "draft" else item.record.told

        def step(record: ActionRecord) -> ActionRecord:
            edited = life.edited(record, asked.terms(), plan)
            return replace(edited, told=told)

        return _step(self, viewer, address, item, step, "edited", "")

    def register(self, viewer: Viewer, address: str, number: str) -> answers.ActionDetailAnswer:
        """Freezes the plan."""
        item = self.kept(viewer, number)
        told, now_ns = _told(self, item.record.plan), self.center.now_ns()
        step = partial(life.registered, told=told, by=viewer.name, now_ns=now_ns)
        return _step(self, viewer, address, item, step, "registered", "")

    def revise(self, viewer: Viewer, address: str, number: str, asked: PlanRequest) -> answers.ActionDetailAnswer:
        """Changes a frozen plan, which makes the action exploratory for ever."""
        item = self.kept(viewer, number)
        plan = _checked(self, item.site, asked, item.record.plan.chosen, item.id)
        step = partial(life.revised, plan=plan, told=_told(self, plan), by=viewer.name, now_ns=self.center.now_ns())
        return _step(self, viewer, address, item, step, "revised", "")

    def note(self, viewer: Viewer, address: str, number: str, kind: Note, text: str) -> answers.ActionDetailAnswer:
        """Standardises it, gives it up, or adds a comment."""
        item = self.kept(viewer, number)
        written = text.strip()[:MOST_NOTE]
        if not written:
            raise RefusedStep("no_note")
        if kind == "comment":
            now_ns, audit = self.center.now_ns(), _audit(self, viewer, address)
            try:
                database.comment(self.engine, item, written, viewer.name, now_ns, audit)
            except TooMuch as error:
                raise RefusedStep(error.code) from error
            return self.one(viewer, number)
        step = life.standardised if kind == "standardise" else life.given_up
        done = "standardised" if kind == "standardise" else "given_up"
        return _step(self, viewer, address, item, partial(step, note=written), done, written)

    def file(self, viewer: Viewer, address: str, number: str, name: str, content: bytes) -> ActionFile:
        """Files a picture or a PDF."""
        item, media_type = self.kept(viewer, number), media_type_of(content)
        if not 0 < len(content) <= MOST_FILE_BYTES:
            raise RefusedStep("file_size")
        if media_type is None:
            raise RefusedStep("file_type")
        file = database.new_file(file_name(name), media_type, content, viewer.name, self.center.now_ns())
        audit, bounds = _audit(self, viewer, address), {"most": MOST_FILES, "most_site_bytes": MOST_SITE_BYTES}
        try:
            database.add_file(self.engine, item, file, content, audit, **bounds)
        except TooMuch as error:
            raise RefusedStep(error.code) from error
        return file


def _told(desk: ActionsDesk, plan: GainPlan) -> Detectable | None:
    """What a plan could show, by the last weeks of its machines."""
    return PlanPast(desk.center, desk.engine, plan).told()


def _acted(desk: ActionsDesk, site: str, days: Days, but: str = "") -> set[str]:
    """Machines of a site with an action, other than `but`, whose work falls on these days: they are no controls."""
    out: set[str] = set()
    for item in database.kept_actions(desk.engine, [site]):
        work = item.record.plan.work
        if item.id != but and item.record.registered and work.first <= days.last and work.last >= days.first:
            out |= set(item.record.plan.machines)
    return out


def _checked(desk: ActionsDesk, site: str, asked: PlanRequest, chosen: Days | None, number: str = "") -> GainPlan:
    plan = plan_of_request(desk.center, site, asked, chosen)
    if set(plan.controls) & _acted(desk, site, Days(plan.before.first, plan.after.last), number):
        raise BadPlan(["acted"])
    return plan


def _step(
    desk: ActionsDesk,
    viewer: Viewer,
    address: str,
    item: KeptAction,
    step: Callable[[ActionRecord], ActionRecord],
    kind: str,
    text: str,
) -> answers.ActionDetailAnswer:
    now_ns, audit = desk.center.now_ns(), _audit(desk, viewer, address)
    try:
        done = database.change_action(desk.engine, item.id, step, kind, text, viewer.name, now_ns, audit)
    except NotNow as error:
        raise RefusedStep(error.code) from error
    if done is None:
        raise UnknownSite(f"there is no action {item.id!r} any more")
    return desk.one(viewer, item.id)


def _audit(desk: ActionsDesk, viewer: Viewer, address: str) -> database.Audit:
    return lambda connection, kind, item, text: desk.record(connection, viewer.name, address, kind, item, text)
