"""Lists and forms of the administration pages: people, tokens and the audit trail. Pure."""

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from center.accounts import audit, people, tokens
from center.accounts.texts import change_text, detail_text, expiry_text, is_expired, time_text
from center.api.outside import outside
from center.console.document import button, choice, field, form
from center.console.draw.markup import Child, el
from center.console.draw.names import machine_page, named
from center.console.draw.time_labels import parse_ns
from center.queries.sites import MachineAnswer
from words import say

USERS: Final = "/admin"
TOKENS: Final = "/admin/tokens"
MACHINES: Final = "/admin/machines"
AUDIT: Final = "/admin/audit"
_TABS: Final = (
    (USERS, "admin.users"),
    (TOKENS, "admin.tokens"),
    (MACHINES, "admin.machines"),
    (AUDIT, "admin.audit"),
)


def tabs(on: str, lang: str) -> Markup:
    """Tabs that switch between the pages."""
    return el(
        "nav",
        *(el("a", say(key, lang), href=outside(url), cls="on" if url == on else "") for url, key in _TABS),
        cls="seg",
    )


def sites_shown(sites: frozenset[str] | None, lang: str) -> Markup:
    """Site ids as labels."""
    if sites is None:
        return el("span", say("accounts.all_sites", lang), cls="plate all")
    if not sites:
        return el("span", say("accounts.no_sites", lang), cls="faint")
    return el("span", *(el("span", site, cls="plate") for site in sorted(sites)), cls="plates")


def _sites_chosen(site_ids: Sequence[str], chosen: frozenset[str] | None, lang: str) -> Markup:
    boxes = (
        el(
            "label",
            el("input", type="checkbox", name="site", value=site, checked="" if chosen and site in chosen else None),
            el("span", site),
            cls="box",
        )
        for site in sorted({*site_ids, *(chosen or ())})
    )
    return el(
        "fieldset",
        el("legend", say("admin.sites", lang)),
        el("div", *boxes, cls="boxes"),
        field(say("admin.other_sites", lang), "other_sites", autocapitalize="none"),
    )


def _role(lang: str, chosen: str = "factory") -> Markup:
    options = [(role, say(f"accounts.role.{role}", lang)) for role in reversed(people.ROLES)]
    return choice(say("admin.role", lang), "role", options, chosen)


def _folded(title: str, content: Child, cls: str = "", *, opened: bool = False) -> Markup:
    return el("details", el("summary", title), content, cls=f"fold {cls}".strip(), open="" if opened else None)


def people_list(users: Iterable[people.User], site_ids: Sequence[str], lang: str) -> Markup:
    """A row for each account, with forms to change it."""
    return el("ul", *(_person(user, site_ids, lang) for user in users), cls="rows")


def _person(user: people.User, site_ids: Sequence[str], lang: str) -> Markup:
    at = outside(f"{USERS}/users/{quote(user.name, safe='')}")
    action, word = ("enable", "admin.enable") if user.disabled else ("disable", "admin.disable")
    edit = el(
        "div",
        form(
            f"{at}/change",
            _role(lang, user.role),
            _sites_chosen(site_ids, user.sites, lang),
            button(say("admin.save", lang)),
        ),
        el(
            "div",
            form(f"{at}/password", button(say("admin.reset", lang), "quiet"), cls=""),
            form(f"{at}/sessions", button(say("sessions.end_all", lang), "quiet"), cls=""),
            form(f"{at}/second-factor", button(say("second.reset", lang), "quiet"), cls=""),
            form(f"{at}/{action}", button(say(word, lang), "quiet danger"), cls=""),
            cls="beside",
        ),
    )
    return el(
        "li",
        el("div", el("b", user.name), el("span", user.full_name, cls="soft"), cls="who"),
        el("div", say(f"accounts.role.{user.role}", lang), cls="soft"),
        el("div", sites_shown(user.sites, lang)),
        el(
            "div",
            el("span", say("admin.disabled", lang), cls="plate bad")
            if user.disabled
            else f"{say('admin.seen', lang)}: {time_text(user.seen_ns, lang)}",
            cls="faint",
        ),
        _folded(say("admin.edit", lang), edit),
        cls="off" if user.disabled else "",
    )


def new_person(site_ids: Sequence[str], lang: str, *, opened: bool = False) -> Markup:
    """The form of a new account."""
    content = form(
        outside(f"{USERS}/users"),
        field(say("login.name", lang), "name", required="", autocapitalize="none", autocomplete="off"),
        field(say("admin.full_name", lang), "full_name", autocomplete="off"),
        _role(lang),
        _sites_chosen(site_ids, frozenset(), lang),
        el("p", say("admin.sites.note", lang), cls="faint"),
        button(say("admin.add_user", lang)),
    )
    return _folded(say("admin.add_user", lang), content, "add", opened=opened)


def token_list(shown: Sequence[tokens.Token], now_ns: int, lang: str) -> Markup:
    """A row for each token."""
    if not shown:
        return el("p", say("admin.no_tokens", lang), cls="empty")
    return el("ul", *(_token(token, now_ns, lang) for token in shown), cls="rows")


def _token(token: tokens.Token, now_ns: int, lang: str) -> Markup:
    expired, expiry = is_expired(token, now_ns), expiry_text(token, now_ns, lang)
    used = f"{say('admin.used', lang)}: {time_text(token.used_ns, lang)}"
    at = outside(f"{TOKENS}/{quote(token.name, safe='')}/revoke")
    return el(
        "li",
        el("div", el("b", token.name), cls="who"),
        el("div", say(f"accounts.scope.{token.scope}", lang), cls="soft"),
        el("div", "" if token.scope == "watch" else sites_shown(token.sites, lang)),  # its scope does not include sites
        el("div", el("span", expiry, cls="plate bad" if expired else ""), el("br"), used, cls="faint"),
        form(at, button(say("admin.revoke", lang), "quiet danger"), cls=""),
        cls="off" if expired else "",
    )


def new_token(site_ids: Sequence[str], lang: str) -> Markup:
    """The form of a new token."""
    everything = el(
        "label",
        el("input", type="checkbox", name="all_sites", value="1"),
        el("span", say("accounts.all_sites", lang)),
        cls="box",
    )
    content = form(
        outside(TOKENS),
        field(say("admin.token_name", lang), "name", required="", autocomplete="off"),
        choice(
            say("admin.scope", lang), "scope", [(name, say(f"accounts.scope.{name}", lang)) for name in tokens.SCOPES]
        ),
        everything,
        _sites_chosen(site_ids, frozenset(), lang),
        field(say("admin.days", lang), "days", "number", "365", min="1", max="3650"),
        button(say("admin.add_token", lang)),
    )
    return _folded(say("admin.add_token", lang), content, "add")


def retired_list(machines: Sequence[MachineAnswer], lang: str) -> Markup:
    """A row for each machine that no site file names any more, with a form to delete what was recorded of it."""
    note = el("p", say("admin.retired.note", lang), cls="soft")
    if not machines:
        return el("div", note, el("p", say("admin.no_retired", lang), cls="empty"))
    return el("div", note, el("ul", *(_retired(machine, lang) for machine in machines), cls="rows"))


def _retired(machine: MachineAnswer, lang: str) -> Markup:
    site, key = machine["site"], machine["id"]
    confirm = form(
        outside(MACHINES),
        el("input", type="hidden", name="site", value=site),
        el("input", type="hidden", name="machine", value=key),
        field(say("admin.confirm_id", lang, id=key), "confirm", required="", autocapitalize="none", autocomplete="off"),
        button(say("admin.delete_rows", lang), "quiet danger"),
    )
    since_ns = parse_ns(since) if (since := machine.get("retired")) else None
    return el(
        "li",
        el(
            "div",
            el("a", named(machine["name"], lang, key), href=machine_page(site, key)),
            el("span", key, cls="soft"),
            cls="who",
        ),
        el("div", site, cls="soft"),
        el("div", say("console.retired_since", lang, when=time_text(since_ns, lang)), cls="faint"),
        _folded(say("admin.delete_rows", lang), el("div", confirm)),
    )


def trail(rows: Sequence[audit.AuditEntry], count: int, head: str, lang: str) -> Markup:
    """The newest changes first, a link to older ones, and the chain's head."""
    earlier = outside(f"{AUDIT}?before={rows[-1].id}") if rows else ""
    more = el("a", say("admin.older", lang), href=earlier, cls="quiet") if rows else None
    older = more if rows and rows[-1].id > 1 and count > len(rows) else None
    before, command, after = say("audit.head", lang).partition("nhip audit verify --head")
    told = el(
        "p", before, el("code", command, cls="inline"), after, cls="soft"
    )  # in other type its two dashes look like one
    chain = el("div", told, el("code", head, tabindex="0"), cls="once")
    return el("div", el("ul", *(_change(row, lang) for row in rows), cls="rows trail"), older, chain)


def _change(row: audit.AuditEntry, lang: str) -> Markup:
    text, detail = change_text(row, lang), detail_text(row, lang)
    return el(
        "li",
        el("div", time_text(row.at_ns, lang), cls="faint nowrap"),
        el("div", el("b", text), el("span", detail, cls="soft") if detail else None, cls="who"),
        el("div", row.who, el("span", row.address or say("audit.at_the_machine", lang), cls="faint"), cls="who"),
    )


def once(text: str, secret: str) -> Markup:
    """A secret, shown only once."""
    return el("div", el("p", text), el("code", secret, tabindex="0"), cls="said good once", role="status")
