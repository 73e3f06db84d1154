"""The bundle: the file that the center makes for a gateway at enrolment, with its identity, broker and secret."""

from pathlib import Path as FilePath
from typing import Final, Literal

from pydantic import Field, ValidationError

from config.yaml.common import BrokerLink, SiteId
from config.yaml.complaints import Complaint, Misconfigured

_FILES: Final = ("password_file", "ca_file", "certificate_file", "private_key_file")


class Bundle(BrokerLink):
    """JSON. serial: the number of the secret; gateways report it, so that the center knows when an older one is unused.

    ca: certificates to trust (PEM); "" trusts the system's.
    """

    nhip_bundle: Literal[1] = 1
    site: SiteId
    gateway: SiteId
    password: str = Field(min_length=1)
    serial: int = Field(1, ge=1)
    ca: str = ""


def write_bundle(bundle: Bundle) -> str:
    """The text of the file."""
    return bundle.model_dump_json(indent=2, exclude=set(_FILES)) + "\n"


def load_bundle(path: str | FilePath) -> Bundle:
    """The file at `path`. Raises `Misconfigured` if it cannot be read or is not a bundle."""
    try:
        return Bundle.model_validate_json(FilePath(path).read_text(encoding="utf-8"))
    except OSError as error:
        why = error.strerror or str(error)
    except ValidationError as error:
        first = error.errors()[0]  # never the value: it may be the secret
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".lstrip(": ")
    except UnicodeDecodeError:
        why = "not text"
    raise Misconfigured([Complaint(str(path), 0, "", "", "bundle_unreadable", {"detail": why})])


def bundle_for(path: str, site: str, gateway: str) -> Bundle:
    """The bundle at `path`, if it was made for this gateway. Raises `Misconfigured` otherwise."""
    bundle = load_bundle(path)
    if (bundle.site, bundle.gateway) != (site, gateway):
        values = {"made": f"{bundle.site}/{bundle.gateway}", "named": f"{site}/{gateway}"}
        raise Misconfigured([Complaint(path, 0, "", "", "bundle_of_another", values)])
    return bundle
