"""OPC UA servers and their tags, as written in the site file."""

import re
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from config.devices.device import DeviceModel, TagModel
from config.yaml.common import check_host
from config.yaml.complaints import InvalidValue
from config.yaml.times import Duration

_NODE = re.compile(r"(nsu=[^;]+;|ns=\d+;)?(i=\d+|[sgb]=.+)")
_URL = re.compile(r"opc\.tcp://[^/\s]+.*")
POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss", "Basic256", "Basic128Rsa15")
MODES = ("Sign", "SignAndEncrypt")


def _node(text: str) -> str:
    if not _NODE.fullmatch(text):
        raise InvalidValue("opcua_node", f"{text!r} is no node id; write for example nsu=http://example.org/m;s=Status")
    return text


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise InvalidValue("opcua_url", f"{text!r} is no endpoint; write for example opc.tcp://192.0.2.20:4840")
    check_host(urlsplit(text).hostname or "")
    return text


NodeIdText = Annotated[str, AfterValidator(_node)]


class OpcUaTag(TagModel):
    """One variable. In a subscription `every` is the sampling interval."""

    node: NodeIdText = Field(
        description="Node id; nsu= names the namespace by URI, which survives a server's restart, ns= by number.",
        examples=["nsu=http://example.org/m;s=Status"],
    )
    index: NonNegativeInt | Annotated[list[NonNegativeInt], Field(min_length=1)] | None = Field(
        None,
        description="The element wanted of an array, from 0; of a matrix, a list of one number for each dimension.",
    )
    field: str | None = Field(
        None,
        min_length=1,
        description="The field wanted of a structure; a dot leads into a structure within it.",
        examples=["AccCount"],
    )
    state_name: bool = Field(
        False,
        description="The node is a `CurrentState/Id`: the tag holds the name of the state with that id, in the standard's words.",
    )
    deadband: float | None = Field(None, gt=0, description="Smaller changes are not reported (absolute).")
    queue: int = Field(10, ge=1, le=10_000, description="Values between two publications that the server keeps.")

    @property
    def position(self) -> tuple[int, ...]:
        """`index` by dimension; () for the whole value."""
        if self.index is None:
            return ()
        return (self.index,) if isinstance(self.index, int) else tuple(self.index)

    @property
    def path(self) -> tuple[str, ...]:
        """`field` from the outer structure to the inner one; () where no field is wanted."""
        return tuple(self.field.split(".")) if self.field else ()


class OpcUaDevice(DeviceModel):
    """An OPC UA server. `every` is the publishing interval, or the polling period."""

    kind: Literal["opcua"] = Field(description="The protocol.")
    url: Annotated[str, AfterValidator(_url)] = Field(description="Endpoint.", examples=["opc.tcp://192.0.2.20:4840"])
    mode: Literal["subscribe", "poll"] = Field("subscribe", description="Told of changes, or asked each period.")
    timeout: Duration = Field(4.0, description="How long one answer may take.")
    security: str = Field("None", description="None, or policy and mode.", examples=["Basic256Sha256/SignAndEncrypt"])
    user: str | None = Field(None, description="User name; none is anonymous.")
    password_file: str | None = Field(None, description="File that holds the user's password.")
    certificate_file: str | None = Field(
        None, description="Our certificate (DER); made on first use, beside the outbox unless said."
    )
    private_key_file: str | None = Field(None, description="Its key (PEM); made on first use.")
    server_certificate_file: str | None = Field(
        None,
        description="The one server certificate to accept (DER); the first one seen is kept, there or beside the outbox.",
    )
    application_uri: str = Field("urn:nhip:agent", description="Our name; the certificate must carry it.")
    heartbeat: NodeIdText | None = Field(
        "i=2258", description="A node that changes by itself, watched to see that the subscription lives."
    )
    max_nodes_per_request: int = Field(500, ge=1, description="Nodes in one request; a server may ask for fewer.")
    tags: dict[str, OpcUaTag] = Field(min_length=1, description="What is read, by name.")

    file_settings: ClassVar[tuple[str, ...]] = (
        "password_file", "certificate_file", "private_key_file", "server_certificate_file",
    )  # fmt: skip

    @property
    def place(self) -> str:
        """`opc.tcp://192.0.2.20:4840, Basic256Sha256/SignAndEncrypt`."""
        return f"{self.url}, {self.security}"

    def address(self, tag: str) -> str:
        """The node id, with what is selected of its value: `nsu=urn:m;s=Counts[0].AccCount`."""
        item = self.tags[tag]
        return (
            item.node + "".join(f"[{number}]" for number in item.position) + "".join(f".{part}" for part in item.path)
        )

    @property
    def is_polled(self) -> bool:
        """Not in a subscription."""
        return self.mode == "poll"

    @property
    def gives_times(self) -> bool:
        """A source timestamp beside each value."""
        return True

    def period_s(self, tag: str) -> float:
        """Subscribed tags are confirmed together, with each publication."""
        return super().period_s(tag) if self.is_polled else self.every

    def with_files(self, name: str, folder: PurePath) -> Self:
        """A place for every certificate whose file the site file does not say.

        Devices that call us by the same name share our certificate; each has its own server's.
        """
        if self.security == "None":
            return self
        ours = re.sub(r"[^\w.-]+", "-", self.application_uri)
        places = {
            "certificate_file": folder / f"{ours}.der",
            "private_key_file": folder / f"{ours}.pem",
            "server_certificate_file": folder / f"{name}.server.der",
        }
        return self.model_copy(update={key: str(path) for key, path in places.items() if getattr(self, key) is None})

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise InvalidValue("opcua_user", "user and password_file belong together")
        if self.security == "None":
            return self
        policy, _, mode = self.security.partition("/")
        if policy not in POLICIES or mode not in MODES:
            known, modes = ", ".join(POLICIES), " or ".join(MODES)
            text = f"security {self.security!r} is unknown; write None or one of {known}, a slash, and {modes}"
            raise InvalidValue("opcua_security", text, security=self.security, known=known, modes=", ".join(MODES))
        if (self.certificate_file is None) != (self.private_key_file is None):
            text = "certificate_file and private_key_file belong together; leave out both to have them made"
            raise InvalidValue("opcua_key", text)
        return self
