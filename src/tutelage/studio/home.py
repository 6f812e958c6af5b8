"""A person's first page: the project, its guidelines, how far they are, and the items that they had."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tutelage.annotation.sql.adjudication import next_dispute
from tutelage.annotation.sql.own import items_had, standing
from tutelage.annotation.sql.queue import next_item
from tutelage.annotation.views import Assignment
from tutelage.studio.door import Office, door, form_key
from tutelage.studio.showing import page

SHOWN = 50


def address(item: str, after: str = "") -> str:
    """Return where an item is. Ids may be anything, so they are no part of a path."""
    return f"/item?id={quote(item, safe='')}" + (f"&after={quote(after, safe='')}" if after else "")


async def home(office: Office, request: Request) -> Response:
    """Show the first page, or the door to somebody who has not come in."""
    if office.cookie not in request.cookies:
        return await door(office, request)
    token = office.token(request)
    number = request.query_params.get("page", "1")
    at = max(0, int(number) - 1) if number.isdecimal() and len(number) < 7 else 0
    me = await office.ask(lambda: standing(office.store, token))
    had = await office.ask(lambda: items_had(office.store, token, limit=SHOWN + 1, offset=SHOWN * at))
    return page(
        "home.html.j2", me=me, had=had[:SHOWN], at=at, more=len(had) > SHOWN, key=form_key(token), address=address
    )


async def go_on(office: Office, request: Request) -> Response:
    """Give out the next item."""
    token, sent = office.token(request), await office.sent(request)
    office.check(token, sent)
    task = await office.ask(lambda: next_task(office, token))
    return RedirectResponse("/" if task is None else address(task.item.id), status_code=303)


def next_task(office: Office, token: str) -> Assignment | None:
    """Return the item that somebody works on, else a new one; for an adjudicator the next dispute."""
    _, me = office.store.who(token)
    if me.role == "annotator":
        return next_item(office.store, token)
    found = next_dispute(office.store, token, office.above)
    return None if found is None else found.assignment
