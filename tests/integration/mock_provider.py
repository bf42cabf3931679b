"""The OpenID provider oidc-provider-mock, an independent implementation, as a separate process."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port


@contextmanager
def mock_provider() -> Iterator[str]:
    """Run the provider and yield its issuer; it knows anna and the registered clients."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-registration"]
    claims = json.dumps({"sub": "anna", "groups": ["mammography"]})
    process = subprocess.Popen(
        [*command, "--user-claims", claims], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    issuer = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{issuer}/jwks", timeout=60).close()
                break
            except OSError:
                time.sleep(0.1)
        yield issuer
    finally:
        process.terminate()
        process.wait()


def registered(issuer: str, redirect_uri: str) -> dict[str, str]:
    """Register a client and return its ID and secret."""
    request = urllib.request.Request(
        f"{issuer}/oauth2/clients",
        json.dumps({"redirect_uris": [redirect_uri]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, str] = json.loads(answer.read())
    return found
