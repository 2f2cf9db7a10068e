"""Where a study is, without its password: that stands in no round file and on no command line."""

import os
from pathlib import Path

from phoneme_lightning.errors import InputError, redact

__all__ = ["EXAMPLES", "check_url", "resolve_url"]

EXAMPLES = (
    "write journal, or what Optuna takes, such as sqlite:////home/me/study.db or "
    "postgresql://me@host/studies"
)


def check_url(url: str, key: str) -> None:
    """Refuse what is no URL, and a password where others can read it; repeat neither.

    Args:
        url: as for `resolve_url`.
        key: where it stands.

    Raises:
        InputError: it is no URL, or holds a password.
    """
    if url != "journal" and not url.startswith(("env:", "file:")) and "://" not in url:
        raise InputError(f"{key} is no URL of a database: {EXAMPLES}")
    if redact(url) != url:
        raise InputError(
            f"{key} holds a password, which others can read: leave it out and keep it in "
            "~/.pgpass, or give env:NAME, an environment variable that holds the whole URL, or "
            "file:PATH, a file of yours alone that does"
        )


def resolve_url(told: str) -> str:
    """Give the URL of a storage, with its password if it has one.

    Args:
        told: a URL, or `env:NAME`, or `file:PATH`, from `/` or `~`.

    Raises:
        InputError: there is no such variable or file, or others can read the file.
    """
    where, _, name = told.partition(":")
    if where == "env":
        if url := os.environ.get(name, "").strip():
            return url
        if not name:
            raise InputError("storage.url is env: without a name: give env:NAME")
        raise InputError(
            f"storage.url is {told}, and no environment variable {name} is set: set it to the URL, "
            f"such as export {name}=postgresql://me@host/studies"
        )
    if where != "file":
        return told
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise InputError(f"storage.url is {told}: give a path that begins with / or ~")
    try:
        others, url = path.stat().st_mode & 0o077, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise InputError(
            f"storage.url is {told}, which cannot be read ({why}): write the URL into it"
        ) from None
    if others:
        raise InputError(f"storage.url is {told}, which others can read: chmod 600 {path}")
    if not url or len(url.split()) != 1:
        raise InputError(f"storage.url is {told}: the file must hold one URL and nothing else")
    return url
