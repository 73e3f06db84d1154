"""States of companion specifications by their node ids, for servers that do not hold the nodes of their types. Pure.

A state machine's `CurrentState/Id` is the node id of a state. Its BrowseName is the state's name by the standard, in
every subtype and language; not every state has a number (those of Weihenstephan have none).
"""

from collections.abc import Mapping
from typing import Final

from asyncua import ua

WELL_KNOWN: Final[Mapping[str, Mapping[int, str]]] = {
    "http://opcfoundation.org/UA/PackML/": {
        61: "Aborting", 62: "Aborted", 71: "Cleared",
        53: "Stopped", 54: "Stopping", 55: "Clearing", 75: "Running",
        27: "Resetting", 28: "Idle", 29: "Starting", 30: "Suspending", 31: "Suspended", 32: "Unsuspending",
        33: "Holding", 34: "Held", 35: "Unholding", 36: "Execute", 37: "Completing", 38: "Complete",
    },
    "http://opcfoundation.org/UA/Machinery/": {
        5004: "OutOfService", 5005: "NotAvailable", 5006: "Executing", 5007: "NotExecuting",
        5024: "None", 5025: "Maintenance", 5026: "Processing", 5027: "Setup",
    },
    "http://opcfoundation.org/UA/MachineTool/": {
        5058: "Maintenance", 5059: "None", 5060: "Processing", 5061: "Setup",
    },
    "http://opcfoundation.org/UA/Weihenstephan/": {
        5012: "EquipmentFailure", 5014: "ExternalFailure", 5016: "Lack", 5018: "LackBranchLine", 5020: "Prepared",
        5022: "Tailback", 5024: "TailbackBranchLine", 5028: "Held", 5029: "Suspended",
    },
}  # fmt: skip
"""State's name by its number in the namespace of the NodeSet (PackML 1.01, Machinery 1.04.1, MachineTool 1.02,
Weihenstephan 1.00)."""


def well_known(state: ua.NodeId, uri: str) -> str | None:
    """The name of a state by its node id; None where no specification defines it. uri: of the id's namespace."""
    number = state.Identifier
    return WELL_KNOWN.get(uri, {}).get(number) if isinstance(number, int) else None
