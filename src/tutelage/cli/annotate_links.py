"""The links by which people come to the annotation page."""

from urllib.parse import urlsplit

from tutelage.errors import DataError, Problem


def page_address(text: str, option: str) -> str:
    """Return the address of a page without the slash at its end; nothing for nothing. Raises :class:`DataError`."""
    if not text:
        return ""
    remedy = "write https://work.example.org, or http://127.0.0.1:8642"
    try:
        parts = urlsplit(text)
        readable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        readable = False
    if not readable or not text.isprintable() or " " in text:
        raise DataError("the page's address", [Problem("expected an address of the web", option, text, remedy)])
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        what = "the page has a host of its own: no path, query or name belongs to its address"
        raise DataError("the page's address", [Problem(what, option, text, remedy)])
    return f"{parts.scheme}://{parts.netloc}"


def link_of(page: str, token: str) -> str:
    """Return the link of whom a token belongs to. What follows ``#`` is sent to no server and stands in no log."""
    return f"{page}/enter#{token}"
