"""A gateway's connection to its center."""

from typing import Self

from pydantic import Field, model_validator

from config.yaml.common import BrokerLink, BrokerUrl
from config.yaml.complaints import InvalidValue
from config.yaml.durations import Duration


class GatewayLink(BrokerLink):
    """The connection to the center: by the bundle that the center made for this gateway, or setting by setting; how often
    to retry; and how much data may be used.
    """

    bundle: str = Field(
        "",
        description="The file that `nhip enroll` made for this gateway: broker, account, secret and certificates.",
        examples=["/etc/nhip/van-long.main.bundle"],
    )
    broker: BrokerUrl = Field(
        "",
        description="mqtt:// or mqtts:// (encrypted), host and port; not beside `bundle`.",
        examples=["mqtts://mqtt.example.vn:8883"],
    )
    retry_at_most: Duration = Field(
        60.0,
        description="While the broker is unreachable, it is tried at least this often; sooner after a short outage.",
    )
    data_mb: int | None = Field(
        None, ge=1, description="Data volume allowed in a month [MB]; no limit without it.", examples=[500]
    )
    data_from_day: int = Field(
        1, ge=1, le=28, description="Day of the month on which the data month begins.", examples=[15]
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.bundle) == bool(self.broker) or (self.bundle and (self.username or self.password_file)):
            raise InvalidValue("bundle_or_broker", "either `bundle` alone, or `broker` with what it needs")
        return self
