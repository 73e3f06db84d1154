"""The center's file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from config.common import BrokerLink, Listen


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

    @property
    def listen_host(self) -> str:
        """The host part of `listen`."""
        return self.listen.rpartition(":")[0]

    @property
    def listen_port(self) -> int:
        """The port part of `listen`."""
        return int(self.listen.rpartition(":")[2])
