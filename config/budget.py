"""What one gateway may cost a center."""

from pydantic import Field

from config.yaml.common import Strict


class BudgetModel(Strict):
    """What a center takes of one gateway. Beyond it the gateway waits: it keeps its envelopes and sends them again."""

    messages_per_minute: int = Field(
        default=3000,
        ge=10,
        le=1_000_000,
        description="Messages; those of five minutes at once after a pause.",
        examples=["3000"],
    )
    mb_per_minute: int = Field(default=32, ge=1, le=10_000, description="As they arrive [MB].", examples=["32"])
    unpacked_mb_per_minute: int = Field(
        default=128, ge=8, le=100_000, description="Once they are unpacked [MB].", examples=["128"]
    )
    site_bodies_per_day: int = Field(
        default=200, ge=10, le=100_000, description="Descriptions of the site.", examples=["200"]
    )
    quarantine_mb: int = Field(
        default=512,
        ge=1,
        le=1_000_000,
        description="In quarantine; the oldest are deleted and counted.",
        examples=["512"],
    )
    series_per_day: int = Field(
        default=20_000,
        ge=100,
        le=100_000_000,
        description="New combinations of names (machine, shift, product, reason, tag) on InfluxDB; those of five days at once.",
        examples=["20000"],
    )
    notices_per_day: int = Field(
        default=10_000, ge=100, le=10_000_000, description="Calls, notes and counts of the tablets.", examples=["10000"]
    )
