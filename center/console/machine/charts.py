"""The Pareto of a machine's losses: stops by reason, and what is no stop. Pure but for addresses."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from center.console.draw.names import reason_name
from center.console.draw.pareto import ParetoBar
from center.console.machine.stop_filter import STATES, Address, pick
from words import say
from words.catalogue import catalogue

Row = Mapping[str, Any]
MOST_LOSSES: Final = 14


def pareto_bars(losses: Sequence[Row], reasons: Mapping[str, Row], lang: str, address: Address) -> list[ParetoBar]:
    """Lost time by state and reason, the longest first, each with the stops that it consists of. address: of the page with
    these words of a filter; losses that no stop accounts for lead nowhere.
    """
    shown, others = list(losses[:MOST_LOSSES]), losses[MOST_LOSSES:]
    bars = [_pareto_bar(row, reasons, lang, address) for row in shown]
    if others:
        name = say("console.other_losses", lang, count=len(others))
        bars.append(ParetoBar(name, sum(row["us"] for row in others), "planned_stop"))
    return bars


def _pareto_bar(row: Row, reasons: Mapping[str, Row], lang: str, address: Address) -> ParetoBar:
    name, state = loss_name(row, reasons, lang), str(row["state"])
    if state not in STATES:
        return ParetoBar(name, row["us"], state, tip=say("console.no_stop_of", lang))
    words = {"stops": "longest", "states": state, "reason": row["reason"]}
    return ParetoBar(name, row["us"], state, address(words), pick(**words))


def loss_name(row: Row, reasons: Mapping[str, Row], lang: str) -> str:
    """A loss's reason, or its state where none was given; lost time that is no stop has its step of the waterfall."""
    if row["reason"]:
        return reason_name(row["reason"], reasons, lang)
    state = f"state.{row['state']}"
    return say(state if state in catalogue() else f"waterfall.{row['state']}", lang)
