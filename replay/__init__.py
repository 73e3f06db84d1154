"""Replay: recorded samples through the engine that runs live, with a report.

`read` turns files into changes, `drive` feeds them to `oee.engine.step.step` in blocks, `totals` adds up what comes out,
and only then `rows` divides. Errors in the input become `Conflict`s: reported with file and line, never hidden
in a sum.
"""

from replay.drive import Period, ReplayResult, replay
from replay.read.conflicts import Conflict, Conflicts
from replay.report.json_object import as_json
from replay.rows import GROUPS, rows

__all__ = ["GROUPS", "Conflict", "Conflicts", "Period", "ReplayResult", "as_json", "replay", "rows"]
