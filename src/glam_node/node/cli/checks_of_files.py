"""The checks of `doctor` and `settings check` for certificate and password files, and for the model package."""

import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from glam_node.inference.errors import PackageMismatch
from glam_node.node.bootstrap.messages import template_problems
from glam_node.node.cli.checks import Check, Verdict
from glam_node.node.domain.words import counted, unstopped
from glam_node.node.errors import PermanentError
from glam_node.node.scu.syslog import audit_collector
from glam_node.node.scu.tls import peer_tls
from glam_node.node.tls.certificates import Validity, authorities, validity
from glam_node.node.tls.contexts import CertificateFiles, client_context, server_context
from glam_node.settings.connection import ConnectionSettings
from glam_node.settings.destination_base import ServerSettings
from glam_node.settings.destinations import HL7Settings, StowSettings
from glam_node.settings.problems import Problem
from glam_node.settings.schema import Settings
from glam_node.settings.secret_files import SecretFileError, read_secret
from glam_node.settings.sources import DicomwebSettings

EXPIRES_SOON = timedelta(days=30)
FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
CLIENT_SECRET = "console.oidc.client_secret_path"  # noqa: S105 - the name of a setting
SIGN_IN = "console.oidc"
"""The section that names a file of authorities, but no certificate of this node."""


def check_certificates(settings: Settings) -> Iterator[Check]:
    """Check the certificate files of each section that uses TLS."""
    now = datetime.now(UTC)
    tls = settings.tls
    if tls.port is not None:
        ca = tls.ca if tls.client_certificate != "none" else None
        yield _check(CertificateFiles("tls", tls.certificate, tls.key, ca), now, of_server=True)
    console = settings.console
    if console.port and console.certificate is not None:
        yield _check(CertificateFiles("console", console.certificate, console.key), now, of_server=True)
    hl7 = settings.hl7
    if hl7.port and hl7.certificate is not None:
        yield _check(CertificateFiles("hl7", hl7.certificate, hl7.key, hl7.ca), now, of_server=True)
    if console.port and console.oidc.ca is not None:
        yield _check(CertificateFiles(SIGN_IN, None, None, console.oidc.ca), now, of_server=False)
    for section, server in _called(settings):
        if (called := peer_tls(section, server)) is not None:
            yield _check(called.files, now, of_server=False)
    collector = audit_collector(settings.audit)
    if collector is not None:
        yield _check(collector.tls.files, now, of_server=False)


def file_problems(settings: Settings) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """Check certificate and password files, and the model package.

    Returns:
        Files that cannot be used, and files that expire soon or that other users may read.
    """
    checks = [*check_certificates(settings), *check_secrets(settings), *check_templates(settings)]
    checks += check_package(settings)
    failed, warned = (
        tuple(
            Problem(_key(check.name), f"{unstopped(check.fact)}. {check.remedy}".strip())
            for check in checks
            if check.verdict is verdict
        )
        for verdict in (Verdict.FAIL, Verdict.WARN)
    )
    return failed, warned


def _called(settings: Settings) -> Iterator[tuple[str, ConnectionSettings]]:
    """Yield the section and the settings of each archive that the node calls."""
    for name, destination in settings.destinations.items():
        if isinstance(destination, ServerSettings):
            yield f"destinations.{name}", destination
    for name, source in settings.sources.items():
        yield f"sources.{name}", source


def _check(files: CertificateFiles, now: datetime, *, of_server: bool) -> Check:
    name = _line(files)
    try:
        if of_server:
            context = server_context(files, ssl.CERT_NONE if files.ca is None else ssl.CERT_REQUIRED)
        else:
            context = client_context(files)
        old = _old_authority(files, context, now)
        if old is not None:
            return old
        if files.certificate is None:
            return Check(name, Verdict.OK, "the node presents no certificate, and verifies that of the other side")
        good = validity(files, of_server=of_server)
    except PermanentError as error:
        return Check(name, Verdict.FAIL, str(error), f"Correct {files.section}.certificate, .key and .ca.")
    return _own(files, name, good, now)


def _line(files: CertificateFiles) -> str:
    return f"{files.section} {'authorities' if files.section == SIGN_IN else 'certificate'}"


def _key(line: str) -> str:
    """Return the key of the setting that the check named `line` is about."""
    section, _, what = line.rpartition(" ")
    if not section:
        return line
    return f"{section}.{'ca' if what == 'authorities' else what}"


def _own(files: CertificateFiles, name: str, good: Validity, now: datetime) -> Check:
    fact = f"{files.certificate} is valid from {good.not_before:%Y-%m-%d %H:%M} to {good.not_after:%Y-%m-%d %H:%M} UTC"
    if now < good.not_before:
        return Check(name, Verdict.FAIL, f"{fact}: not yet", "Check the clock of this machine, or wait.")
    if now > good.not_after:
        return Check(name, Verdict.FAIL, f"{fact}: it has expired", "Renew it; no restart is needed.")
    if good.not_after - now < EXPIRES_SOON:
        days = (good.not_after - now).days
        return Check(name, Verdict.WARN, f"{fact}: {counted(days, 'day')} left", "Renew it; no restart is needed.")
    if files.key is not None and files.key.stat().st_mode & FOR_OTHERS:
        return Check(name, Verdict.WARN, f"{fact}; other users may read {files.key}", f"chmod 600 {files.key}")
    return Check(name, Verdict.OK, fact)


def _old_authority(files: CertificateFiles, context: ssl.SSLContext, now: datetime) -> Check | None:
    """Return a check of the first authority in `ca` that has expired or expires soon; None if there is none."""
    for name, good in sorted(authorities(context), key=lambda one: one[1].not_after) if files.ca else ():
        fact = f"{files.ca} has the authority {name}, valid until {good.not_after:%Y-%m-%d %H:%M} UTC"
        remedy = f"Add its successor to the file {files.section}.ca; no restart is needed."
        if now > good.not_after:
            return Check(_line(files), Verdict.FAIL, f"{fact}: it has expired", remedy)
        if good.not_after - now < EXPIRES_SOON:
            days = (good.not_after - now).days
            return Check(_line(files), Verdict.WARN, f"{fact}: {counted(days, 'day')} left", remedy)
    return None


def check_secrets(settings: Settings) -> Iterator[Check]:
    """Check each password file that the settings use."""
    console, alerts = settings.console, settings.alerts
    if console.port and console.oidc.issuer is not None and console.oidc.client_secret_path is not None:
        yield check_secret(CLIENT_SECRET, console.oidc.client_secret_path)
    if alerts.smtp_host is not None and alerts.smtp_password_path is not None:
        yield check_secret("alerts.smtp_password_path", alerts.smtp_password_path)
    for section, server in _called(settings):
        if isinstance(server, StowSettings | DicomwebSettings) and server.authorization is not None:
            yield check_secret(f"{section}.authorization", server.authorization)


def check_templates(settings: Settings) -> Iterator[Check]:
    """Check the template of each HL7 destination that has its own."""
    broken = template_problems(settings)
    for name, destination in settings.destinations.items():
        if isinstance(destination, HL7Settings) and destination.template is not None:
            key = f"destinations.{name}.template"
            verdict = Verdict.FAIL if name in broken else Verdict.OK
            yield Check(key, verdict, broken.get(name, f"{destination.template} makes valid segments"))


def check_package(settings: Settings) -> Iterator[Check]:
    """Check that the model package can be read; it may be on the machines of the workers only if there is a broker."""
    from glam_node.inference.package import read_package

    package = settings.inference.package
    if package is None:
        return
    try:
        read_package(package)
    except PackageMismatch as error:
        if settings.broker_url:
            remedy = "Workers need it on their machines, and the node needs it to know which kinds of image it accepts."
            yield Check("inference.package", Verdict.WARN, str(error), remedy)
        else:
            yield Check("inference.package", Verdict.FAIL, str(error))


def check_secret(key: str, path: Path) -> Check:
    """Check that the password file of one setting can be read, and only by its owner."""
    remedy = "Write only the secret to this file, and make it readable for the user of the node."
    try:
        read_secret(path)
        mode = path.stat().st_mode
    except SecretFileError as error:
        return Check(key, Verdict.FAIL, str(error), remedy)
    if mode & FOR_OTHERS:
        return Check(key, Verdict.WARN, f"other users may read {path}", f"chmod 600 {path}")
    return Check(key, Verdict.OK, f"only its owner can read {path}")
