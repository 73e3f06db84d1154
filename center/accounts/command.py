"""Commands at the center's own machine: whoever can read its database may do everything through its API for a while.

They sign a word with a key that lies there; nothing is kept, and it is over after ten minutes.
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
    """What a command sends as its bearer token."""
    return PREFIX + str(URLSafeTimedSerializer(signing_key(engine), _SALT).dumps(at_the_machine().name))


def viewer_of_pass(engine: Engine, secret: str) -> Viewer | None:
    """The viewer of a pass that is sound and not over."""
    try:
        name = URLSafeTimedSerializer(signing_key(engine), _SALT).loads(secret.removeprefix(PREFIX), max_age=_LASTS_S)
    except BadData:
        return None
    return Viewer(str(name), None, EVERYTHING.rights)


def at_the_machine() -> Actor:
    """Who runs a command here, for the audit."""
    try:
        return Actor(f"{getpass.getuser()} (command)")
    except (KeyError, OSError):  # an account without a name, as in a container
        return Actor("command")
