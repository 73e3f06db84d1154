"""Security of a session: our certificate and user, and the server's pinned certificate."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import cert_gen, security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.uaerrors import UaError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from adapters.contract import DeviceMisconfigured, Fault
from adapters.opcua.model import OpcUaDevice

VALID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
"""Our certificates are valid from here on: a PLC whose clock is behind ours, or starts in 2000, finds them valid too."""
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
"""It is later than this, whatever a gateway without a clock believes."""
VALID_DAYS = 7300
"""Validity of our certificate [days]: a technician trusts it at the server once, so it should outlive the machine."""


async def secure(client: Client, device: OpcUaDevice) -> None:
    """Sets the user, certificate and security of the site file on `client`; creates missing files."""
    client.application_uri = device.application_uri
    if device.user is not None:
        client.set_user(device.user)
        client.set_password(_password(device))
    if device.security == "None":
        return
    policy_name, _, mode_name = device.security.partition("/")
    policy = getattr(security_policies, f"SecurityPolicy{policy_name}")
    mode = ua.MessageSecurityMode[mode_name]
    if device.certificate_file is None or device.private_key_file is None:
        raise _unusable(f"{device.url}: no place for our certificate; write certificate_file and private_key_file")
    _make_certificate(Path(device.certificate_file), Path(device.private_key_file), device.application_uri)
    _check_validity(device.url, Path(device.certificate_file))
    server = await _server_certificate(client, device, mode, policy.URI)
    await client.set_security(
        policy,
        CertProperties(device.certificate_file, "der"),
        CertProperties(device.private_key_file, "pem"),
        server_certificate=CertProperties(server, "der"),
        mode=mode,
    )


async def _server_certificate(client: Client, device: OpcUaDevice, mode: ua.MessageSecurityMode, uri: str) -> bytes:
    """The pinned certificate; on first use, the one that the server presents is pinned.

    A server with another certificate than the pinned one cannot decrypt what we send and stays silent, so they are
    compared beforehand; a server that presents none without security is assumed to be the pinned one.
    """
    pinned = _read(device.server_certificate_file)
    try:
        endpoint = Client.find_endpoint(await client.connect_and_get_server_endpoints(), mode, uri)
    except (OSError, UaError):
        if pinned is None:
            raise
        return pinned
    presented = _first_of_chain(bytes(endpoint.ServerCertificate))
    if pinned is not None and pinned != presented:
        raise _unusable(
            f"{device.url}: the server shows another certificate than {device.server_certificate_file}; "
            "if it is the right server and was given a new one, remove that file",
            "opcua_other_certificate",
            elsewhere=True,
        )
    if pinned is None and device.server_certificate_file is not None:
        _pin(Path(device.server_certificate_file), presented)
    return presented


def _first_of_chain(chain: bytes) -> bytes:
    """The server's own certificate, the first of a chain (DER, length in two bytes)."""
    return chain[: int.from_bytes(chain[2:4], "big") + 4]


def _pin(path: Path, certificate: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, certificate)
    except OSError as error:
        raise _unusable(f"{path}: the server's certificate cannot be kept there: {error.strerror}") from error


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


def _password(device: OpcUaDevice) -> str:
    assert device.password_file is not None  # the model asks for it
    try:
        return Path(device.password_file).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        text = f"password_file {device.password_file!r} cannot be read: {error.strerror}"
        raise _unusable(text, "device_misconfigured") from error


def _make_certificate(certificate: Path, key: Path, application_uri: str) -> None:
    """Creates a self-signed certificate unless it exists, and its key unless that exists."""
    if certificate.exists():
        if key.exists():
            return
        raise _unusable(f"{key} is missing; put it there, or remove {certificate.name} so that both are made anew")
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(application_uri),
        x509.DNSName(socket.gethostname()),
    ]
    try:
        private_key = _private_key(key)
        created = cert_gen.generate_self_signed_app_certificate(
            private_key, application_uri, {"organizationName": "Nhip"}, names, [ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        certificate.parent.mkdir(parents=True, exist_ok=True)
        _write(certificate, _dated(created, private_key).public_bytes(Encoding.DER))
    except OSError as error:
        raise _unusable(f"{error.filename}: our certificate cannot be written: {error.strerror}") from error


def _dated(created: x509.Certificate, private_key: RSAPrivateKey) -> x509.Certificate:
    """The same certificate, valid from `VALID_FROM` on, and for `VALID_DAYS` from now or from when this was written."""
    until = max(datetime.now(UTC), WRITTEN) + timedelta(days=VALID_DAYS)
    builder = (
        x509.CertificateBuilder()
        .subject_name(created.subject)
        .issuer_name(created.issuer)
        .public_key(private_key.public_key())
        .serial_number(created.serial_number)
        .not_valid_before(VALID_FROM)
        .not_valid_after(until)
    )
    for extension in created.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(private_key, SHA256())


def _check_validity(url: str, certificate: Path) -> None:
    """Refuses a certificate that no server can accept; it is not replaced, since the gateway's clock may be the wrong one,
    and a new one has to be trusted at every server again.
    """
    found = x509.load_der_x509_certificate(certificate.read_bytes())
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    if not begin <= datetime.now(UTC) <= end:
        raise _unusable(
            f"{url}: our certificate {certificate} is valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}; if the gateway's clock is "
            "right, remove that file so that a new one is made, and trust it at the server",
            "opcua_certificate_expired",
            elsewhere=True,
        )


def _private_key(path: Path) -> RSAPrivateKey:
    """The key in that file, created if missing. A power cut may leave a key without a certificate, never the reverse."""
    if path.exists():
        loaded = load_pem_private_key(path.read_bytes(), None)
        if not isinstance(loaded, RSAPrivateKey):
            raise _unusable(f"{path} holds no RSA key; remove it so that one is made")
        return loaded
    created = cert_gen.generate_private_key()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path, cert_gen.dump_private_key_as_pem(created))
    return created


def _unusable(text: str, code: str = "opcua_files", *, elsewhere: bool = False) -> DeviceMisconfigured:
    return DeviceMisconfigured(text, elsewhere=elsewhere, fault=Fault(code, detail=text, extent="device"))


def _write(path: Path, data: bytes) -> None:
    """Writes atomically: the whole file or nothing."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.replace(path)
