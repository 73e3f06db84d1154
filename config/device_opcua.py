"""OPC UA servers and their tags, as written in the site file."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from config.device_common import DeviceBase, TagBase
from config.durations import Duration

NodeIdText = Annotated[str, StringConstraints(pattern=r"^(nsu=[^;]+;|ns=\d+;)?(i=\d+|[sgb]=.+)$")]
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss", "Basic256", "Basic128Rsa15")
MODES = ("Sign", "SignAndEncrypt")


class OpcUaTag(TagBase):
    """One variable. In a subscription `every` is the sampling interval."""

    node: NodeIdText = Field(
        description="Node id; nsu= names the namespace by URI, which survives a server's restart, ns= by number.",
        examples=["nsu=http://example.org/m;s=Status"],
    )
    deadband: float | None = Field(None, gt=0, description="Smaller changes are not reported (absolute).")


class OpcUaDevice(DeviceBase):
    """An OPC UA server. `every` is the publishing interval, or the polling period."""

    kind: Literal["opcua"] = Field(description="The protocol.")
    url: str = Field(pattern=r"^opc\.tcp://[^/\s]+", description="Endpoint.", examples=["opc.tcp://192.0.2.20:4840"])
    mode: Literal["subscribe", "poll"] = Field("subscribe", description="Told of changes, or asked each period.")
    timeout: Duration = Field(4.0, description="How long one answer may take.")
    security: str = Field("None", description="None, or policy and mode.", examples=["Basic256Sha256/SignAndEncrypt"])
    user: str | None = Field(None, description="User name; none is anonymous.")
    password_file: str | None = Field(None, description="File that holds the user's password.")
    certificate_file: str | None = Field(None, description="Our certificate (DER); made on first use if absent.")
    private_key_file: str | None = Field(None, description="Its key (PEM); made on first use if absent.")
    server_certificate_file: str | None = Field(
        None, description="The one server certificate to accept (DER); the first one seen is kept there if absent."
    )
    application_uri: str = Field("urn:nhip:agent", description="Our name; the certificate must carry it.")
    heartbeat: NodeIdText | None = Field(
        "i=2258", description="A node that changes by itself, watched to see that the subscription lives."
    )
    max_nodes_per_request: int = Field(500, ge=1, description="Nodes in one request.")
    tags: dict[str, OpcUaTag] = Field(min_length=1, description="What is read, by name.")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file belong together")
        if self.security == "None":
            return self
        policy, _, mode = self.security.partition("/")
        if policy not in POLICIES or mode not in MODES:
            raise ValueError(
                f"security {self.security!r} is unknown; write None or one of {', '.join(POLICIES)}, "
                f"a slash, and {' or '.join(MODES)}"
            )
        if not self.certificate_file or not self.private_key_file:
            raise ValueError(f"security {self.security} needs certificate_file and private_key_file")
        return self
