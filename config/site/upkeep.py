"""Maintenance that is planned by the calendar, as a site file says it."""

from datetime import date
from typing import Literal

from pydantic import Field

from config.yaml.common import Name, Strict
from oee.kpi.maintenance import MOST_DAYS, Tolerance


class UpkeepTask(Strict):
    """A task that is due every so many days."""

    machine: str = Field(description="At which machine.", examples=["press-1"])
    name: Name = Field({}, description="What is to be done.", examples=["{vi: Thay dầu thủy lực, en: Change the oil}"])
    kind: Literal["preventive", "predictive", "overhaul"] = Field(
        "preventive", description="What kind of maintenance it is."
    )
    every_days: int = Field(ge=1, le=MOST_DAYS, description="Days from one due date to the next.", examples=["30"])
    first: date = Field(description="The first due date.", examples=["2026-02-02"])
    tolerance: Tolerance = Field(
        "fifth",
        description="In time until its due date (due), a day more (day), or a fifth of the interval more (fifth).",
    )
