"""The commands `nhip user`, `nhip token` and `nhip audit show`. What they run is imported only when they are used."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.exits import fail, fail_misconfigured
from cli.options import json_option, lang_option
from cli.terminal import show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from center.accounts.audit import Actor

_center = click.argument("center", metavar="CENTER.yaml", type=click.Path(path_type=Path, dir_okay=False))
_DAY_NS = 86_400_000_000_000


def _change(center: Path, lang: str, work: Callable[["Engine", int, "Actor"], Any]) -> Any:
    """Runs work on the accounts of a center's file; ends the command with an error message if that fails."""
    from center.accounts.passwords import LONGEST, SHORTEST, BadPassword
    from center.accounts.people import AccountRefused
    from center.accounts.schema import open_accounts
    from center.accounts.tokens import at_the_machine
    from center.contract.store import StoreUnavailable
    from config import Misconfigured, load_center
    from words import say

    try:
        return work(open_accounts(load_center(center).database_url), time.time_ns(), at_the_machine())
    except Misconfigured as error:
        fail_misconfigured(error, lang)
    except AccountRefused as error:
        fail(say(f"accounts.refused.{error.code}", lang, **error.values), 1)
    except BadPassword as error:
        fail(say(f"accounts.bad_password.{error.code}", lang, shortest=SHORTEST, longest=LONGEST), 1)
    except StoreUnavailable as error:
        fail(say("accounts.away", lang, detail=error), 1)


def _password(name: str, lang: str, *, generate: bool) -> tuple[str, bool]:
    """A typed password, else a random one; and whether it must be shown."""
    from center.accounts.passwords import generate as random_password
    from words import say

    if not generate and sys.stdin.isatty():
        typed = click.prompt(say("user.ask", lang, name=name), default="", show_default=False, hide_input=True)
        if typed:
            repeated = click.prompt(say("user.ask_again", lang), hide_input=True, err=True)
            if repeated != typed:
                fail(say("accounts.bad_password.different", lang), 1)
            return typed, False
    return random_password(), True


@click.group()
def user() -> None:
    """People who may log in at the center."""


_generate = click.option("--generate", is_flag=True)
_role = click.option(
    "--role", type=click.Choice(("admin", "engineer", "owner", "factory")), required=True,
)  # fmt: skip
_sites = click.option("--site", "sites", multiple=True)


@user.command("add")
@_center
@click.argument("name")
@_role
@_sites
@click.option("--full-name", default="")
@_generate
@lang_option
def add_user(
    center: Path, name: str, role: str, sites: tuple[str, ...], full_name: str, generate: bool, lang: str
) -> None:
    """Adds a person. The first one of a center is an administrator: --role admin."""
    from center.accounts import people
    from words import say

    password, shown = _password(name, lang, generate=generate)
    _change(
        center,
        lang,
        lambda engine, now_ns, actor: people.add_user(
            engine, now_ns, actor, name, role=role, sites=sites, password=password, full_name=full_name
        ),
    )
    click.echo(say("user.added", lang, name=name, role=say(f"accounts.role.{role}", lang)))
    if shown:
        click.echo(say("user.once", lang, password=password))


@user.command("change")
@_center
@click.argument("name")
@_role
@_sites
@lang_option
def change_user(center: Path, name: str, role: str, sites: tuple[str, ...], lang: str) -> None:
    """Changes a person's rights (role and sites), effective at once."""
    from center.accounts import people
    from words import say

    _change(
        center,
        lang,
        lambda engine, now_ns, actor: people.change_user(engine, now_ns, actor, name, role=role, sites=sites),
    )
    click.echo(say("user.changed", lang, name=name))


@user.command("password")
@_center
@click.argument("name")
@_generate
@lang_option
def set_password(center: Path, name: str, generate: bool, lang: str) -> None:
    """Sets a new password of a person and ends their sessions."""
    from center.accounts import people
    from words import say

    password, shown = _password(name, lang, generate=generate)
    _change(center, lang, lambda engine, now_ns, actor: people.set_password(engine, now_ns, actor, name, password))
    click.echo(say("user.password", lang, name=name))
    if shown:
        click.echo(say("user.once", lang, password=password))


@user.command("disable")
@_center
@click.argument("name")
@lang_option
def disable(center: Path, name: str, lang: str) -> None:
    """Disables a person's account and ends its sessions."""
    _set_disabled(center, name, lang, disabled=True)


@user.command("enable")
@_center
@click.argument("name")
@lang_option
def enable(center: Path, name: str, lang: str) -> None:
    """Enables a disabled account again."""
    _set_disabled(center, name, lang, disabled=False)


def _set_disabled(center: Path, name: str, lang: str, *, disabled: bool) -> None:
    from center.accounts import people
    from words import say

    _change(
        center, lang, lambda engine, now_ns, actor: people.disable_user(engine, now_ns, actor, name, disabled=disabled)
    )
    click.echo(say("user.disabled" if disabled else "user.enabled", lang, name=name))


@user.command("list")
@_center
@json_option
@lang_option
def list_users(center: Path, as_json: bool, lang: str) -> None:
    """Lists the people who may log in."""
    from center.accounts import people
    from center.accounts.api import user_row
    from center.accounts.texts import sites_text, time_text
    from words import say

    users = _change(center, lang, lambda engine, *_: people.users(engine))
    if as_json:
        show_json([user_row(item) for item in users])
        return
    if not users:
        click.echo(say("user.none", lang))
        return
    headings = [say(key, lang) for key in ("login.name", "admin.full_name", "admin.role", "admin.sites", "admin.seen")]
    rows = [
        [
            item.name,
            item.full_name,
            say(f"accounts.role.{item.role}", lang),
            sites_text(item.sites, lang),
            say("admin.disabled", lang) if item.disabled else time_text(item.seen_ns, lang),
        ]
        for item in users
    ]
    show_table(headings, rows)


@click.group()
def token() -> None:
    """Tokens of programs that use the center's API."""


@token.command("add")
@_center
@click.argument("name")
@_sites
@click.option("--all-sites", is_flag=True)
@click.option(
    "--scope", type=click.Choice(("read", "write", "watch")), default="read", show_default=True,
)  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650))
@lang_option
def add_token(
    center: Path, name: str, sites: tuple[str, ...], all_sites: bool, scope: str, days: int | None, lang: str
) -> None:
    """Creates a token and prints it once."""
    from center.accounts import tokens
    from words import say

    def work(engine: "Engine", now_ns: int, actor: "Actor") -> str:
        expires_ns = now_ns + days * _DAY_NS if days else None
        visible = None if all_sites else sites
        return tokens.add_token(engine, now_ns, actor, name, sites=visible, scope=scope, expires_ns=expires_ns)

    click.echo(say("token.once", lang, secret=_change(center, lang, work)))


@token.command("revoke")
@_center
@click.argument("name")
@lang_option
def revoke(center: Path, name: str, lang: str) -> None:
    """Revokes a token, effective at once."""
    from center.accounts import tokens
    from words import say

    _change(center, lang, lambda engine, now_ns, actor: tokens.revoke_token(engine, now_ns, actor, name))
    click.echo(say("token.revoked", lang, name=name))


@token.command("list")
@_center
@json_option
@lang_option
def list_tokens(center: Path, as_json: bool, lang: str) -> None:
    """Lists tokens, without their secrets."""
    from center.accounts import tokens
    from center.accounts.api import token_row
    from center.accounts.texts import expiry_text, sites_text, time_text
    from words import say

    known = _change(center, lang, lambda engine, *_: tokens.tokens(engine))
    if as_json:
        show_json([token_row(item) for item in known])
        return
    if not known:
        click.echo(say("admin.no_tokens", lang))
        return
    keys = ("admin.token_name", "admin.scope", "admin.sites", "admin.expiry", "admin.used")
    rows = [
        [
            item.name,
            say(f"accounts.scope.{item.scope}", lang),
            "" if item.scope == "watch" else sites_text(item.sites, lang),  # its scope includes no sites
            expiry_text(item, time.time_ns(), lang),
            time_text(item.used_ns, lang),
        ]
        for item in known
    ]
    show_table([say(key, lang) for key in keys], rows)


@click.command("show")
@_center
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@lang_option
def show_audit(center: Path, limit: int, as_json: bool, lang: str) -> None:
    """Shows the audit trail: who changed what, when and from where, the newest first."""
    from center.accounts import audit
    from center.accounts.api import change_row
    from center.accounts.texts import change_text, detail_text, time_text
    from words import say

    (entries, count), head = _change(
        center, lang, lambda engine, *_: (audit.entries(engine, None, limit), audit.head(engine))
    )
    if as_json:
        show_json({"rows": [change_row(item) for item in entries], "count": count, "head": head})
        return
    for item in entries:
        address = item.address or say("audit.at_the_machine", lang)
        parts = [
            time_text(item.at_ns, lang),
            f"{item.who} ({address})",
            change_text(item, lang),
            detail_text(item, lang),
        ]
        click.echo("  ".join(filter(None, parts)))
    click.echo(f"{say('audit.head', lang)} {head}")


COMMANDS = (user, token)
