"""Who gives a command."""

from __future__ import annotations

import getpass


def user() -> str:
    """The person, by the name that the system has for them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"
