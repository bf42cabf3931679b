"""TLS contexts that follow changes of their files, and warnings about certificates that are out of date."""

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from glam_node.node.errors import PermanentError
from glam_node.node.tls.certificates import out_of_date
from glam_node.node.tls.contexts import CertificateFiles, Signature

log = structlog.get_logger(__name__)


class ReloadingContext:
    """A TLS context that is rebuilt when its files change; unusable new files leave the old context in use."""

    def __init__(
        self,
        files: CertificateFiles,
        build: Callable[[CertificateFiles], ssl.SSLContext],
        *,
        for_one_connection: bool = False,
    ) -> None:
        """Build contexts from `files`.

        With `for_one_connection`, each connection gets its own context, so that it cannot resume another TLS session.
        """
        self._files = files
        self._build = build
        self._for_one_connection = for_one_connection
        self._lock = threading.Lock()
        self._signature: Signature | None = None
        self._context: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection.

        Raises:
            PermanentError: The files cannot be used and there is no earlier context.
        """
        with self._lock:
            signature = self._files.signature()
            if self._context is None or signature != self._signature:
                self._context = self._rebuilt()
                self._signature = signature
            elif self._for_one_connection:
                # Unusable files leave the old context in use; that was logged when they changed.
                with suppress(PermanentError):
                    self._context = self._build(self._files)
            return self._context

    def _rebuilt(self) -> ssl.SSLContext:
        try:
            context = self._build(self._files)
        except PermanentError as error:
            if self._context is None:
                raise
            log.error("certificate_not_reloaded", section=self._files.section, failure=str(error))
            return self._context
        log.info("certificate_loaded", section=self._files.section, certificate=str(self._files.certificate or ""))
        warn_of_dates(self._files, context)
        return context


def warn_of_dates(files: CertificateFiles, context: ssl.SSLContext) -> None:
    """Log a warning for each certificate of the node or of an authority that is not valid now."""
    for trouble in out_of_date(files, context, datetime.now(UTC)):
        log.warning("certificate_out_of_date", section=files.section, failure=trouble, remedy="Renew it.")
