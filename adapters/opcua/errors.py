"""Errors of asyncua as errors of the adapter contract: temporary, to be retried gently, or a matter of configuration. Each
bears its fault of the message catalogue, so that every place names the same cause.
"""

from typing import NamedTuple

from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from adapters.connection_faults import os_code
from adapters.contract import DeviceMisconfigured, Fault, NotConnected
from adapters.opcua.client import NoEndpoint


class Refusal(NamedTuple):
    """What a status of the server means. text: for logs; code: of the message catalogue; elsewhere: can be put right at the
    server, so it is tried again (not users and passwords: retries may lock an account).
    """

    text: str
    code: str
    elsewhere: bool = False


_USER = "the server refuses user or password; check user and password_file"
_SECURITY = Refusal("the server does not offer this security; check `security`", "opcua_security", elsewhere=True)
HOPELESS = {
    StatusCodes.BadUserAccessDenied: Refusal(_USER, "opcua_user"),
    StatusCodes.BadIdentityTokenInvalid: Refusal("the server does not accept this kind of user", "opcua_user"),
    StatusCodes.BadIdentityTokenRejected: Refusal(_USER, "opcua_user"),
    StatusCodes.BadSecurityChecksFailed: Refusal(
        "the server refuses our certificate; trust it at the server", "opcua_untrusted", elsewhere=True
    ),
    StatusCodes.BadCertificateUntrusted: Refusal(
        "the server does not trust our certificate; move it there from rejected to trusted",
        "opcua_untrusted",
        elsewhere=True,
    ),
    StatusCodes.BadCertificateTimeInvalid: Refusal(
        "our certificate is not valid by the server's clock; compare the clocks",
        "opcua_certificate_time",
        elsewhere=True,
    ),
    StatusCodes.BadCertificateInvalid: Refusal(
        "the server finds our certificate invalid; remove certificate_file and its key", "opcua_certificate"
    ),
    StatusCodes.BadCertificateUriInvalid: Refusal(
        "application_uri is not the one in our certificate", "opcua_certificate"
    ),
    StatusCodes.BadCertificateUseNotAllowed: Refusal(
        "our certificate may not be used for this; remove it and its key", "opcua_certificate"
    ),
    StatusCodes.BadSecurityPolicyRejected: _SECURITY,
    StatusCodes.BadSecurityModeRejected: _SECURITY,
}
CROWDED = {StatusCodes.BadTooManySessions, StatusCodes.BadMaxConnectionsReached, StatusCodes.BadTcpServerTooBusy}


def connection_error(error: Exception, url: str, *, reached: bool) -> NotConnected | DeviceMisconfigured:
    """The error to raise for a failed connection attempt. reached: the socket had been opened."""
    if isinstance(error, NotConnected | DeviceMisconfigured):
        return error
    if isinstance(error, UaStatusCodeError):
        refusal = HOPELESS.get(error.code)
        if refusal is not None:
            return refused(url, f"{refusal.text} ({error})", refusal.code, elsewhere=refusal.elsewhere)
        if error.code in CROWDED:
            return lost(url, str(error), "opcua_crowded", gentle=True)
        return lost(url, str(error), "opcua_refused", status=type(error).__name__)
    if isinstance(error, NoEndpoint):
        return refused(url, str(error), "opcua_no_endpoint", elsewhere=True)
    if isinstance(error, UaError):
        text = str(error)
        if text.startswith("No matching endpoints"):  # asyncua has no type of its own for these two
            return refused(url, f"{_SECURITY.text} ({text})", _SECURITY.code, elsewhere=True)
        if text == "Server certificate mismatch":
            text = "another certificate than server_certificate_file; is it the same server?"
            return refused(url, text, "opcua_other_certificate")
        return lost(url, text, "connection_failed")
    if isinstance(error, ValueError) or getattr(error, "filename", None):
        return refused(url, f"a certificate or key cannot be read: {error}", "opcua_files")
    if isinstance(error, TimeoutError):
        if reached:
            return lost(url, "it accepts connections but does not answer", "opcua_silent", gentle=True)
        return lost(url, "no connection; is it on?", "connect_timeout")
    gentle = reached and isinstance(error, ConnectionError)
    code = "opcua_closed" if gentle else os_code(error)
    return lost(url, str(error) or type(error).__name__, code, gentle=gentle)


def lost(url: str, reason: str, code: str, *, gentle: bool = False, **values: str) -> NotConnected:
    """A server that cannot be reached, with its fault. values: for the placeholders of its texts."""
    text = f"{url}: {reason}"
    return NotConnected(text, gentle=gentle, fault=Fault(code, values=values, detail=text, extent="device"))


def refused(url: str, reason: str, code: str, *, elsewhere: bool = False) -> DeviceMisconfigured:
    """A server that only people can make readable, with its fault. elsewhere: see `DeviceMisconfigured`."""
    text = f"{url}: {reason}"
    return DeviceMisconfigured(text, elsewhere=elsewhere, fault=Fault(code, detail=text, extent="device"))
