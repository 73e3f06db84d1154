"""How the center sends mail, and which shift reports it sends to whom."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.yaml.common import Listen, MachineId, SiteId, Strict, is_loopback
from config.yaml.complaints import InvalidValue
from config.yaml.times import Duration, DurationOrZero

_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"]{1,64}@[^@\s<>,;:\"]{1,190}")


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise InvalidValue("bad_mail_address", "not an address; write for example lan@example.vn")
    return text


MailAddress = Annotated[str, AfterValidator(_address)]


class MailModel(Strict):
    """The server that takes the center's mail (SMTP)."""

    server: Listen = Field(description="Host and port of the server.", examples=["smtp.example.vn:587"])
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls: encrypted after the greeting (port 587); tls: from the beginning (465); none: in clear text.",
    )
    sender: MailAddress = Field(description="Address that mails come from.", examples=["nhip@example.vn"])
    username: str = Field("", description="Account at the server; none without it.", examples=["nhip@example.vn"])
    password_file: str = Field("", description="File that holds its password.", examples=["/etc/nhip/mail-password"])
    ca_file: str = Field(
        "", description="Certificates to trust (PEM); default: the system's.", examples=["/etc/nhip/ca.pem"]
    )
    console: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Address of the console as recipients reach it, for links in mails.",
        examples=["https://nhip.example.vn"],
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if bool(self.username) != bool(self.password_file):
            raise InvalidValue("mail_login", "username and password_file belong together")
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise InvalidValue("mail_in_clear", "the password would travel in clear text")
        return self

    @property
    def host(self) -> str:
        """The server's host."""
        return self.server.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The server's port."""
        return int(self.server.rpartition(":")[2])


class ReportMailModel(Strict):
    """A shift report that is sent by mail."""

    site: SiteId = Field(description="The site that it is about.", examples=["van-long"])
    line: MachineId | Literal[""] = Field("", description="Only this line of it.", examples=["stamping"])
    to: tuple[MailAddress, ...] = Field(min_length=1, description="Who gets it.", examples=["[lan@example.vn]"])
    language: Literal["vi", "en"] = Field("vi", description="Language of the mail.")
    each: Literal["shift", "day"] = Field("shift", description="One for each shift, or one for each business date.")
    after: DurationOrZero = Field(
        600.0,
        description="How long after the end of the shift, or of the day's last shift, so that the last minutes have arrived.",
        examples=["10min"],
    )
    give_up: Duration = Field(
        259_200.0, description="How long a mail is tried that the server does not take.", examples=["3d"]
    )
