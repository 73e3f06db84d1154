"""The broker's address and the account to use. The account is read anew at each connect, so that it can be replaced."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config import Misconfigured
from config.bundle import bundle_for, load_bundle
from config.site.model import GatewayLink

_ACCOUNT: Final = (0x86, 0x87, 0x8A, 0x8C)  # user name or password, not authorized, banned, authentication method
_BUSY: Final = (0x88, 0x89, 0x97, 0x9F)  # unavailable, busy, quota exceeded, connection rate exceeded
_CLIENT_ID: Final = 0x85


@dataclass(frozen=True)
class Broker:
    """Address and account. With a bundle, the account, its secret and the authorities are read from it."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    bundle: Path | None = None
    certificate_file: Path | None = None
    private_key_file: Path | None = None

    def cure(self, code: int) -> str:
        """What to do where the broker refuses CONNECT with this reason code of MQTT 5."""
        if code in _BUSY:
            return "it is tried again by itself"
        if code == _CLIENT_ID:
            return (
                "the broker's rules for client ids, or for the keep-alive (Mosquitto: max_keepalive), refuse this one"
            )
        if code not in _ACCOUNT:
            return "see the broker's log"
        if self.bundle:
            return f"{self.bundle} is not valid any more; ask the center for a new one (nhip enroll)"
        return "check username, password_file and the broker's access rules"


@dataclass(frozen=True)
class Login:
    """The account that one connection uses. authorities: certificates to trust (PEM), None for the system's; serial: the number of
    the secret, 0 without a bundle; stamp: tells whether the bundle has been replaced since.
    """

    username: str | None
    password: str | None
    authorities: str | None
    serial: int = 0
    stamp: tuple[int, int] = (0, 0)


def broker_of(link: GatewayLink, site: str, gateway: str) -> Broker:
    """The broker of a site file. Raises `Misconfigured` for a bundle that is not this gateway's."""
    if link.bundle:
        bundle = bundle_for(link.bundle, site, gateway)
        return Broker(
            bundle.host, bundle.port, bundle.tls, bundle.username, bundle=Path(link.bundle), **_certificate(link)
        )
    return Broker(
        link.host,
        link.port,
        link.tls,
        link.username or None,
        Path(link.password_file) if link.password_file else None,
        Path(link.ca_file) if link.ca_file else None,
        **_certificate(link),
    )


def _certificate(link: GatewayLink) -> dict[str, Path]:
    names = ("certificate_file", "private_key_file")
    return {name: Path(getattr(link, name)) for name in names if getattr(link, name)}


def login(broker: Broker) -> Login:
    """The account as of now. Raises `OSError` if a file cannot be read or is not a bundle."""
    if broker.bundle:
        stamp = stamp_of(broker.bundle)
        try:
            bundle = load_bundle(broker.bundle)
        except Misconfigured as error:
            raise OSError(str(error)) from error
        return Login(bundle.username, bundle.password, bundle.ca or None, bundle.serial, stamp)
    password = _text("center.password_file", broker.password_file)
    return Login(broker.username, password and password.strip(), _text("center.ca_file", broker.ca_file))


def _text(setting: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise OSError(f"cannot read {setting} {file}: {why}; put the file there, or correct the site file") from error


def stamp_of(bundle: Path) -> tuple[int, int]:
    """Changes when the file is replaced or written; (0, 0) while there is none."""
    try:
        file_stat = bundle.stat()
    except OSError:
        return (0, 0)
    return (file_stat.st_ino, file_stat.st_mtime_ns)
