"""Types shared by the models of configuration files: names, states, ids, broker settings."""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, ip_address
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from config.yaml.complaints import InvalidValue, nearest
from oee.model.states import STATE_BY_WORD, State

LANGUAGES: Final = ("vi", "en")
_WORD: Final = re.compile(r"[^\W\d][\w-]*")  # as names in expressions
_IPV4_LIKE: Final = re.compile(r"[0-9.]+")
_MACHINE: Final = re.compile(r"\w[\w-]*")
_SITE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Strict(BaseModel):
    """A block of a configuration file: unknown keys are refused, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _name(value: Any) -> Any:
    """One text for both languages, or one for each; a missing one is filled from the other."""
    if isinstance(value, str):
        return dict.fromkeys(LANGUAGES, value)
    if isinstance(value, Mapping) and value:
        unknown = [key for key in value if key not in LANGUAGES]
        if unknown:
            raise InvalidValue("unknown_language", "a name is one text, or {vi: ..., en: ...}")
        some = next(iter(value.values()))
        return {language: value.get(language, some) for language in LANGUAGES}
    raise InvalidValue("unknown_language", "a name is one text, or {vi: ..., en: ...}")


def _state(value: Any) -> State:
    if isinstance(value, State):
        return value
    if value == State.MINOR_STOP.word:
        raise InvalidValue("is_minor_stop", "a stop becomes minor by its length, never by a rule")
    if not isinstance(value, str) or value not in STATE_BY_WORD:
        known = [word for word in STATE_BY_WORD if word != State.MINOR_STOP.word]
        raise InvalidValue(
            "unknown_state",
            "no such state",
            known=", ".join(known),
            near=nearest(str(value), known),
        )
    return STATE_BY_WORD[value]


def _matching(pattern: re.Pattern[str], code: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise InvalidValue(code, "not allowed as a name here")
        return text

    return AfterValidator(check)


def check_host(text: str) -> str:
    """The host, unless it is written as an IPv4 address that cannot be one: 127.0.0.300, 192.168.1. Names are looked up
    when connecting. Raises `InvalidValue`.
    """
    if _IPV4_LIKE.fullmatch(text):
        try:
            IPv4Address(text)
        except ValueError:
            raise InvalidValue("bad_host", "no IPv4 address: four numbers from 0 to 255", host=text) from None
    return text


Host = Annotated[str, AfterValidator(check_host)]
"""A host's address or name."""


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches that host."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _broker(text: str) -> str:
    try:
        address = urlsplit(text)
        sound = address.scheme in ("mqtt", "mqtts") and bool(address.hostname) and address.port != 0
    except ValueError:
        sound = False
    if not sound or address.username or address.path.strip("/") or address.query:
        raise InvalidValue("bad_broker", "not a broker; write for example mqtts://mqtt.example.vn:8883")
    check_host(address.hostname or "")
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise InvalidValue("bad_listen", "not an address to listen on; write for example 127.0.0.1:8080")
    check_host(host)
    return text


Name = Annotated[
    dict[str, str],
    BeforeValidator(_name),
    WithJsonSchema({"type": "object", "properties": {"vi": {"type": "string"}, "en": {"type": "string"}}}),
]
"""A display name: language to text, both present."""

StateWord = Annotated[State, BeforeValidator(_state), WithJsonSchema({"type": "string"})]
"""A state that may be written after `is:`, any but minor_stop."""

SiteId = Annotated[str, _matching(_SITE, "bad_site_id")]
"""Part of topics and accounts: lower-case letters, digits and single hyphens."""

Word = Annotated[str, _matching(_WORD, "bad_word")]
"""The name of a device or a tag, as used in expressions."""

MachineId = Annotated[str, _matching(_MACHINE, "bad_machine_id")]
"""The id of a machine, reason, line or calendar."""

BrokerUrl = Annotated[str, AfterValidator(_broker)]
Listen = Annotated[str, AfterValidator(_listen)]


class BrokerLink(Strict):
    """Settings of the MQTT connection. The files are read when connecting, not here."""

    broker: BrokerUrl = Field(
        description="mqtt:// or mqtts:// (encrypted), host and port.",
        examples=["mqtts://mqtt.example.vn:8883"],
    )
    username: str = Field("", description="Account at the broker.", examples=["van-long.main"])
    password_file: str = Field("", description="File that holds the password.", examples=["/etc/nhip/password"])
    ca_file: str = Field(
        "", description="Certificates to trust (PEM); default: the system's.", examples=["/etc/nhip/ca.pem"]
    )

    certificate_file: str = Field(
        "", description="Client certificate (PEM), if the broker requires one.", examples=["/etc/nhip/client.pem"]
    )
    private_key_file: str = Field("", description="Its private key (PEM).", examples=["/etc/nhip/client.key"])

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.certificate_file) != bool(self.private_key_file):
            raise InvalidValue("broker_key", "certificate_file and private_key_file belong together")
        if self.certificate_file and self.broker and not self.tls:
            raise InvalidValue("broker_not_encrypted", "a certificate is for mqtts:// only")
        return self

    @property
    def host(self) -> str:
        """The broker's host."""
        return urlsplit(self.broker).hostname or ""

    @property
    def port(self) -> int:
        """The broker's port; 1883, or 8883 where encrypted, unless written."""
        return urlsplit(self.broker).port or (8883 if self.tls else 1883)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.broker).scheme == "mqtts"
