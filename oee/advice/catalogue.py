"""The rules there are, and what all of them say about a machine. Pure."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from oee.advice import rules as folder
from oee.advice.finding import AdviceRule, Finding
from oee.advice.grid import Bool, Float64
from oee.advice.statistics.ranks import benjamini_hochberg
from oee.advice.trust import Trust
from oee.advice.window import MachineWindow
from oee.model.states import State


@cache
def rules() -> Mapping[str, AdviceRule]:
    """Every rule of the folder by key, in the order of their names.

    Raises `ValueError` for a file whose rule does not bear the file's name.
    """
    found = {}
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda item: item.name):
        rule: AdviceRule = importlib.import_module(f"{folder.__name__}.{module.name}").RULE
        if rule.key != module.name:
            raise ValueError(
                f"oee/advice/rules/{module.name}.py contains the rule {rule.key!r}; both must be named alike"
            )
        found[rule.key] = rule
    return found


def contrasts(window: MachineWindow, trust: Trust, weeks: int) -> list[Finding]:
    """What the rules that look at so many weeks and that the gate admits have looked at, whether or not it passes."""
    wanted = [rule for rule in rules().values() if rule.weeks == weeks and trust.admits(rule)]
    return [finding for rule in wanted for finding in rule.find(window)]


def significant(tests: Sequence[tuple[str, float | None, bool]], q: float = 0.05) -> list[bool]:
    """Which contrasts pass their rule's thresholds and, if they have a p, the correction for many tests.

    tests: rule, p (None where a rule has thresholds only) and whether thresholds are passed, of *all* machines of one nightly
    run, since every test that was made counts. Half of the error that is allowed for is for rules about rare events: they
    make a tenth of the tests, and what happens ten times in half a year cannot have a p as small as what happens daily.
    (Weighted Benjamini-Hochberg: Genovese, Roeder and Wasserman, Biometrika 93, 2006.)
    """
    tested = [(p, _is_rare(rule)) for rule, p, _ in tests if p is not None]
    p = np.array([p for p, _ in tested], np.float64)
    kept = iter(benjamini_hochberg(p / _weights(np.array([rare for _, rare in tested], np.bool_)), q).tolist())
    return [passes if p is None else bool(next(kept)) and passes for _, p, passes in tests]


def _is_rare(rule: str) -> bool:
    return rule in rules() and rules()[rule].rare


def _weights(rare: Bool) -> Float64:
    """Weights of tests, 1 on the average: those of rare events together weigh as much as all others together."""
    count, few = len(rare), int(rare.sum())
    if few in (0, count):
        return np.ones(count)
    return np.where(rare, count / (2 * few), count / (2 * (count - few)))


def watched(findings: Sequence[Finding], q: float = 0.05) -> list[Finding]:
    """The findings among these that `significant` keeps."""
    kept = significant([(finding.rule, finding.p, finding.passes) for finding in findings], q)
    return [finding for finding, keep in zip(findings, kept, strict=True) if keep]


def lost_minutes(window: MachineWindow) -> dict[str, float]:
    """Minutes lost a week by loss: each state that is one, `rejects` and `slow_cycles`; 0 without a day that counts."""
    weeks = window.weeks
    if weeks == 0:
        return {}
    lost = {
        state.word: float(window.column(f"{state.word}_ms").sum()) / 60_000 / weeks
        for state in State
        if state not in (State.RUNNING, State.PLANNED_STOP, State.UNKNOWN)
    }
    slow_us = 1000 * window.column("running_ideal_known_ms").sum() - window.column("ideal_total_us").sum()
    rejected_us = window.column("ideal_judged_us").sum() - window.column("ideal_good_us").sum()
    lost["rejects"] = max(0.0, float(rejected_us) / 6e7 / weeks)
    lost["slow_cycles"] = max(0.0, float(slow_us) / 6e7 / weeks)
    return lost
