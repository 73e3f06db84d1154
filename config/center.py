"""The center's configuration file."""

from pathlib import PurePath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from config.alerts import AlertsModel
from config.budget import BudgetModel
from config.mail import MailModel, ReportMailModel
from config.yaml.common import BrokerLink, BrokerUrl, Listen, Strict, is_loopback
from config.yaml.complaints import InvalidValue
from config.yaml.outside import Proxies, RootPath
from config.yaml.times import Duration, DurationOrZero

_FILE_KEYS: Final = ("file", "books")


def _database(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in ("postgresql", "sqlite") or not rest.strip("/"):
        raise InvalidValue("bad_database", "not a database; write for example postgresql://nhip@db.example.vn/nhip")
    return text


DatabaseUrl = Annotated[str, AfterValidator(_database)]


class StoreModel(BaseModel):
    """Where facts are kept. Every key but `kind` is specific to that kind of store."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    __pydantic_extra__: dict[str, str | int | float | bool]

    kind: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="Name of a folder in center/stores.", examples=["duckdb"]
    )

    @property
    def options(self) -> dict[str, str | int | float | bool]:
        """Everything but the kind."""
        return self.__pydantic_extra__


class HttpsModel(Strict):
    """TLS of API and console, terminated by the center."""

    certificate: str = Field(description="Certificate and chain (PEM).", examples=["/etc/nhip/center.pem"])
    key: str = Field(description="Its private key (PEM).", examples=["/etc/nhip/center.key"])


class Enrolment(Strict):
    """Settings of `nhip enroll`: Mosquitto's files, and the broker as gateways reach it."""

    passwords: str = Field(description="Mosquitto's `password_file`.", examples=["/etc/mosquitto/nhip.passwords"])
    rules: str = Field(description="Mosquitto's `acl_file`.", examples=["/etc/mosquitto/nhip.rules"])
    pid_file: str = Field(
        "",
        description="Mosquitto's `pid_file`; without it, Mosquitto has to be reloaded by hand.",
        examples=["/run/mosquitto.pid"],
    )
    broker: BrokerUrl | None = Field(
        None,
        description="The broker as gateways reach it; the center's own `broker` without it.",
        examples=["mqtts://mqtt.example.vn:8883"],
    )
    ca_file: str = Field(
        "",
        description="Certificates that gateways are to trust (PEM); the center's own `ca_file` without it.",
        examples=["/etc/nhip/ca.pem"],
    )


class ConnectionsModel(Strict):
    """Limits of the port on which API and console listen."""

    total: int = Field(default=2000, ge=20, le=60_000, description="Most connections at once.", examples=[2000])
    from_one_address: int = Field(
        default=200,
        ge=4,
        le=60_000,
        description="Most connections of one address at once; a /64 is one address of IPv6, and a `proxy` has no limit of "
        "its own.",
        examples=[200],
    )
    head: Duration = Field(
        default=10.0,
        description="How long a browser may take for the handshake and for each request's head.",
        examples=["10s"],
    )
    body: Duration = Field(
        default=30.0,
        description="How long it may take for a request's body of 64 kB; larger ones, where they are allowed, have longer.",
        examples=["30s"],
    )
    unread: Duration = Field(
        default=60.0,
        description="How long a browser may take nothing of what it has asked for before its connection is ended.",
        examples=["60s"],
    )
    live_pages: int = Field(
        default=100,
        ge=4,
        le=10_000,
        description="Most live pages of one account at once, three times as many of one address; screens that share an account count together.",
        examples=[100],
    )


class CenterFile(BrokerLink):
    """The center's configuration file, validated."""

    name: str = Field("", description="Display name of this center.", examples=["Trung tâm hỗ trợ"])
    language: Literal["vi", "en"] = Field(
        "vi", description="Language of pages and messages until a user chooses another."
    )
    accounts: Literal["on", "off"] = Field(
        "on", description="off: everybody on the center's own machine may do everything; requires `listen` on loopback."
    )
    second_factor: Literal["optional", "required"] = Field(
        "optional",
        description="required: administrators and engineers log in with a code of an app beside the password; who has none "
        "sets it up at the next login.",
    )
    https: HttpsModel | None = Field(None, description="Certificate and key, if the center itself terminates TLS.")
    proxy: Proxies = Field(
        (),
        description="Address or network of the reverse proxy that terminates TLS and passes on client addresses; or a "
        "list. Only these are believed when they say who asks.",
        examples=["127.0.0.1", "[127.0.0.1, 10.0.0.0/24]"],
    )
    connections: ConnectionsModel = Field(
        ConnectionsModel(), description="Limits of the port.", examples=["{total: 2000, from_one_address: 200}"]
    )
    root_path: RootPath = Field(
        "",
        description="Path under which the proxy shows the center, if it has no host name of its own. The proxy may pass "
        "it on or cut it off.",
        examples=["/nhip"],
    )
    monitoring: Literal["loopback", "accounts"] = Field(
        "loopback",
        description="Who may read health and metrics without a token: everybody on the center's own machine, or nobody.",
    )
    listen: Listen = Field(
        "127.0.0.1:8080", description="Address on which API and console listen.", examples=["0.0.0.0:8080"]
    )
    store: StoreModel = Field(description="Where facts are kept.", examples=["{kind: duckdb, file: nhip.duckdb}"])

    keep_values: DurationOrZero = Field(
        90 * 86_400.0,
        description="How long process values are kept; 0s: none are, and what gateways send is counted and discarded.",
        examples=["90d"],
    )
    database: DatabaseUrl | None = Field(
        None,
        description="SQL database of accounts and, with PostgreSQL, of the delivery ledger; without it, a SQLite file "
        "beside the store's.",
        examples=["postgresql://nhip@db.example.vn/nhip?passfile=/etc/nhip/pgpass"],
    )

    budget: BudgetModel = Field(
        BudgetModel(),
        description="What the center takes of one gateway; beyond it the gateway waits.",
        examples=["{messages_per_minute: 3000, quarantine_mb: 512}"],
    )

    enrolment: Enrolment | None = Field(
        None, description="For `nhip enroll`.", examples=["{passwords: /etc/mosquitto/nhip.passwords, rules: ...}"]
    )

    mail: MailModel | None = Field(
        None,
        description="The server that takes mail; none is sent without it.",
        examples=["{server: smtp.example.vn:587, sender: nhip@example.vn}"],
    )
    reports: tuple[ReportMailModel, ...] = Field(
        (), description="Shift reports that are sent by mail.", examples=["[{site: van-long, to: [lan@example.vn]}]"]
    )

    alerts: AlertsModel | None = Field(
        None,
        description="Alerts, and whom they are told; none are raised without it.",
        examples=["{channels: {lan: {mail: [lan@example.vn]}}, send: [{to: [lan]}]}"],
    )

    role: Literal["all", "ingest", "console"] = Field(
        "all",
        description="Task of this process: everything, or, beside others on the same store and database, only ingest or "
        "only API and console.",
    )

    @field_validator("role")
    @classmethod
    def _fits(cls, role: str, info: ValidationInfo) -> str:
        """Several processes need a store and a ledger that they can share."""
        store, database = info.data.get("store"), info.data.get("database")
        if role != "all" and store is not None and store.kind == "duckdb":
            raise InvalidValue("role_needs_server", "the embedded store belongs to one process")
        if role != "all" and not (database or "").startswith("postgresql:"):
            raise InvalidValue("role_needs_postgresql", "several processes share their delivery ledger in PostgreSQL")
        return role

    @field_validator("reports")
    @classmethod
    def _sendable(cls, reports: tuple[ReportMailModel, ...], info: ValidationInfo) -> tuple[ReportMailModel, ...]:
        """Somebody has to take the mails."""
        if reports and "mail" in info.data and info.data["mail"] is None:
            raise InvalidValue("reports_without_mail", "there is no server that takes mails")
        return reports

    @field_validator("alerts")
    @classmethod
    def _tellable(cls, alerts: AlertsModel | None, info: ValidationInfo) -> AlertsModel | None:
        """Somebody has to take the mails."""
        if alerts and "mail" in info.data and info.data["mail"] is None:
            for name, channel in alerts.channels.items():
                if channel.mail:
                    raise InvalidValue("alerts_without_mail", "there is no server that takes mails", channel=name)
        return alerts

    @field_validator("listen")
    @classmethod
    def _closed(cls, listen: str, info: ValidationInfo) -> str:
        """A center reachable from other computers requires accounts and encryption."""
        if not is_loopback(listen.rpartition(":")[0]):
            if info.data.get("accounts") == "off":
                raise InvalidValue("open_without_accounts", "reachable from other computers without accounts")
            if not info.data.get("https") and not info.data.get("proxy"):
                raise InvalidValue("open_without_https", "passwords would travel in clear text")
        return listen

    @field_validator("proxy")
    @classmethod
    def _with_accounts(cls, proxy: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Whoever reaches the proxy would be on the center's own machine."""
        if proxy and info.data.get("accounts") == "off":
            raise InvalidValue("proxy_without_accounts", "everybody whom the proxy lets in could do everything")
        return proxy

    @property
    def secure(self) -> bool:
        """Whether browsers reach the center over HTTPS."""
        return self.https is not None or bool(self.proxy)

    @property
    def database_url(self) -> str:
        """`database`, or the SQLite file beside the store's own file."""
        if self.database:
            return self.database
        named = [str(self.store.options[key]) for key in _FILE_KEYS if key in self.store.options]
        return f"sqlite:///{PurePath(named[0] if named else 'nhip.duckdb').with_suffix('.accounts.sqlite')}"

    @property
    def listen_host(self) -> str:
        """The host part of `listen`."""
        return self.listen.rpartition(":")[0]

    @property
    def listen_port(self) -> int:
        """The port part of `listen`."""
        return int(self.listen.rpartition(":")[2])
