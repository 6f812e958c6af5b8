"""Who is asking: the token of an annotator, the cookie that carries it, and requests that other pages forge.

A link ends in ``/enter#TOKEN``. What follows ``#`` is never sent with a request, so the token stands in no log of
this server or of a proxy before it: the page's script takes it out of the address, so that going back does not find it,
and sends it as a form; without script it is pasted. From then on it is in a cookie that no script can read and no other
site can send with a form. The cookie is the token itself, so that a token that ends, ends everywhere at once, and a
server that is started anew asks nobody to come in again.
"""

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tutelage.annotation.sql.store import Store
from tutelage.studio.guard import MAX_BODY
from tutelage.studio.showing import page

T = TypeVar("T")
AT_ONCE = 10  # as many connections as the store's pool opens at most, less some for other calls
COOKIE_S = 30 * 86_400
MAX_FIELDS = 5000
Sent = Mapping[str, tuple[str, ...]]


class Refused(Exception):
    """A request that is turned away, with what a person is told. ``door``: they may come in with another token."""

    def __init__(self, status: int, title: str, text: str, *, door: bool = False) -> None:
        self.status, self.title, self.text, self.door = status, title, text, door
        super().__init__(title)


@dataclass(frozen=True, slots=True)
class Office:
    """What all pages share. ``secure``: people reach them over TLS alone; ``above``: see ``annotate adjudicate``."""

    store: Store
    secure: bool = False
    above: float = 0.3
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))

    @property
    def cookie(self) -> str:
        """The cookie's name, another for each store: cookies do not tell the ports of one machine apart."""
        database = self.store.database
        place = os.path.realpath(database.place) if database.is_sqlite else database.place
        return f"tutelage-{hashlib.sha256(os.fsencode(place)).hexdigest()[:8]}"

    async def ask(self, work: Callable[[], T]) -> T:
        """Run what asks the store in a thread."""
        return await to_thread.run_sync(work, limiter=self.limiter)

    def token(self, request: Request) -> str:
        """Return the token of whoever asks. Raises :class:`Refused` if there is none."""
        token = request.cookies.get(self.cookie, "")
        if not token:
            raise Refused(403, "You are not signed in", "Open the link that you were given.", door=True)
        return token

    async def sent(self, request: Request, *, keyed: bool = True) -> Sent:
        """Return what a form sent, after a look at who sent it. Raises :class:`Refused` for a forged one.

        ``keyed``: the form has a key, which :meth:`check` is asked about next.
        """
        _check_site(request, keyed=keyed)
        if (await request.body()).count(b"&") > MAX_FIELDS and "urlencoded" in request.headers.get("content-type", ""):
            raise Refused(400, "The form is broken", "It has too many fields.")  # empty ones too take their time
        form = await request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY)
        values: dict[str, list[str]] = {}
        for name, value in form.multi_items():
            values.setdefault(name, []).append(str(value))
        return {name: tuple(several) for name, several in values.items()}

    def check(self, token: str, sent: Sent) -> None:
        """Raise :class:`Refused` unless the form was made for the one who sends it."""
        if not hmac.compare_digest(sent.get("key", ("",))[0].encode(), form_key(token).encode()):
            raise Refused(
                403,
                "This form is not yours",
                "Somebody else has signed in with this browser since the form was opened, or another site sent it. "
                "Nothing was stored. Open your own link again.",
                door=True,
            )


def form_key(token: str) -> str:
    """Return what every form of a person carries, and nobody else can know."""
    return hmac.new(token.encode("utf-8", "surrogatepass"), b"form", hashlib.sha256).hexdigest()


async def door(office: Office, request: Request) -> Response:
    """The page where people come in."""
    return page("enter.html.j2", title="Sign in", text="", kept=[])


async def enter(office: Office, request: Request) -> Response:
    """Take a token, and answer with the cookie."""
    sent = await office.sent(request, keyed=False)
    token = sent.get("token", ("",))[0].strip().rpartition("#")[2]  # people paste the whole link
    await office.ask(lambda: office.store.who(token))
    answer = RedirectResponse("/", status_code=303)
    secure = office.secure or request.url.scheme == "https"
    answer.set_cookie(office.cookie, token, max_age=COOKIE_S, httponly=True, samesite="lax", secure=secure)
    return answer


async def leave(office: Office, request: Request) -> Response:
    """Forget who it was."""
    office.check(office.token(request), await office.sent(request))
    answer = RedirectResponse("/enter", status_code=303)
    answer.delete_cookie(office.cookie, httponly=True, samesite="lax")
    return answer


def _check_site(request: Request, *, keyed: bool) -> None:
    """Refuse forms that another site sends. Browsers say so over TLS and on this machine; a form's key always holds.

    The origin of forms with a key is ``null``, as our own policy has browsers tell nobody where they come from. Any
    site can have its forms say ``null`` too, so the sign-in, which has no key, has a page that tells its own origin.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    same = origin is None or origin.partition("://")[2] == request.headers.get("host", "")
    if site not in (None, "same-origin", "none") or (site is None and not same and not (keyed and origin == "null")):
        raise Refused(403, "Another site sent this", "Nothing was stored. Open the page itself, and try again there.")
