"""What every request and answer passes: the headers that keep other pages out, and the longest request."""

from anyio import move_on_after
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tutelage.studio.showing import page

MAX_BODY = 4 << 20
"""Bytes of the longest request: the longest judgment that the store takes, in any script."""

DRAINED = 8 * MAX_BODY
"""How much of a longer one is read and thrown away, so that the browser gets to see why it was refused."""

BODY_S = 120
"""Seconds that a request may take to come in. Who sends one byte a minute would hold its memory for days."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
TOO_LONG = f"""What was sent is longer than {MAX_BODY >> 20} MB, so it was not stored. Go back, shorten it, and send it
again."""


TOO_SLOW = f"What you sent did not come in within {BODY_S} seconds, so it was not stored. Go back, and send it again."


class Guard:
    """Sets the headers of every answer, and refuses requests that are too long, whatever their length says (413), or
    too slow (408).

    Pages are kept in no cache: going back to one asks the store again, and no shared machine keeps an item's text.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        if scope["method"] != "POST":
            await self.app(scope, receive, headed)
            return
        body: bytes | None = None
        said = (408, "Too slow", TOO_SLOW)
        with move_on_after(BODY_S):
            body, said = await _body(receive), (413, "Too long", TOO_LONG)
        if body is None:
            status, title, text = said
            await page("fault.html.j2", status=status, title=title, text=text, kept=[])(scope, receive, headed)
            return
        await self.app(scope, _again(body, receive), headed)


async def _body(receive: Receive) -> bytes | None:
    """The body of a request; None: it is too long, or the browser has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY:
            parts.append(part)
        if size > DRAINED or not message.get("more_body", False):
            return b"".join(parts) if size <= MAX_BODY else None


def _again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives the body that was read, once."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
