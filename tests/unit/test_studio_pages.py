"""The annotation page without script: every kind of work, who may see what, what is escaped, and what is never lost."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from support.paging import FILLED, ODD, SCRIPT, WORKS, Person, ask, hidden, item, person
from support.postgres import postgres
from tutelage.annotation.responses import Rating, Writing
from tutelage.annotation.sql.own import items_had, standing
from tutelage.annotation.sql.queue import next_item, open_item, save_draft, submit
from tutelage.annotation.sql.store import Store
from tutelage.studio.app import annotation_app
from tutelage.studio.door import Office, form_key
from tutelage.studio.guard import HEADERS, MAX_BODY
from tutelage.studio.home import address

KEPT = "Words that took an hour."


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(str(tmp_path / "store.db"), create=True, clock=Clock())
    yield made
    made.close()


def joined(store: Store, kind: str, **options: Any) -> tuple[Person, str]:
    """Somebody who has come in to a project of a kind of work, and their token."""
    ask(store, kind, **options)
    _, token = store.invite(kind, "Ann")
    return person(store, token), token


def change(store: Store, statement: str) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql(statement)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


@pytest.mark.parametrize("kind", WORKS)
def test_every_kind_of_work_is_done_from_the_first_page_to_the_last_item(store: Store, kind: str) -> None:
    ann, token = joined(store, kind)
    fields, response = FILLED[kind]
    first = ann.next()
    assert first == address(ODD)
    shown = ann.client.get(first).text
    assert SCRIPT not in shown
    assert "&lt;script&gt;document.title" in shown
    assert shown.count("<script") == 1, "the page's own"
    draft = ann.send(first, fields, action="save")
    assert draft.history[0].status_code == 303, "a draft is there after a reload, and is not sent anew by it"
    assert "This is your draft" in draft.text
    sent = ann.send(first, {**fields, "seconds": "42"})
    assert sent.history[0].status_code == 303
    assert "Your answer was stored" in sent.text
    assert "Item i1" in sent.text
    [said] = store.judgments(kind)
    assert (said.item, said.response, said.seconds) == (ODD, response, 42)
    assert "1 done, 1 left" in words(sent.text)
    last = ann.send("/item?id=i1", fields)
    assert last.url.path == "/"
    assert "Nothing is left for you now" in last.text
    assert standing(store, token).submitted == 2


@pytest.mark.parametrize("kind", WORKS)
def test_what_was_submitted_is_shown_as_it_was_and_sent_again_unchanged_is_no_new_judgment(
    store: Store, kind: str
) -> None:
    ann, _ = joined(store, kind, count=1)
    where = ann.next()
    ann.send(where, FILLED[kind][0])
    page = ann.client.get(where).text
    assert "You submitted this item" in page
    assert 'value="skip"' not in page
    assert ann.send(where, FILLED[kind][0]).url.path == "/"
    assert len(store.judgments(kind, history=True)) == 1


def test_a_correction_of_oneself_is_a_second_judgment(store: Store) -> None:
    ann, _ = joined(store, "write", count=1)
    where = ann.next()
    ann.send(where, {"text": "First."})
    ann.send(where, {"text": "Second."}, action="save")
    assert "Drop it and show what you submitted" in words(ann.client.get(where).text)
    dropped = ann.send(where, {"text": "Second."}, action="discard")
    assert "First.</textarea>" in dropped.text
    ann.send(where, {"text": "Third."})
    assert [one.response.text for one in store.judgments("write", history=True)] == ["First.", "Third."]


@pytest.mark.parametrize("kind", [kind for kind in WORKS if kind != "correct"])
def test_an_empty_form_comes_back_with_every_fault_beside_its_field(store: Store, kind: str) -> None:
    ann, _ = joined(store, kind)
    answer = ann.send(ann.next(), {"text": " ", "comment": KEPT})
    assert answer.status_code == 422
    assert KEPT in answer.text
    faults = {"rate": 2, "rank": 3}.get(kind, 1)
    assert len(re.findall(r'<p class="fault" id="fault-', answer.text)) == faults
    for name in re.findall(r'aria-describedby="([^"]*)"', answer.text):
        assert f'id="{name}"' in answer.text, "what describes a field is there"
    assert store.judgments(kind) == []


def test_words_of_any_kind_come_back_as_they_were(store: Store) -> None:
    ann, _ = joined(store, "write", count=1)
    where = ann.next()
    typed = '\n\n"quoted" & </textarea><script>alert(1)</script>\n𝛼  تجربة\n'
    page = ann.send(where, {"text": typed.replace("\n", "\r\n")}, action="save").text
    assert "<script>alert" not in page
    assert open_item(store, store.invite("write", "Ann")[1], ODD).draft == {"form": {"text": [typed]}}
    assert (
        f'spellcheck="true">\n{typed.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}'.replace(
            '"quoted"', "&#34;quoted&#34;"
        )
        in page
    )


def test_a_stale_window_overwrites_nothing_and_shows_both_versions(store: Store) -> None:
    ann, token = joined(store, "write", count=1)
    where = ann.next()
    task = next_item(store, token)
    assert task is not None
    save_draft(store, token, ODD, {"form": {"text": ["Of the other window."]}}, revision=task.revision)
    for action in ("submit", "save"):
        answer = ann.send(where, {"text": KEPT}, action=action, revision=str(task.revision))
        assert answer.status_code == 409
        assert f"{KEPT}</textarea>" in answer.text
        assert "Of the other window." in answer.text
        assert "changed in another window" in answer.text
    assert store.judgments("write") == []
    assert open_item(store, token, ODD).draft == {"form": {"text": ["Of the other window."]}}
    taken = ann.send(where, {"text": KEPT}, revision=hidden(answer.text, "revision"))
    assert taken.status_code == 200, "whoever has seen both may decide"
    assert [one.response for one in store.judgments("write")] == [Writing(text=KEPT)]


def test_an_item_that_was_submitted_elsewhere_is_not_skipped_and_says_so(store: Store) -> None:
    ann, token = joined(store, "rate", count=1)
    where = ann.next()
    revision = hidden(ann.client.get(where).text, "revision")
    submit(store, token, ODD, FILLED["rate"][1], revision=int(revision))
    answer = ann.send(where, {"note": "odd"}, action="skip", revision=revision)
    assert answer.status_code == 409
    assert "a submitted answer" in answer.text
    assert "77" in answer.text


def test_the_script_saves_drafts_and_is_told_of_stale_ones(store: Store) -> None:
    ann, token = joined(store, "write", count=1)
    where = ann.next().replace("/item", "/draft")

    def save(words: str, revision: int, key: str = ann.key) -> Any:
        return ann.client.post(where, data={"key": key, "revision": str(revision), "text": words})

    assert save("a", 0).json() == {"revision": 1}
    assert save("a", 0).json() == {"revision": 1}, "sent again, as after a connection that broke"
    stale = save("b", 0)
    assert (stale.status_code, stale.json()["stale"]) == (409, True)
    assert open_item(store, token, ODD).draft == {"form": {"text": ["a"]}}
    forged = save("b", 1, key="x")
    assert (forged.status_code, forged.headers["content-type"]) == (403, "application/json")
    long = save("x" * 1_000_001, 1)
    assert long.status_code == 400
    assert "shorten" in long.json()["text"].lower()


def test_an_item_is_given_back_with_a_reason(store: Store) -> None:
    ann, token = joined(store, "rate")
    answer = ann.send(ann.next(), {"note": " no idea "}, action="skip")
    assert "Item i1" in answer.text
    assert "Your answer was stored" not in answer.text
    assert [(one.item, one.state) for one in items_had(store, token, limit=9)] == [("i1", "open"), (ODD, "skipped")]
    assert "given back" in ann.client.get("/").text
    ann.send("/item?id=i1", FILLED["rate"][0], action="save")
    too_long = ann.send("/item?id=i1", {"note": "x" * 1001}, action="skip")
    assert too_long.status_code == 422
    assert "At most 1,000 characters" in too_long.text
    assert "x" * 1001 in too_long.text, "the reason is there to be shortened"
    assert 'value="77"' in too_long.text, "and so is the draft"


def test_late_work_is_taken_and_the_page_says_that_it_is_late(store: Store) -> None:
    ann, _ = joined(store, "rate", count=1)
    where = ann.next()
    store.clock.now += 100  # type: ignore[attr-defined]
    other = store.invite("rate", "Ben")[1]
    assert next_item(store, other) is not None
    assert "Your time for this item was up" in ann.client.get(where).text
    assert ann.send(where, FILLED["rate"][0]).status_code == 200
    assert len(store.judgments("rate")) == 1


def test_items_of_others_and_items_that_are_not_there(store: Store) -> None:
    ann, _ = joined(store, "rate")
    ask(store, "write", count=3)
    for where, status in (
        ("/item?id=i1", 403),
        ("/item?id=i2", 404),
        ("/item?id=%00", 404),
        ("/item", 404),
        ("/no", 404),
    ):
        answer = ann.client.get(where)
        assert answer.status_code == status, where
        assert "<h1>" in answer.text
    assert ann.client.get("/next").status_code == 405


def test_a_wrong_token_opens_nothing_and_says_what_to_do(store: Store) -> None:
    ask(store, "write")
    client = TestClient(annotation_app(Office(store)))
    for token in ("", "wrong", "é", "x" * 10_000):
        answer = client.post("/enter", data={"token": token})
        assert answer.status_code == 403
        assert "Copy the whole link" in answer.text
        assert "set-cookie" not in answer.headers
    assert client.get("/item?id=i1").status_code == 403
    assert "Sign in" in client.get("/").text


def test_whose_token_ends_keeps_the_words(store: Store) -> None:
    ann, _ = joined(store, "write", count=1)
    where = ann.next()
    store.dismiss("write", "Ann")
    answer = ann.send(where, {"text": KEPT}, revision="0")
    assert answer.status_code == 403
    assert f"{KEPT}</textarea>" in answer.text


def test_the_token_is_in_a_cookie_that_no_script_reads_and_in_no_page(store: Store) -> None:
    ask(store, "write", count=1)
    token = store.invite("write", "Ann")[1]
    for scheme, secure in (("http", False), ("https", True)):
        client = TestClient(annotation_app(Office(store)), base_url=f"{scheme}://work.example.org")
        answer = client.post("/enter", data={"token": f"https://x.org/enter#{token} "}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert token in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert ("Secure" in cookie) == secure
        assert token not in client.get("/").text
    behind = TestClient(annotation_app(Office(store, secure=True)))
    assert "Secure" in behind.post("/enter", data={"token": token}, follow_redirects=False).headers["set-cookie"]


def test_who_leaves_is_asked_again(store: Store) -> None:
    ann, _ = joined(store, "write")
    assert ann.client.post("/leave", data={"key": ann.key}).url.path == "/enter"
    assert ann.client.get("/item?id=i1").status_code == 403


def test_forged_forms_do_nothing(store: Store) -> None:
    ann, token = joined(store, "write", count=1)
    where = ann.next()
    good = {"key": ann.key, "revision": "0", "action": "submit", "text": KEPT}
    evil = {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}
    for headers in evil:
        answer = ann.client.post(where, data=good, headers=headers)
        assert answer.status_code == 403
        assert "Another site" in answer.text
        assert ann.client.post("/enter", data={"token": token}, headers=headers).status_code == 403
    nowhere = ann.client.post("/enter", data={"token": token}, headers={"origin": "null"})
    assert nowhere.status_code == 403, "any site can say so, and the sign-in has no key"
    page = ann.client.get("/enter").text
    assert 'name="referrer" content="same-origin"' in page, "so its own page says where it is"
    for key in ("", "é", form_key("another")):
        answer = ann.client.post(where, data={**good, "key": key})
        assert answer.status_code == 403
        assert KEPT in answer.text, "words are kept where somebody else signed in meanwhile"
    for path in ("/next", "/leave"):
        assert ann.client.post(path, data={}).status_code == 403
    assert store.judgments("write") == []
    own = {"sec-fetch-site": "same-origin"}, {"origin": "null"}, {"origin": "http://127.0.0.1:8642"}
    for headers in own:
        assert ann.client.post(where, data=good, headers=headers).status_code == 200


def test_broken_forms_are_refused_in_words(store: Store) -> None:
    ann, _ = joined(store, "write", count=1)
    where = ann.next()
    for change in ({"revision": "x"}, {"revision": "٣"}, {"action": "explode"}, {"revision": "9" * 30}):
        answer = ann.client.post(where, data={"key": ann.key, "revision": "0", "text": KEPT, **change})
        assert answer.status_code == 400
        assert KEPT in answer.text
    for pairs in (b"&" * 5001, b"a=&" * 5001):  # empty ones too: millions of them hold the server for seconds
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = ann.client.post("/enter", content=pairs, headers=headers)
        assert answer.status_code == 400
        assert "too many fields" in answer.text
    file = ann.client.post(where, data={"key": ann.key, "revision": "0"}, files={"text": ("x.txt", b"x")})
    assert file.status_code == 400


def test_every_answer_has_the_headers_that_keep_others_out(store: Store) -> None:
    ann, _ = joined(store, "write", count=1)
    where = ann.next()
    static = re.findall(r'(?:src|href)="(/static/[^"]*)"', ann.client.get(where).text)
    assert len(static) == 3
    answers = [ann.client.get(path) for path in ("/", where, "/enter", "/no", *static)]
    answers.append(ann.client.post(where, data={}))
    change(store, "UPDATE items SET content = 'damaged'")
    quiet = TestClient(ann.client.app, base_url=str(ann.client.base_url), raise_server_exceptions=False)
    quiet.cookies = ann.client.cookies
    answers.append(quiet.get(where))
    assert answers[-1].status_code == 500
    assert "not yours" in answers[-1].text
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert (answer.headers.get("cache-control") == "no-store") == ("/static/" not in str(answer.url))
    for answer in answers[:4]:
        assert "<style" not in answer.text
        assert not re.search(r"\son\w+=|\sstyle=", answer.text), "nothing inline, which the policy would stop"
        assert '<html lang="en">' in answer.text


def test_a_request_that_is_too_long_is_refused_whatever_its_length_says(store: Store) -> None:
    ann, _ = joined(store, "write", count=1)
    where = ann.next()

    def blocks() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 65_536 + 1):
            yield b"x" * 65_536

    for content in (b"x" * (MAX_BODY + 1), blocks()):
        answer = ann.client.post(where, content=content, headers={"content-type": "application/x-www-form-urlencoded"})
        assert answer.status_code == 413
        assert "longer than 4 MB" in answer.text
    fits = ann.client.post(where, data={"key": ann.key, "revision": "0", "text": "語 " * 4, "action": "submit"})
    assert fits.status_code == 200


def test_a_request_that_comes_in_too_slowly_is_let_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tutelage.studio.guard.BODY_S", 0.05)
    said: list[Message] = []
    scope = {"type": "http", "method": "POST", "path": "/enter", "headers": [], "query_string": b""}

    async def receive() -> Message:
        await anyio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: Message) -> None:
        said.append(message)

    async def ask_slowly() -> None:
        with anyio.fail_after(10):
            await annotation_app(Office(store))(scope, receive, send)

    anyio.run(ask_slowly)
    assert said[0]["status"] == 408
    assert b"send it again" in said[1]["body"]


def test_the_longest_words_that_the_store_takes_pass(store: Store) -> None:
    ann, _ = joined(store, "correct", count=1)
    where = ann.next()
    fields = {"key": ann.key, "revision": "0", "action": "submit", "text": "語" * 900_000}
    sent = ann.client.post(where, data=fields, files={"nothing": (None, "")})  # as the page sends it: multipart
    assert sent.status_code == 200
    assert len(store.judgments("correct")[0].response.text) == 900_000
    more = ann.send(where, {"text": "x" * 1_000_001})
    assert more.status_code == 422
    assert "longer than 1,000,000 characters. Shorten it." in more.text
    assert "x" * 1_000_001 in more.text


def test_a_store_that_fails_loses_no_words(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ann, token = joined(store, "write", count=1)
    where = ann.next()
    change(store, "DROP TABLE judgments")
    answer = ann.client.post(where, data={"key": ann.key, "revision": "0", "action": "submit", "text": KEPT})
    assert answer.status_code == 503
    assert f"{KEPT}</textarea>" in answer.text
    assert "Nothing was stored" in answer.text
    assert "no such table" in caplog.text, "who runs the page reads why"
    assert KEPT not in caplog.text
    assert token not in caplog.text
    shown = ann.client.get(where)
    assert shown.status_code == 503
    assert "Nothing was stored" not in shown.text, "nothing was sent"


def test_an_answer_that_is_stored_is_not_said_to_be_lost_though_no_next_item_can_be_given(store: Store) -> None:
    ann, _ = joined(store, "write")
    where = ann.next()
    change(store, "CREATE TRIGGER full BEFORE INSERT ON assignments BEGIN SELECT RAISE(ABORT, 'full'); END")
    answer = ann.send(where, {"text": KEPT})
    assert [one.response for one in store.judgments("write")] == [Writing(text=KEPT)]
    assert (answer.status_code, answer.url.path) == (200, "/")
    assert "1 done" in words(answer.text)


def test_a_draft_of_another_program_is_shown_and_not_dropped(store: Store) -> None:
    ann, token = joined(store, "rate", count=1)
    where = ann.next()
    save_draft(store, token, ODD, {"quality": "<b>"}, revision=0)
    page = ann.client.get(where).text
    assert "A draft that another program wrote" in page
    assert "&lt;b&gt;" in page


def test_what_no_page_can_hold_is_shown_as_a_mark(store: Store) -> None:
    ask(store, "correct", count=0)
    odd = item("correct", "odd")
    odd = odd.model_copy(update={"answers": (odd.answers[0].model_copy(update={"text": "a\x00b"}),)})
    store.add_items("correct", [odd])
    ann = person(store, store.invite("correct", "Ann")[1])
    assert "a�b" in ann.client.get(ann.next()).text


def test_an_adjudicator_sees_what_people_said_and_decides(store: Store) -> None:
    ask(store, "rate", count=2, overlap=2)
    for name, score in (("Ann", 1), ("Ben", 5)):
        one = person(store, store.invite("rate", name)[1])
        for _ in range(2):
            where = one.next()
            same = where != address(ODD)
            one.send(where, {"score-0": "3" if same else str(score), "score-1": "50", "comment": f"{name} says"})
    judge = person(store, store.invite("rate", "Judge", role="adjudicator")[1], above=0.3)
    assert "Next dispute" in judge.client.get("/").text
    where = judge.next()
    assert where == address(ODD)
    page = judge.client.get(where).text
    assert "What people said" in page
    assert "annotator-1" in page
    assert "Ben says" in page
    assert "Ann</" not in page, "names stay in the store"
    assert judge.send(where, {"score-0": "2", "score-1": "50"}).url.path == "/"
    decided = [one.response for one in store.judgments("rate") if one.role == "adjudicator"]
    assert decided == [Rating(scores={"truth": 2, "use": 50})]


def test_the_list_of_ones_items_has_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tutelage.studio.home.SHOWN", 2)
    ann, _ = joined(store, "write", count=3)
    for _ in range(3):
        ann.send(ann.next(), {"text": "x"})
    pages = [ann.client.get(f"/?page={number}").text for number in ("1", "2", "0", "x", "9" * 50)]
    assert [page.count('class="state submitted"') for page in pages] == [2, 1, 2, 2, 2]
    assert ["Earlier ones" in page for page in pages[:2]] == [True, False]


def test_two_stores_on_one_machine_have_cookies_of_their_own(tmp_path: Path, store: Store) -> None:
    other = Store(str(tmp_path / "other.db"), create=True)
    assert Office(store).cookie != Office(other).cookie
    other.close()


def test_stores_that_are_named_from_their_own_folders_have_cookies_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookies = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        made = Store("work.db", create=True)
        cookies.append(Office(made).cookie)
        made.close()
    again = Store(str(tmp_path / "two" / "work.db"))
    cookies.append(Office(again).cookie)
    again.close()
    assert cookies[0] != cookies[1] == cookies[2]


def test_the_page_works_over_postgresql() -> None:
    with postgres() as url:
        store = Store(url, create=True)
        ann, token = joined(store, "spans")
        where = ann.next()
        ann.send(where, FILLED["spans"][0], action="save")
        assert "This is your draft" in ann.client.get(where).text
        ann.send(where, FILLED["spans"][0])
        assert [one.response for one in store.judgments("spans")] == [FILLED["spans"][1]]
        assert (standing(store, token).submitted, standing(store, token).left) == (1, 1)
        assert ann.client.get("/item?id=%00").status_code == 404
        store.close()
