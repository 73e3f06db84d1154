"""What is wrong with a device or a tag, as codes of the message catalogue. Pure.

`fault.<code>` describes the symptom, `fault.<code>.causes` its usual causes, the likeliest first, and
`fault.<code>.look` what to check in the cabinet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["fail", "warn"]


@dataclass(frozen=True)
class Fault:
    """One fault. values: for the placeholders of its texts; detail: the error text of the peer or the adapter."""

    code: str
    severity: Severity = "fail"
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """The fault as JSON."""
        return {"code": self.code, "severity": self.severity, "values": dict(self.values), "detail": self.detail}
