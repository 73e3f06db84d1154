"""How much is lost before the machine is at pace, after the start of a shift and after breaks. Pure."""

from typing import Final

from oee.advice.finding import AdviceRule, Finding
from oee.advice.measures.edges import edge_findings
from oee.advice.window import MachineWindow

EDGE_MIN: Final = 30


def find(window: MachineWindow) -> list[Finding]:
    """The first half hour against half hours of the same shift from its third hour on."""
    return edge_findings(window, "slow_start", 2, EDGE_MIN, at_start=True)


RULE = AdviceRule("slow_start", 2, 8, find)
