"""The page of the directory: search, an owner's own entry, and files in and out for the center's people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from center.api.access import Forbidden, Viewing, address_of
from center.api.outside import outside
from center.console.document import button, choice, document, field, form, hidden, notice
from center.console.draw.markup import Child, el
from center.console.draw.names import named
from center.database.directory import Firm
from center.model.times import BadQuestion
from center.outgoing.directory.desk import DirectoryDesk, NotYours, changes
from center.outgoing.directory.files import MOST_FILE
from center.outgoing.directory.rows import COLUMNS, KINDS, TRADES, RowComplaint, row_of
from center.outgoing.page_request import PageRequest
from center.queries import sites as queries
from words import number, say

_HOME: Final = "/directory"
_SHOWN: Final = 100
_COMPLAINTS: Final = 200


def add_directory_pages(app: FastAPI, desk: DirectoryDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get(_HOME, include_in_schema=False)
    def show(request: Request, viewer: Viewing) -> Response:
        return _Directory(request, desk, viewer).page()

    @app.post(_HOME, include_in_schema=False, openapi_extra={"x-most-bytes": MOST_FILE + 65_536})
    async def change(request: Request, viewer: Viewing) -> Response:
        fields = await request.form(max_files=1, max_fields=20)
        file = fields.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
        typed = {name: str(value) for name, value in fields.items() if not isinstance(value, UploadFile)}
        return await run_in_threadpool(_Directory(request, desk, viewer).change, typed, content)


@dataclass(frozen=True)
class _Directory(PageRequest[DirectoryDesk]):
    """One request of a viewer. Raises `StoreUnavailable`, which becomes a page."""

    WORDS = "directory."

    def change(self, typed: Mapping[str, str], content: bytes) -> Response:
        """Sets or removes an entry, or takes a file."""
        address, act = address_of(self.request), typed.get("act", "")
        try:
            if act == "import":
                told: Any = self.desk.take(self.viewer, address, content)
            elif act == "remove":
                self.desk.remove(self.viewer, address, typed.get("firm", ""))
                return self.page(notice(self.tell("removed"), "good"))
            else:
                cells = {column: typed.get(column, "") for column in COLUMNS}
                told = self.desk.set_row(self.viewer, address, typed.get("site", ""), cells)
        except NotYours as error:
            raise Forbidden(str(error)) from error
        except BadQuestion as error:
            return self.page(notice(self.tell("not_taken", detail=error), "bad"), status=422)
        if isinstance(told, list):
            return self.page(self._complaints(told), status=422)
        if act == "import":
            new, changed = (number(count, self.lang) for count in told)
            return self.page(notice(self.tell("taken", new=new, changed=changed), "good"))
        return self.page(notice(self.tell("saved"), "good"))

    def page(self, message: Child = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change."""
        asked = self.request.query_params
        q, trade, kind = (asked.get(key, "")[:200] for key in ("q", "trade", "kind"))
        found, seen = self.desk.found(self.viewer, q, trade, kind), self.desk.seen(self.viewer)
        query = urlencode({key: value for key, value in (("q", q), ("trade", trade), ("kind", kind)) if value})
        files = [
            el("a", form_.upper(), href=outside(f"/api/v1/directory?{query}&format={form_}&lang={self.lang}"), download="", cls="quiet-link")
            for form_ in ("xlsx", "csv")
        ]  # fmt: skip
        title = self.tell("title")
        count = self.tell("count", n=number(len(found), self.lang), all=number(len(seen), self.lang))
        rows = [self._firm(firm) for firm in found[:_SHOWN]]
        listed = el("ul", *rows, cls="rows firms") if rows else el("p", self.tell("none"), cls="empty")
        more = el("p", self.tell("more", n=number(_SHOWN, self.lang)), cls="soft") if len(found) > _SHOWN else None
        return document(
            self.desk.center, self.viewer, self.lang, title, el("div", el("h1", title), cls="admin-head"), message,
            el("p", self.tell("note"), cls="soft"), self._search(q, trade, kind), el("p", count, " ", *files, cls="files"), listed, more,
            *self._own(seen), *self._center(), status=status,
        )  # fmt: skip

    def _search(self, q: str, trade: str, kind: str) -> Markup:
        any_ = ("", self.tell("any"))
        words = el(
            "input",
            name="q",
            value=q or None,
            placeholder=self.tell("search"),
            aria_label=self.tell("search"),
            type="search",
        )
        trades = [any_, *((key, say(f"trade.{key}", self.lang)) for key in TRADES)]
        kinds = [any_, *((key, say(f"machine_kind.{key}", self.lang)) for key in KINDS)]
        return el(
            "form", words, choice(self.tell("trade"), "trade", trades, trade), choice(self.tell("kind"), "kind", kinds, kind),
            el("button", self.tell("find"), cls="go", type="submit"), method="get", action=outside(_HOME), cls="form search",
        )  # fmt: skip

    def _firm(self, firm: Firm) -> Markup:
        trade = say(f"trade.{firm.trade}", self.lang)
        kinds = ", ".join(say(f"machine_kind.{kind}", self.lang) for kind in firm.kinds)
        plates = [el("span", self.tell("connected"), cls="plate")] if firm.site else []
        if not firm.shown:
            plates.append(el("span", self.tell("hidden"), cls="plate"))
        head = el(
            "div",
            el("b", firm.name),
            *plates,
            el("span", f"{trade} · {firm.place or '–'} · {firm.code}", cls="soft"),
            cls="who",
        )
        parts: list[Child] = [head]
        if kinds:
            parts.append(el("div", el("span", self.tell("kinds"), cls="faint"), " ", kinds))
        if firm.products:
            parts.append(el("div", el("span", self.tell("products"), cls="faint"), " ", ", ".join(firm.products)))
        if firm.certificates:
            told = "; ".join(
                " ".join(part for part in (item.name, item.number, item.until) if part) for item in firm.certificates
            )
            parts.append(el("div", el("span", self.tell("certificates"), cls="faint"), " ", told))
        if changes(self.viewer, firm):
            asked = hidden({"act": "remove", "firm": firm.id})
            parts.append(form(outside(_HOME), asked, button(self.tell("remove"), "quiet danger"), cls=""))
        return el("li", *parts)

    def _own(self, seen: list[Firm]) -> list[Child]:
        """The owner's entries, to be set."""
        if not self.viewer.may("own"):
            return []
        entries = {firm.site: firm for firm in seen if firm.site}
        parts: list[Child] = []
        for row in queries.sites(self.desk.center, self.viewer):
            title = self.tell("entry_of", site=named(row["name"], self.lang, row["id"]))
            parts += [el("h2", title, cls="lately"), self._form(row["id"], entries.get(row["id"]))]
        return parts

    def _center(self) -> list[Child]:
        """What the center's people may do."""
        if not self.viewer.may("aim"):
            return []
        take = el(
            "form", hidden({"act": "import"}),
            el("label", el("span", self.tell("file")), el("input", type="file", name="file", accept=".xlsx,.csv", required="")),
            el("p", self.tell("file.note", columns=", ".join(COLUMNS)), cls="soft"), button(self.tell("take")),
            method="post", action=outside(_HOME), enctype="multipart/form-data", cls="form fold",
        )  # fmt: skip
        return [
            el("h2", self.tell("import"), cls="lately"),
            take,
            el("h2", self.tell("add"), cls="lately"),
            self._form("", None),
        ]

    def _form(self, site: str, firm: Firm | None) -> Markup:
        cells = row_of(firm) if firm else dict.fromkeys(COLUMNS, "")
        box = el("input", type="checkbox", name="shown", value="x", checked="" if cells["shown"] else None)
        trades = [(key, say(f"trade.{key}", self.lang)) for key in TRADES]
        return form(
            outside(_HOME),
            hidden({"act": "set", "site": site}),
            field(self.tell("name"), "name", value=cells["name"], required="", maxlength="200"),
            field(self.tell("code"), "code", value=cells["code"], required="", maxlength="20"),
            choice(self.tell("trade"), "trade", trades, cells["trade"]),
            field(self.tell("place"), "place", value=cells["place"], maxlength="120"),
            field(self.tell("kinds.form"), "kinds", value=cells["kinds"], maxlength="2000", placeholder="press; injection"),
            field(self.tell("products.form"), "products", value=cells["products"], maxlength="6000"),
            field(self.tell("certificates.form"), "certificates", value=cells["certificates"], maxlength="6000",
                  placeholder="ISO 9001, VN-12345, 2027-01-31 | IATF 16949"),
            el("label", box, el("span", self.tell("shown")), cls="tick"),
            button(self.tell("save")),
            cls="form fold add",
        )  # fmt: skip

    def _complaints(self, found: list[RowComplaint]) -> Markup:
        heads = [el("th", self.tell(f"head.{key}")) for key in ("row", "column", "value", "why")]
        rows = [
            el("tr", el("td", number(item.row, self.lang)), el("td", say(f"export.{item.column}", self.lang) if item.column else "–"),
               el("td", item.value or "–"), el("td", self.tell(f"bad.{item.why}", value=item.value, near=item.near)))
            for item in found[:_COMPLAINTS]
        ]  # fmt: skip
        told = el("p", self.tell("complaints", n=number(len(found), self.lang)))
        table = el("table", el("thead", el("tr", *heads)), el("tbody", *rows), cls="bench")
        return el(
            "div",
            told,
            el("div", table, cls="scroll", tabindex="0", role="region", aria_label=told),
            cls="said bad",
            role="status",
        )
