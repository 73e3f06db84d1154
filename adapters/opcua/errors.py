"""Errors of asyncua as errors of the adapter contract: temporary, to be retried gently, or a matter of configuration."""

from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.opcua.client import NO_ENDPOINT

HOPELESS = {
    StatusCodes.BadUserAccessDenied: "the server refuses this user; check user and password_file",
    StatusCodes.BadIdentityTokenInvalid: "the server does not accept this kind of user; check user and password_file",
    StatusCodes.BadIdentityTokenRejected: "the server refuses user or password; check user and password_file",
    StatusCodes.BadSecurityChecksFailed: "the server refuses our certificate; trust it at the server",
    StatusCodes.BadCertificateUntrusted: "the server does not trust our certificate; move it there from rejected to trusted",
    StatusCodes.BadCertificateTimeInvalid: "our certificate is not valid by the server's clock; compare the clocks",
    StatusCodes.BadCertificateInvalid: "the server finds our certificate invalid; remove certificate_file and its key",
    StatusCodes.BadCertificateUriInvalid: "application_uri is not the one in our certificate",
    StatusCodes.BadCertificateUseNotAllowed: "our certificate may not be used for this; remove it and its key",
    StatusCodes.BadSecurityPolicyRejected: "the server does not offer this security; check `security`",
    StatusCodes.BadSecurityModeRejected: "the server does not offer this security; check `security`",
}
ELSEWHERE = {
    StatusCodes.BadSecurityChecksFailed,
    StatusCodes.BadCertificateUntrusted,
    StatusCodes.BadCertificateTimeInvalid,
    StatusCodes.BadSecurityPolicyRejected,
    StatusCodes.BadSecurityModeRejected,
}
"""What can be fixed at the server, so it is tried again. Not users and passwords: retries may lock an account."""
CROWDED = {StatusCodes.BadTooManySessions, StatusCodes.BadMaxConnectionsReached, StatusCodes.BadTcpServerTooBusy}


def connection_error(error: Exception, url: str, *, reached: bool) -> NotConnected | DeviceMisconfigured:
    """The error to raise for a failed connection attempt. reached: the socket had been opened."""
    if isinstance(error, NotConnected | DeviceMisconfigured):
        return error
    if isinstance(error, UaStatusCodeError):
        if error.code in HOPELESS:
            return DeviceMisconfigured(f"{url}: {HOPELESS[error.code]} ({error})", elsewhere=error.code in ELSEWHERE)
        return NotConnected(f"{url}: {error}", gentle=error.code in CROWDED)
    if isinstance(error, UaError):
        text = str(error)
        if text.startswith("No matching endpoints"):
            what = f"the server does not offer this security; check `security` ({text})"
            return DeviceMisconfigured(f"{url}: {what}", elsewhere=True)
        if text == NO_ENDPOINT:
            return DeviceMisconfigured(f"{url}: {text}", elsewhere=True)
        if text == "Server certificate mismatch":
            return DeviceMisconfigured(
                f"{url}: another certificate than server_certificate_file; is it the same server?"
            )
        return NotConnected(f"{url}: {text}")
    if isinstance(error, ValueError) or getattr(error, "filename", None):
        return DeviceMisconfigured(f"{url}: a certificate or key cannot be read: {error}")
    if isinstance(error, TimeoutError):
        what = "it accepts connections but does not answer" if reached else "no connection; is it on?"
        return NotConnected(f"{url}: {what}", gentle=reached)
    return NotConnected(
        f"{url}: {error or type(error).__name__}", gentle=reached and isinstance(error, ConnectionError)
    )
