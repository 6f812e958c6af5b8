"""One item: looked at, answered, skipped; and drafts of it, from the form or from the script that saves them."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tutelage.annotation.faults import StaleRevision
from tutelage.annotation.sql.adjudication import Dispute, dispute_of
from tutelage.annotation.sql.own import standing
from tutelage.annotation.sql.queue import open_item, save_draft, skip, submit
from tutelage.annotation.views import Assignment, Standing
from tutelage.errors import DataError, TutelageError
from tutelage.studio.door import Office, Refused, Sent, form_key
from tutelage.studio.forms import Fields, Unfit, drafted, fields_of, in_words, own_fields, response_of
from tutelage.studio.home import address, next_task
from tutelage.studio.showing import page
from tutelage.studio.wording import Line, said, typed

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the store has of an item for one person."""

    task: Assignment
    me: Standing
    dispute: Dispute | None

    @property
    def fields(self) -> Fields:
        """The fields of the form: of the draft, else of what was said last, else untouched."""
        held = drafted(self.task.draft)
        return held if held is not None else fields_of(self.task.work, self.task.item, self.task.response)

    @property
    def stored(self) -> tuple[str, list[Line]]:
        """What the store has, and in words."""
        work, item, held = self.task.work, self.task.item, drafted(self.task.draft)
        if held is not None:
            return "a draft", typed(work, item, held)
        if self.task.response is not None:
            return "a submitted answer", said(work, item, self.task.response)
        return "nothing of yours: the item was given back, or its draft taken away", []


@dataclass(frozen=True, slots=True)
class _Form:
    """What stands in the form that is shown, and what is said of it; ``stale``: what the store has in its place."""

    fields: Fields
    revision: int
    faults: Mapping[str, str] = field(default_factory=dict)
    stale: tuple[str, Sequence[Line]] | None = None
    status: int = 200
    note: str = ""


async def look(office: Office, request: Request) -> Response:
    """Show an item."""
    token, name = office.token(request), _item(request)
    seen = await office.ask(lambda: _seen(office, token, name))
    return _shown(token, seen, _Form(seen.fields, seen.task.revision), after=request.query_params.get("after", ""))


async def act(office: Office, request: Request) -> Response:
    """Take what a form says: an answer, a draft, that a draft goes, or that the item goes back."""
    sent = await office.sent(request)
    fields = own_fields(sent)
    request.state.kept = fields.words
    token, name, revision = office.token(request), _item(request), _revision(sent)
    office.check(token, sent)
    seen = await office.ask(lambda: _seen(office, token, name))
    alone = sent.get("action", ("submit",))[0] in ("skip", "discard")  # their forms have no fields of the answer
    note = sent.get("note", ("",))[0]
    try:
        return RedirectResponse(await office.ask(lambda: _done(office, token, seen, sent, fields)), status_code=303)
    except Unfit as unfit:
        return _shown(token, seen, _Form(fields, revision, faults=unfit.faults, status=422))
    except DataError as error:
        faults = {"": " ".join(in_words(problem) for problem in error.problems)}
        fields = seen.fields if alone else fields
        return _shown(token, seen, _Form(fields, revision, faults=faults, status=422, note=note))
    except StaleRevision as stale:
        seen = await office.ask(lambda: _seen(office, token, name))
        fields = seen.fields if alone else fields
        return _shown(token, seen, _Form(fields, stale.current, stale=seen.stored, status=409, note=note))


async def draft(office: Office, request: Request) -> Response:
    """Keep a draft that the script sends. Faults are JSON here: see :mod:`tutelage.studio.app`."""
    sent = await office.sent(request)
    token, name, revision = office.token(request), _item(request), _revision(sent)
    office.check(token, sent)
    held = own_fields(sent).draft()
    receipt = await office.ask(lambda: save_draft(office.store, token, name, held, revision=revision))
    return JSONResponse({"revision": receipt.revision})


def _done(office: Office, token: str, seen: _Seen, sent: Sent, fields: Fields) -> str:
    """Do what was asked for and return where to go on."""
    store, task, revision = office.store, seen.task, _revision(sent)
    name, action = task.item.id, sent.get("action", ("submit",))[0]
    match action:
        case "save":
            save_draft(store, token, name, fields.draft(), revision=revision)
            return address(name)
        case "discard":
            save_draft(store, token, name, None, revision=revision)
            return address(name)
        case "skip":
            skip(store, token, name, revision=revision, note=sent.get("note", ("",))[0].strip())
            return _onward(office, token)
        case "submit":
            response = response_of(task.work, task.item, fields)
            submit(store, token, name, response, revision=revision, seconds=fields.seconds)
            return _onward(office, token, after=name) if task.response is None else "/"
    raise Refused(400, "This cannot be done", f"The page has no {action[:20]!r}. Nothing was stored.")


def _onward(office: Office, token: str, after: str = "") -> str:
    """Where the next item is. What was done is stored by now, and stays so if the store fails here."""
    try:
        following = next_task(office, token)
    except TutelageError as error:
        LOG.error("%s", error)
        return "/"
    return "/" if following is None else address(following.item.id, after=after)


def _seen(office: Office, token: str, name: str) -> _Seen:
    task = open_item(office.store, token, name)
    dispute = dispute_of(office.store, task) if task.role == "adjudicator" else None
    return _Seen(task, standing(office.store, token), dispute)


def _shown(token: str, seen: _Seen, form: _Form, after: str = "") -> Response:
    task, dispute = seen.task, seen.dispute
    foreign = task.draft is not None and drafted(task.draft) is None
    others = (
        []
        if dispute is None
        else [(one.annotator, said(task.work, task.item, one.response)) for one in dispute.judgments]
    )
    return page(
        "item.html.j2",
        status=form.status,
        me=seen.me,
        task=task,
        work=task.work,
        item=task.item,
        form=form,
        fields=form.fields,
        faults=form.faults,
        others=others,
        foreign=json.dumps(task.draft, ensure_ascii=False, indent=2) if foreign else "",
        is_draft=drafted(task.draft) is not None and form.status == 200,
        here=address(task.item.id),
        again=address(after) if after and after != task.item.id else "",
        after=after,
        key=form_key(token),
    )


def _item(request: Request) -> str:
    name = request.query_params.get("id", "")
    if not name:
        raise Refused(404, "No item", "The address names no item.")
    return name


def _revision(sent: Sent) -> int:
    text = sent.get("revision", ("",))[0]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Refused(400, "The form is broken", "It does not say which version it starts from. Load the page again.")
    return int(text)
