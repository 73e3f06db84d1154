"""How much is lost because work ends before breaks and the end of a shift. Pure."""

from typing import Final

from oee.advice.finding import AdviceRule, Finding
from oee.advice.measures.edges import edge_findings
from oee.advice.window import MachineWindow

EDGE_MIN: Final = 20


def find(window: MachineWindow) -> list[Finding]:
    """The last twenty minutes against twenty minutes of the same shift from its third hour on; ends with a planned stop
    (cleaning that was planned) are left out.
    """
    return edge_findings(window, "early_end", 2, EDGE_MIN, at_start=False)


RULE = AdviceRule("early_end", 2, 8, find)
