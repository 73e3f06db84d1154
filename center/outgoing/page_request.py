"""One request for a page of what leaves the center."""

from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from fastapi import Request

from center.console import frame
from center.model.viewer import Viewer
from center.runtime.state import CenterState
from words import say


class HasCenter(Protocol):
    """What answers the request."""

    @property
    def center(self) -> CenterState: ...


D = TypeVar("D", bound=HasCenter)


@dataclass(frozen=True)
class PageRequest(Generic[D]):
    """One request of a viewer. Raises `StoreUnavailable`, which becomes a page. WORDS: how the keys of
    its sentences begin, with the dot."""

    WORDS: ClassVar[str]
    request: Request
    desk: D
    viewer: Viewer

    @property
    def lang(self) -> str:
        """The language of the page."""
        return frame.language(self.request, self.desk.center)

    def tell(self, key: str, **values: object) -> str:
        """What the page says."""
        return say(f"{self.WORDS}{key}", self.lang, **values)


@dataclass(frozen=True)
class SitePageRequest(PageRequest[D]):
    """One request of a viewer about one site. Raises `UnknownSite` as well, which becomes a page too."""

    site: str
