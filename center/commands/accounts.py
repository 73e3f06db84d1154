"""The commands `nhip user`, `nhip token` and `nhip audit`. What they run is imported only when they are used."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.exits import fail, fail_misconfigured
from cli.options import json_option, lang_option

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


_generate = click.option("--generate", is_flag=True, help="Use a random password and print it once, without asking.")
_role = click.option("--role", type=click.Choice(("admin", "engineer", "factory")), required=True)
_sites = click.option("--site", "sites", multiple=True, help="A site that they may see; may be given several times.")


@user.command("add")
@_center
@click.argument("name")
@_role
@_sites
@click.option("--full-name", default="", help="Full name.")
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
    """Changes a person's role and sites, effective at once."""
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
    """Sets a person's password and ends their sessions."""
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
    """Disables an account and ends its sessions."""
    _set_disabled(center, name, lang, disabled=True)


@user.command("enable")
@_center
@click.argument("name")
@lang_option
def enable(center: Path, name: str, lang: str) -> None:
    """Enables a disabled account."""
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
    """Lists who may log in."""
    from center.accounts import people
    from center.accounts.api import user_row
    from words import say

    rows = [user_row(item) for item in _change(center, lang, lambda engine, *_: people.users(engine))]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        click.echo(say("user.none", lang))
    for row in rows:
        disabled = f"  ({say('admin.disabled', lang)})" if row["disabled"] else ""
        role = say(f"accounts.role.{row['role']}", lang)
        click.echo(f"{row['name']}  {role}  {_sites_shown(row['sites'], lang)}{disabled}")


def _sites_shown(sites: list[str] | None, lang: str) -> str:
    from words import say

    if sites is None:
        return say("accounts.all_sites", lang)
    return ", ".join(sites) or say("accounts.no_sites", lang)


@click.group()
def token() -> None:
    """Tokens for programs that use the center's API."""


@token.command("add")
@_center
@click.argument("name")
@_sites
@click.option("--all-sites", is_flag=True, help="Every site, including future ones.")
@click.option("--scope", type=click.Choice(("read", "write", "watch")), default="read", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), help="Expires after so many days (default: never).")
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
    from words import say

    rows = [token_row(item) for item in _change(center, lang, lambda engine, *_: tokens.tokens(engine))]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not rows:
        click.echo(say("admin.no_tokens", lang))
    for row in rows:
        scope, expires = say(f"accounts.scope.{row['scope']}", lang), row["expires"] or say("admin.no_expiry", lang)
        sites = (
            "" if row["scope"] == "watch" else f"  {_sites_shown(row['sites'], lang)}"
        )  # its scope includes no sites
        click.echo(f"{row['name']}  {scope}{sites}  {expires}")


@click.command("audit")
@_center
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
@lang_option
def show_audit(center: Path, limit: int, as_json: bool, lang: str) -> None:
    """Who changed what, when and from where, the newest first."""
    from center.accounts import audit
    from center.accounts.api import change_row
    from words import say

    entries, count = _change(center, lang, lambda engine, *_: audit.entries(engine, None, limit))
    rows = [change_row(item) for item in entries]
    if as_json:
        click.echo(json.dumps({"rows": rows, "count": count}, ensure_ascii=False))
        return
    for row in rows:
        address = row["address"] or say("audit.at_the_machine", lang)
        detail = " ".join(f"{name}={value}" for name, value in row["detail"].items() if value)
        click.echo(f"{row['at']}  {row['who']} ({address})  {row['what']}  {row['about']}  {detail}".rstrip())


COMMANDS = (user, token, show_audit)
