"""Browsers in which an account was logged in before: a signed cookie that lasts, with an id for each account.

Failed logins of others are counted elsewhere and never delay such a browser. The cookie opens nothing. Pure but for ids.
"""

import hashlib
import secrets
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

COOKIE: Final = "nhip_browser"
LASTS_S: Final = 400 * 86_400
"""Browsers keep no cookie for longer."""
_SALT: Final = "nhip browser"
_MOST: Final = 8
_LONGEST: Final = 2000


def browser_of(key: str, cookie: str, account: str) -> str:
    """The id of this browser at an account; "" if it was never logged in here, or nobody signed the cookie."""
    return _read(key, cookie).get(_name(account), "")


def with_account(key: str, cookie: str, account: str) -> str:
    """The cookie after a login: it keeps what it has, of at most eight accounts."""
    known = _read(key, cookie)
    identity = known.pop(_name(account), "") or secrets.token_urlsafe(9)
    kept = dict([*known.items(), (_name(account), identity)][-_MOST:])
    return str(URLSafeSerializer(key, _SALT).dumps(kept))


def _read(key: str, cookie: str) -> dict[str, str]:
    if not cookie or len(cookie) > _LONGEST:
        return {}
    try:
        found: dict[str, Any] = URLSafeSerializer(key, _SALT).loads(cookie)
    except BadData:
        return {}
    return {str(name): str(value) for name, value in found.items()}


def _name(account: str) -> str:
    return hashlib.sha256(account.encode()).hexdigest()[:16]
