"""Local commands authenticate by read access to the database: it holds the key that signs their bearer token.

Such a token has all rights for ten minutes; nothing is stored.
"""

import getpass
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy import Engine

from center.accounts.audit import Actor
from center.accounts.sessions import signing_key
from center.model.viewer import EVERYTHING, Viewer

PREFIX: Final = "command:"
_LASTS_S: Final = 600
_SALT: Final = "nhip command"


def pass_for(engine: Engine) -> str:
    """The bearer token of a local command."""
    return PREFIX + str(URLSafeTimedSerializer(signing_key(engine), _SALT).dumps(at_the_machine().name))


def viewer_of_pass(engine: Engine, secret: str) -> Viewer | None:
    """The viewer of a token with a valid signature that has not expired, else None."""
    try:
        name = URLSafeTimedSerializer(signing_key(engine), _SALT).loads(secret.removeprefix(PREFIX), max_age=_LASTS_S)
    except BadData:
        return None
    return Viewer(str(name), None, EVERYTHING.rights)


def at_the_machine() -> Actor:
    """The user who runs a local command, for the audit trail."""
    try:
        return Actor(f"{getpass.getuser()} (command)")
    except (KeyError, OSError):  # an account without a name, as in a container
        return Actor("command")
