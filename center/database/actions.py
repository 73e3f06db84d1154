"""Actions in the center's SQL database: their records, what people wrote about them, and their files.

A change of an action, its line in the history, its entry in the audit trail and the finding that it is against change in
one transaction.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    select,
)

from center.database.findings import change_within
from center.database.sql import prepare, reading, writing
from center.model.kept_action import MOST_COMMENTS, ActionFile, ActionNote, KeptAction
from oee.advice.gain.action import ActionRecord
from oee.advice.gain.verdict import GOOD
from oee.advice.gain.written import action_of, plain_action
from oee.advice.life import acted_on, released

_META: Final = MetaData()
_ID: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite assigns row numbers only to INTEGER
ACTIONS: Final = Table(
    "actions",
    _META,
    Column("id", String(32), primary_key=True),
    Column("site", String(64), nullable=False, index=True),
    Column("stage", String(16), nullable=False, index=True),
    Column("finding", String(64), nullable=False, index=True),
    Column("created_ns", BigInteger, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
NOTES: Final = Table(
    "action_notes",
    _META,
    Column("id", _ID, primary_key=True),
    Column("action", String(32), nullable=False, index=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String(80), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
)
FILES: Final = Table(
    "action_files",
    _META,
    Column("id", String(32), primary_key=True),
    Column("action", String(32), nullable=False, index=True),
    Column("site", String(64), nullable=False, index=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("who", String(80), nullable=False),
    Column("name", String(200), nullable=False),
    Column("media_type", String(40), nullable=False),
    Column("size", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
Audit = Callable[[Connection, str, KeptAction, str], None]
"""Enters a step into the audit trail in its own transaction: the step, the action as it is then, and a text."""


def _first(connection: Connection) -> None:
    _META.create_all(connection)


_STEPS: Final = (_first,)


class TooMuch(ValueError):
    """A file too many. code: key of `action_refused.<code>`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def prepare_actions(engine: Engine) -> None:
    """Creates or migrates the tables in the database of findings. Raises `Misconfigured` or `StoreUnavailable`."""
    prepare(engine, "actions", _STEPS, _META.sorted_tables)


def new_action(
    engine: Engine, site: str, record: ActionRecord, who: str, now_ns: int, audit: Audit
) -> KeptAction | None:
    """A draft; the finding that it is against is in action from now on. None if there is no such finding any more. Raises
    `ValueError` if it is not open, and `StoreUnavailable`.
    """
    item = KeptAction(secrets.token_hex(8), site, record, now_ns, who[:80], now_ns)
    with writing(engine) as connection:
        if record.finding:
            found = change_within(connection, record.finding, lambda known: acted_on(known, item.id, who, now_ns))
            if found is None or found.site != site:
                connection.rollback()
                return None
        connection.execute(ACTIONS.insert().values(**_row(item), created_ns=now_ns, created_by=item.created_by))
        _note(connection, item.id, now_ns, who, "drafted", "")
        audit(connection, "drafted", item, "")
    return item


def change_action(
    engine: Engine,
    number: str,
    step: Callable[[ActionRecord], ActionRecord],
    kind: str,
    text: str,
    who: str,
    now_ns: int,
    audit: Audit,
) -> KeptAction | None:
    """Replaces a record by what `step` makes of it, with a line in the history; None if there is none of that id. A step that
    changes nothing leaves no line. Raises what `step` raises, and `StoreUnavailable`.
    """
    with writing(engine) as connection:
        row = connection.execute(select(ACTIONS).where(ACTIONS.c.id == number).with_for_update()).mappings().first()
        if row is None:
            return None
        before = _kept(row)
        item = replace(before, record=step(before.record), changed_ns=now_ns)
        if item.record == before.record:
            return before
        connection.execute(ACTIONS.update().where(ACTIONS.c.id == number).values(**_row(item)))
        if kind:
            _note(connection, number, now_ns, who, kind, text)
            audit(connection, kind, item, text)
        _release(connection, before.record, item.record, now_ns)
    return item


def _release(connection: Connection, before: ActionRecord, after: ActionRecord, now_ns: int) -> None:
    """The finding is answered once its action is judged, and open again if that has not helped or was given up."""
    ended = before.verdict is None and after.verdict is not None
    given_up = before.stage != "given_up" and after.stage == "given_up"
    if after.finding and (ended or given_up):
        helped = after.verdict is not None and after.verdict.result in GOOD
        change_within(connection, after.finding, lambda known: released(known, now_ns, helped=helped))


def _row(item: KeptAction) -> dict[str, Any]:
    return {
        "id": item.id,
        "site": item.site,
        "stage": item.record.stage,
        "finding": item.record.finding,
        "changed_ns": item.changed_ns,
        "body": json.dumps(plain_action(item.record), ensure_ascii=False, allow_nan=False),
    }


def _kept(row: Any) -> KeptAction:
    record = action_of(json.loads(row["body"]))
    return KeptAction(row["id"], row["site"], record, row["created_ns"], row["created_by"], row["changed_ns"])


def kept_actions(engine: Engine, sites: Sequence[str], *, stages: Sequence[str] = ()) -> list[KeptAction]:
    """Actions of these sites, the newest first. Raises `StoreUnavailable`."""
    wanted: list[ColumnElement[bool]] = [ACTIONS.c.site.in_(sites)]
    wanted += [ACTIONS.c.stage.in_(stages)] if stages else []
    order = (ACTIONS.c.created_ns.desc(), ACTIONS.c.id)
    with reading(engine) as connection:
        return [_kept(row) for row in connection.execute(select(ACTIONS).where(*wanted).order_by(*order)).mappings()]


def kept_action(engine: Engine, number: str) -> KeptAction | None:
    """The action of this id. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        row = connection.execute(select(ACTIONS).where(ACTIONS.c.id == number)).mappings().first()
    return None if row is None else _kept(row)


def _note(connection: Connection, number: str, at_ns: int, who: str, kind: str, text: str) -> None:
    connection.execute(NOTES.insert().values(action=number, at_ns=at_ns, who=who[:80], kind=kind, text=text))


def comment(
    engine: Engine, item: KeptAction, text: str, who: str, now_ns: int, audit: Audit, *, most: int = MOST_COMMENTS
) -> None:
    """Adds a comment. most: how many an action may have. Raises `TooMuch` and `StoreUnavailable`."""
    with writing(engine) as connection:
        connection.execute(select(ACTIONS.c.id).where(ACTIONS.c.id == item.id).with_for_update())
        written = select(func.count()).where(NOTES.c.action == item.id, NOTES.c.kind == "comment")
        if (connection.scalar(written) or 0) >= most:
            raise TooMuch("too_many_comments")
        _note(connection, item.id, now_ns, who, "comment", text)
        audit(connection, "comment", item, text)


def notes_of(engine: Engine, number: str) -> list[ActionNote]:
    """The history of an action, the oldest first. Raises `StoreUnavailable`."""
    columns = (NOTES.c.id, NOTES.c.at_ns, NOTES.c.who, NOTES.c.kind, NOTES.c.text)
    with reading(engine) as connection:
        rows = connection.execute(select(*columns).where(NOTES.c.action == number).order_by(NOTES.c.id))
        return [ActionNote(*row) for row in rows]


_FILE: Final = (FILES.c.id, FILES.c.at_ns, FILES.c.who, FILES.c.name, FILES.c.media_type, FILES.c.size)


def files_of(engine: Engine, number: str) -> list[ActionFile]:
    """The files of an action, the oldest first, without their content. Raises `StoreUnavailable`."""
    with reading(engine) as connection:
        rows = connection.execute(
            select(*_FILE).where(FILES.c.action == number).order_by(FILES.c.at_ns, FILES.c.id)
        ).all()
    return [ActionFile(*row) for row in rows]


def file_of(engine: Engine, number: str, file: str) -> tuple[ActionFile, bytes] | None:
    """A file of an action with its content, None if there is none. Raises `StoreUnavailable`."""
    wanted = select(*_FILE, FILES.c.content).where(FILES.c.action == number, FILES.c.id == file)
    with reading(engine) as connection:
        row = connection.execute(wanted).first()
    return None if row is None else (ActionFile(*row[:-1]), bytes(row[-1]))


def add_file(
    engine: Engine,
    item: KeptAction,
    file: ActionFile,
    content: bytes,
    audit: Audit,
    *,
    most: int,
    most_site_bytes: int,
) -> None:
    """Files it. most, most_site_bytes: how many files an action and how many bytes a site may have. Raises `TooMuch` and
    `StoreUnavailable`.
    """
    with writing(engine) as connection:
        connection.execute(select(ACTIONS.c.id).where(ACTIONS.c.id == item.id).with_for_update())
        count = connection.scalar(select(func.count()).where(FILES.c.action == item.id)) or 0
        held = connection.scalar(select(func.sum(FILES.c.size)).where(FILES.c.site == item.site)) or 0
        if count >= most:
            raise TooMuch("too_many_files")
        if held + file.size > most_site_bytes:
            raise TooMuch("site_full")
        row = vars(file) | {"action": item.id, "site": item.site, "content": content}
        connection.execute(FILES.insert().values(**row))
        _note(connection, item.id, file.at_ns, file.who, "filed", file.name)
        audit(connection, "filed", item, file.name)


def new_file(name: str, media_type: str, content: bytes, who: str, now_ns: int) -> ActionFile:
    """A file that is about to be filed."""
    return ActionFile(secrets.token_hex(8), now_ns, who[:80], name, media_type, len(content))
