"""The center's file."""

from pathlib import PurePath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config.common import BrokerLink, Listen
from config.durations import DurationOrZero
from config.wrong import Wrong

_FILE_KEYS: Final = ("file", "books")


def _database(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme not in ("postgresql", "sqlite") or not rest.strip("/"):
        raise Wrong("bad_database", "not a database; write for example postgresql://nhip@db.example.vn/nhip")
    return text


DatabaseUrl = Annotated[str, AfterValidator(_database)]


class StoreModel(BaseModel):
    """Where facts are kept. Every key but `kind` belongs to that kind of store."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, str | int | float | bool]

    kind: str = Field(
        pattern=r"^[a-z][a-z0-9_]*$", description="A file in center/stores, without .py.", examples=["duckdb"]
    )

    @property
    def options(self) -> dict[str, str | int | float | bool]:
        """Everything but the kind."""
        return self.__pydantic_extra__


class Center(BrokerLink):
    """The center's file, checked."""

    name: str = Field("", description="What people call this center.", examples=["Trung tâm hỗ trợ"])
    language: Literal["vi", "en"] = Field("vi", description="Language of pages and messages until someone chooses.")
    listen: Listen = Field("127.0.0.1:8080", description="Where API and console answer.", examples=["0.0.0.0:8080"])
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
