"""The application: its addresses, and what people and the script are told when something is wrong.

| address | what |
|---|---|
| ``GET /`` | a person's first page |
| ``GET /enter``, ``POST /enter``, ``POST /leave`` | coming in with a token, and going |
| ``POST /next`` | the next item |
| ``GET /item?id=``, ``POST /item?id=`` | an item; an answer, a draft, a skip |
| ``POST /draft?id=`` | a draft from the script; answers are JSON |
| ``GET /static/...`` | script, style, icon |
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from tutelage.annotation.faults import NotGiven, StaleRevision, UnknownItem, UnknownToken
from tutelage.errors import InputErrors, StorageError, TutelageError
from tutelage.studio.desk import act, draft, look
from tutelage.studio.door import Office, Refused, door, enter, leave
from tutelage.studio.guard import Guard
from tutelage.studio.home import go_on, home
from tutelage.studio.showing import page

LOG = logging.getLogger(__name__)
ENTER_AGAIN = "Nobody who is asked here has this token. Copy the whole link, or ask who invited you for a new one."
Answer = Callable[[Office, Request], Awaitable[Response]]


def annotation_app(office: Office) -> ASGIApp:
    """Return the annotation page over a store, as an ASGI application."""

    def route(path: str, method: str, answer: Answer) -> Route:
        return Route(path, partial(answer, office), methods=[method])

    app = Starlette(
        routes=[
            route("/", "GET", home),
            route("/enter", "GET", door),
            route("/enter", "POST", enter),
            route("/leave", "POST", leave),
            route("/next", "POST", go_on),
            route("/item", "GET", look),
            route("/item", "POST", act),
            route("/draft", "POST", draft),
            Mount("/static", StaticFiles(packages=[("tutelage.studio", "static")])),
        ],
        exception_handlers={
            Refused: _refused,
            TutelageError: _fault,
            HTTPException: _http,
            Exception: _crash,
        },
    )
    return Guard(app)  # around all of it, so that the page of a crash has its headers too


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _told(request, error.status, error.title, error.text, door=error.door)


async def _fault(request: Request, error: Exception) -> Response:
    assert isinstance(error, TutelageError)
    match error:
        case UnknownToken():
            return _told(request, 403, "This token opens nothing", ENTER_AGAIN, door=True)
        case UnknownItem():
            return _told(request, 404, "There is no such item", "No item of this name is in your project.")
        case NotGiven():
            return _told(request, 403, "This item is not yours", "It was given to other people, or to nobody yet.")
        case StaleRevision():
            words = "This item was changed in another window. What is typed here is not saved."
            return _told(request, 409, "It was changed meanwhile", words)
        case StorageError():
            LOG.error("%s", error)
            words = (
                "The store cannot be reached or written to just now. Try again in a minute, or tell who invited you."
            )
            title = "Nothing was stored" if request.method == "POST" else "This cannot be shown now"
            return _told(request, 503, title, words)
        case InputErrors():
            return _told(request, 400, "Nothing was stored", " ".join(f"{problem}." for problem in error.problems))
    return _told(request, 400, "Nothing was stored", str(error.problem))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    titles = {404: "There is no such page", 405: "This page cannot be asked so", 400: "The form is broken"}
    title = titles.get(error.status_code, error.detail)
    return _told(request, error.status_code, title, "" if error.status_code == 404 else error.detail)


async def _crash(request: Request, error: Exception) -> Response:
    """What no one foresaw; the server logs it and goes on."""
    words = (
        "This is a fault of the page, not yours. It was noted where the page runs. If you have sent something, it may "
        "not be stored: look at the item again."
    )
    return _told(request, 500, "The page has a fault", words)


def _told(request: Request, status: int, title: str, text: str, *, door: bool = False) -> Response:
    if request.url.path == "/draft":
        return JSONResponse({"title": title, "text": text, "stale": status == 409}, status_code=status)
    kept = getattr(request.state, "kept", [])
    return page("enter.html.j2" if door else "fault.html.j2", status=status, title=title, text=text, kept=kept)
