"""What is wrong with a device or a tag, as codes of the message catalogue. Pure.

`fault.<code>` says what was seen, `fault.<code>.causes` what usually causes it, the likeliest first, and
`fault.<code>.look` what to look at in the cabinet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["fail", "warn"]


@dataclass(frozen=True)
class Fault:
    """One thing wrong. values: for the placeholders of its sentences; detail: what the peer or the adapter said."""

    code: str
    severity: Severity = "fail"
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"code": self.code, "severity": self.severity, "values": dict(self.values), "detail": self.detail}
