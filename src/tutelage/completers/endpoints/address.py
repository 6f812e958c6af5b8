"""What can be known of an endpoint before anything is sent to it: its address, and whether its key is set."""

import ipaddress
import os
from urllib.parse import urlsplit

from tutelage.errors import CompletionError


def read_key(variable: str) -> str:
    """Return the key that the environment variable holds, empty where no variable is named.

    Raises :class:`CompletionError` where it is not set, or holds what no header may (a line break inside).
    """
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise CompletionError(
            "the variable that holds the endpoint's key is not set",
            received=variable,
            remedy=f"set it for this command: {variable}=... tutelage run ...",
        )
    if not (key.isascii() and key.isprintable()):
        raise CompletionError(
            "the variable that holds the endpoint's key holds what is no key",
            received=f"{variable}, {len(key)} characters, not all of them printable ASCII",
            remedy="set it to the key alone",
        )
    return key


def check_address(base_url: str, allow_remote: bool) -> None:
    """Raise :class:`CompletionError` for what is no address, holds credentials, or leaves this machine unasked."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable:
        raise CompletionError(
            "this is no endpoint address",
            received=base_url.rpartition("@")[2],
            remedy="for example http://127.0.0.1:8000/v1",
        )
    if parts.username or parts.password:
        raise CompletionError(
            "the address holds credentials", where=public_address(base_url), remedy="name a key variable instead"
        )
    if not allow_remote and not is_loopback(parts.hostname or ""):
        raise CompletionError(
            "the endpoint is not on this machine",
            received=public_address(base_url),
            remedy="set allow_remote: true if your items may be sent there",
        )


def public_address(base_url: str) -> str:
    """Return the address without user, password, query and fragment."""
    parts = urlsplit(base_url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def endpoint_name(model: str, base_url: str) -> str:
    """Return how an endpoint is named in lineage, logs and errors."""
    return f"{model} at {public_address(base_url)}"


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
