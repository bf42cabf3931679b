"""Reading of a password or token from a file, with errors that never contain the secret."""

import re
from pathlib import Path


class SecretFileError(Exception):
    """The file cannot be used; the message gives the reason, without its content."""


def read_secret(path: Path) -> str:
    """Return the secret in a file that holds one line of printable ASCII characters.

    Raises:
        SecretFileError: The file cannot be used. If a site wrote the secret itself instead of a path, the message does
            not repeat it.
    """
    is_path = path.is_absolute() or path.exists() or (len(path.parts) > 1 and path.parent.is_dir())
    shown = str(path) if is_path else "the file that it names"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SecretFileError(f"{shown} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretFileError(f"{shown} cannot be read: it is not a text file") from None
    if not text:
        raise SecretFileError(f"{shown} is empty")
    if not re.fullmatch(r"[ -~]+", text):
        raise SecretFileError(f"{shown} must contain one line of printable ASCII characters and nothing else")
    return text
