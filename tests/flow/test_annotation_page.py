"""The annotation page in a real browser: two people at once, reloads, stale tabs, broken connections, keys, marks."""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from support.browser import CHROMIUM, Browser, chromium
from support.paging import SCRIPT, WORKS, ask
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import Choice, Labels, Ranking, Rating, Span, Spans, Writing
from tutelage.annotation.sql.queue import open_item
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Judgment, Project
from tutelage.annotation.work import RateWork, Scale, SpansWork, WriteWork
from tutelage.records import user

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="headless Chromium is not installed")]

PIECES = "One 😀 pump.\r\nTwo pumps.\r\nOne 😀 pump more."
WIDTH = {"width": 1280, "height": 900}
STATE = "document.getElementById('state').textContent"
READY = "document.readyState == 'complete'"


@dataclass
class Site:
    """A server, its store, and the links that it printed by project and name."""

    url: str
    store: Store
    links: dict[str, str]

    def token(self, who: str) -> str:
        return self.links[who].rpartition("#")[2]

    def said(self, project: str) -> list[Judgment]:
        return self.store.judgments(project, history=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = str(tmp_path_factory.mktemp("site") / "store.db")
    store = Store(place, create=True)
    for kind in WORKS:
        ask(store, kind, overlap=3)
    store.new_project(Project(name="marks", work=SpansWork(labels=("odd", "even")), overlap=2))
    answer = Candidate(key="a", text=PIECES)
    store.add_items("marks", [WorkItem(id="m", messages=(user("How many?"),), answers=(answer,))])
    scales = tuple(Scale(name=name) for name in ("truth", "use"))
    store.new_project(Project(name="keys", work=RateWork(scales=scales)))
    store.add_items("keys", [WorkItem(id=f"k{n}", messages=(user("Why?"),), answers=(answer,)) for n in range(3)])
    for name in ("stale", "lost", "halfway", "leave", "skip", "proxy", "stopped", "drop"):
        store.new_project(Project(name=name, work=WriteWork()))
        store.add_items(name, [WorkItem(id="i", messages=(user(f"Why? {SCRIPT}"),))])
    store.invite("keys", "Judge", role="adjudicator")
    people = [f"{project.name}/{name}" for project in store.projects() for name in ("Ann", "Ben")]
    people.append("keys/Judge")
    command = [sys.executable, "-m", "tutelage", "annotate", "serve", place, "--port", "0"]
    command += [part for who in people for part in ("--link", who)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[4]
        printed = [server.stdout.readline().strip() for _ in people]
        links = {who: line.rpartition(" ")[2] for who, line in zip(people, printed, strict=True)}
        try:
            yield Site(url, store, links)
        finally:
            server.send_signal(signal.SIGINT)
            rest = server.stdout.read()
            assert server.wait(20) == 0, rest
            assert rest.strip() == "The page has ended.", "it has no log of who asked for what, and no fault"
            store.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def other_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def enter(browser: Browser, link: str) -> None:
    """Come in by a link and begin."""
    browser.open("about:blank", **WIDTH)
    browser.open(link, **WIDTH)
    browser.wait(f"location.pathname == '/' && {READY}")
    begin(browser)


def begin(browser: Browser) -> None:
    browser.click(".start button")
    browser.wait(f"location.pathname == '/item' && {READY}")


def write(browser: Browser, text: str, field: str = "text") -> None:
    browser.value(f"document.getElementById('{field}').focus()")
    browser.type(text)


def value_of(browser: Browser, field: str = "text") -> str:
    return str(browser.value(f"document.getElementById('{field}').value"))


def quiet(browser: Browser, site: Site) -> None:
    """Nothing was said on the console, and nobody else was asked for anything."""
    assert [one for one in browser.complaints() if not one.startswith(site.url)] == []


def test_a_link_signs_in_and_its_token_stays_nowhere_that_others_see(site: Site, browser: Browser) -> None:
    enter(browser, site.links["write/Ann"])
    token = site.token("write/Ann")
    quiet(browser, site)
    assert browser.value("location.href").startswith(f"{site.url}/item?id=")
    assert browser.value("document.cookie") == ""
    asked = [event["params"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
    assert asked
    assert not [one for one in asked if token in one["request"]["url"]]
    [sign_in] = [
        one["request"]
        for one in asked
        if one["request"]["url"] == f"{site.url}/enter"
        and one["type"] == "Document"
        and one["request"]["method"] == "POST"
    ]
    assert sign_in["headers"].get("Origin") == site.url, "the sign-in has no key, so its page says where it is"
    browser.open(f"{site.url}/", **WIDTH)
    entries = browser.ask("Page.getNavigationHistory")["entries"]
    assert [entry["url"] for entry in entries if token in entry["url"]] == []
    assert token not in browser.value("document.documentElement.outerHTML")


def test_behind_a_proxy_with_tls_the_cookie_is_sent_over_tls_alone(site: Site) -> None:
    for scheme, secure in (("https", True), ("http", False)):
        headers = {"X-Forwarded-Proto": scheme, "X-Forwarded-For": "203.0.113.7"}
        answer = httpx.post(f"{site.url}/enter", data={"token": site.token("write/Ann")}, headers=headers)
        assert answer.status_code == 303
        assert ("Secure" in answer.headers["set-cookie"]) == secure
        assert "server" not in answer.headers


def test_the_link_of_an_adjudicator_is_one_of_an_adjudicator(site: Site) -> None:
    with httpx.Client(base_url=site.url, follow_redirects=True) as client:
        first = client.post("/enter", data={"token": site.token("keys/Judge")})
    assert "You decide where people disagree" in first.text


def test_a_script_in_an_item_is_shown_and_never_runs(site: Site, browser: Browser) -> None:
    enter(browser, site.links["choose/Ann"])
    quiet(browser, site)
    assert "owned" not in browser.value("document.title")
    assert SCRIPT in browser.value("document.querySelector('.turn.user').innerText")
    assert SCRIPT in browser.value("document.querySelector('.option').innerText")
    assert browser.value("document.scripts.length") == 1


def test_two_people_write_at_once_and_a_reload_in_the_middle_loses_nothing(
    site: Site, browser: Browser, other_browser: Browser
) -> None:
    enter(browser, site.links["write/Ann"])
    enter(other_browser, site.links["write/Ben"])
    write(browser, "by Ann.")
    write(other_browser, "by Ben.")
    for one, words in ((browser, "by Ann."), (other_browser, "by Ben.")):
        one.wait(f"{STATE} == 'Saved'")
        one.open(one.value("location.href"), **WIDTH)
        assert value_of(one) == words
        assert "This is your draft" in one.value("document.body.innerText")
    for one in (browser, other_browser):
        write(one, "And ")
        one.press("Enter", ctrl=True)
    for one in (browser, other_browser):
        one.wait("document.body.innerText.includes('Your answer was stored')")
        quiet(one, site)
    said = {one.annotator: one.response for one in site.said("write")}
    assert said == {"annotator-1": Writing(text="And by Ann."), "annotator-2": Writing(text="And by Ben.")}
    assert all((one.seconds or 0) < 120 for one in site.said("write"))


def test_a_stale_tab_keeps_its_words_and_shows_both_versions(site: Site, browser: Browser) -> None:
    enter(browser, site.links["stale/Ann"])
    first, second = browser._session, browser.new_tab()
    browser.open(f"{site.url}/item?id=i", **WIDTH)
    write(browser, "Of the second tab.")
    browser.wait(f"{STATE} == 'Saved'")
    browser.turn_to(first)
    write(browser, "Of the first tab.")
    browser.wait("document.getElementById('both') !== null")
    assert "Nothing was overwritten" in browser.value("document.querySelector('[role=alert]').innerText")
    assert value_of(browser) == "Of the first tab."
    browser.press("Enter", ctrl=True)
    assert site.said("stale") == [], "nor is it sent"
    browser.click("#both")
    browser.wait(f"document.querySelector('.notice .lines') !== null && {READY}")
    assert "Of the second tab." in browser.value("document.querySelector('.notice').innerText")
    assert value_of(browser) == "Of the first tab."
    draft = open_item(site.store, site.token("stale/Ann"), "i").draft
    assert draft == {"form": {"text": ["Of the second tab."], "comment": [""], "seconds": draft["form"]["seconds"]}}  # type: ignore[call-overload, index]
    write(browser, " ")
    time.sleep(1.5)
    again = open_item(site.store, site.token("stale/Ann"), "i").draft
    assert again == draft, "nothing takes its place before a button says so"
    browser.press("Backspace")
    browser.click("button[value=submit]")
    browser.wait(f"location.pathname == '/' && {READY}")
    assert [one.response for one in site.said("stale")] == [Writing(text="Of the first tab.")]
    browser.turn_to(second)
    write(browser, "More")
    browser.wait("document.getElementById('both') !== null")
    assert "was changed in another window" in browser.value("document.body.innerText")
    browser.events.clear()
    browser.click(".notice.bad a")
    asked = browser.wait_for("Page.javascriptDialogOpening")
    assert asked["type"] == "beforeunload", "loading the newer one drops the words here"
    browser.wait(f"!document.querySelector('.notice.bad') && {READY}")
    assert value_of(browser) == "Of the first tab."


def test_a_connection_that_breaks_loses_nothing(site: Site, browser: Browser) -> None:
    enter(browser, site.links["lost/Ann"])
    offline = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.ask("Network.emulateNetworkConditions", offline=True, **offline)
    write(browser, "Written on a train.")
    browser.wait(f"{STATE}.startsWith('Not saved')")
    browser.press("Enter", ctrl=True)
    browser.wait(f"{STATE}.startsWith('Not sent')")
    assert value_of(browser) == "Written on a train.", "the page is still there"
    browser.ask("Network.emulateNetworkConditions", offline=False, **offline)
    browser.wait(f"{STATE} == 'Saved'")
    browser.press("Enter", ctrl=True)
    browser.wait(f"location.pathname == '/' && {READY}")
    assert [one.response for one in site.said("lost")] == [Writing(text="Written on a train.")]


def test_a_draft_whose_confirmation_was_lost_is_no_conflict(site: Site, browser: Browser) -> None:
    """The store has it, the page does not know: it sends the same once more, and only then what was written since."""
    enter(browser, site.links["halfway/Ann"])
    browser.ask("Fetch.enable", patterns=[{"urlPattern": "*/draft*", "requestStage": "Response"}])
    write(browser, "Sent.")
    paused = browser.wait_for("Fetch.requestPaused")
    assert paused["responseStatusCode"] == 200
    browser.value("document.getElementById('text').setSelectionRange(99, 99)")
    browser.type(" Written since.")
    browser.ask("Fetch.failRequest", requestId=paused["requestId"], errorReason="ConnectionReset")
    browser.ask("Fetch.disable")
    browser.wait(f"{STATE}.startsWith('Not saved')")
    browser.wait(f"{STATE} == 'Saved'")
    task = open_item(site.store, site.token("halfway/Ann"), "i")
    assert task.draft["form"]["text"] == ["Sent. Written since."]  # type: ignore[call-overload, index]
    assert task.revision == 2


def test_an_answer_of_somebody_else_in_between_is_no_confirmation(site: Site, browser: Browser) -> None:
    """A network that wants a sign-in answers 200 with a page of its own; a connection may end in the middle."""
    enter(browser, site.links["proxy/Ann"])
    browser.ask("Fetch.enable", patterns=[{"urlPattern": "*/draft*"}])
    write(browser, "Written in a hotel.")
    paused = browser.wait_for("Fetch.requestPaused")
    page = base64.b64encode(b"<h1>Welcome to our network</h1>").decode()
    browser.ask("Fetch.fulfillRequest", requestId=paused["requestId"], responseCode=200, body=page)
    browser.ask("Fetch.disable")
    browser.wait(f"{STATE}.startsWith('Not saved')")
    browser.wait(f"{STATE} == 'Saved'")
    quiet(browser, site)
    browser.press("Enter", ctrl=True)
    browser.wait(f"location.pathname == '/' && {READY}")
    assert [one.response for one in site.said("proxy")] == [Writing(text="Written in a hotel.")]


def test_who_stops_the_page_from_going_may_write_on(site: Site, browser: Browser) -> None:
    enter(browser, site.links["stopped/Ann"])
    write(browser, "One.")
    browser.wait(f"{STATE} == 'Saved'")
    browser.ask("Fetch.enable", patterns=[{"urlPattern": "*/item*"}])
    browser.press("Enter", ctrl=True)
    browser.wait_for("Fetch.requestPaused")
    browser.ask("Page.stopLoading")
    browser.ask("Fetch.disable")
    browser.value("document.getElementById('text').setSelectionRange(99, 99)")
    browser.type(" Two.")
    browser.wait(f"{STATE} == 'Saved'")
    browser.press("Enter", ctrl=True)
    browser.wait(f"location.pathname == '/' && {READY}")
    assert [one.response for one in site.said("stopped")] == [Writing(text="One. Two.")]


def test_a_draft_is_dropped_only_when_that_is_meant(site: Site, browser: Browser) -> None:
    enter(browser, site.links["drop/Ann"])
    write(browser, "Half an answer.")
    browser.wait(f"{STATE} == 'Saved'")
    browser.open(browser.value("location.href"), **WIDTH)
    browser.click("button[value=discard]")
    browser.wait(f"!document.querySelector('.drafted') && {READY}")
    asked = [event["params"] for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]
    assert [one["type"] for one in asked] == ["confirm"]
    assert open_item(site.store, site.token("drop/Ann"), "i").draft is None


def test_leaving_with_words_that_are_not_saved_is_asked_about(site: Site, browser: Browser) -> None:
    enter(browser, site.links["leave/Ann"])
    browser.value("document.getElementById('text').focus()")
    browser.press("x")
    browser.open(f"{site.url}/", **WIDTH)
    asked = [event for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]
    assert [event["params"]["type"] for event in asked] == ["beforeunload"]
    browser.open(f"{site.url}/", **WIDTH)
    quiet(browser, site)


def test_a_rating_is_given_with_keys_alone(site: Site, browser: Browser) -> None:
    enter(browser, site.links["keys/Ann"])
    for key in ("9", "4", "2"):  # there is no 9
        browser.press(key)
    browser.press("Enter", ctrl=True)
    browser.wait(f"document.body.innerText.includes('Item k1') && {READY}")
    browser.press("?")
    assert browser.value("document.getElementById('keys').open")
    browser.press("Escape")
    assert not browser.value("document.getElementById('keys').open")
    browser.press("Enter", ctrl=True)
    browser.wait(f"document.querySelectorAll('fieldset .fault').length == 2 && {READY}")
    browser.press("s")
    browser.type("It is odd.")
    browser.press("4")
    browser.press("Enter")
    browser.wait(f"document.body.innerText.includes('Item k2') && {READY}")
    assert [(one.item, one.response) for one in site.said("keys")] == [("k0", Rating(scores={"truth": 4, "use": 2}))]
    again = open_item(site.store, site.token("keys/Ann"), "k1")
    assert (again.response, again.draft) == (None, None)


@pytest.mark.parametrize(
    ("kind", "keys", "response"),
    [
        ("choose", "2", Choice(better="b")),
        ("label", "310", Labels(labels=())),
        ("label", "013", Labels(labels=("good", "odd"))),
        ("rank", "212", Ranking(order=(("b",), ("a", "c")))),
    ],
)
def test_choices_labels_and_places_have_keys(
    site: Site, browser: Browser, kind: str, keys: str, response: object
) -> None:
    enter(browser, site.links[f"{kind}/Ben"])
    before = len(site.said(kind))
    for key in keys:
        browser.press(key)
    browser.press("Enter", ctrl=True)
    browser.wait(
        f"!location.search.includes('id=an') && {READY}" if before == 0 else f"location.pathname == '/' && {READY}"
    )
    assert site.said(kind)[-1].response == response


def test_selected_words_become_marks_where_they_were_selected(site: Site, browser: Browser) -> None:
    enter(browser, site.links["marks/Ann"])
    select = """(first, last) => {
        const node = document.getElementById('passage').firstChild;
        getSelection().setBaseAndExtent(node, first, node, last);
    }"""
    shown = PIECES.replace("\r\n", "\n")
    utf16 = len(shown[: shown.rindex("One")].encode("utf-16-le")) // 2
    browser.value(f"({select})({utf16}, {utf16 + 12})")  # "One 😀 pump " with the space at its end
    browser.wait("getSelection().toString().endsWith(' ')")
    browser.press("2")
    browser.type("The second time.")
    browser.press("Escape")
    browser.value(f"({select})(0, 3)")
    browser.wait("getSelection().toString() == 'One'")
    browser.click('[data-brush="0"]')
    browser.type("A number.")
    assert browser.value("[...CSS.highlights.keys()].join()") == "mark-1,mark-0"
    browser.wait(f"{STATE} == 'Saved'")
    browser.open(browser.value("location.href"), **WIDTH)
    assert browser.value("document.querySelectorAll('.mark').length") == 2
    assert browser.value("[...CSS.highlights.keys()].join()") == "mark-1,mark-0"
    quiet(browser, site)
    browser.press("Enter", ctrl=True)
    browser.wait(f"location.pathname == '/' && {READY}")
    start = PIECES.rindex("One")
    assert [one.response for one in site.said("marks") if one.annotator == "annotator-1"] == [
        Spans(
            spans=(
                Span(start=start, end=start + 10, label="even", reason="The second time."),
                Span(start=0, end=3, label="odd", reason="A number."),
            )
        )
    ]
    assert PIECES[start : start + 10] == "One 😀 pump"


def test_marks_are_made_without_a_mouse(site: Site, browser: Browser) -> None:
    enter(browser, site.links["marks/Ben"])
    browser.press("2")
    browser.type("Two pumps.")
    browser.press("Tab")
    browser.press("Tab")
    browser.press("Tab")
    browser.type("By keys alone.")
    assert browser.value("[...CSS.highlights.keys()].join()") == "mark-1"
    browser.press("Enter", ctrl=True)
    browser.wait(f"location.pathname == '/' && {READY}")
    start = PIECES.index("Two")
    mark = Span(start=start, end=start + 10, label="even", reason="By keys alone.")
    assert site.said("marks")[-1].response == Spans(spans=(mark,))


def test_a_skip_that_would_drop_words_is_asked_about(site: Site, browser: Browser) -> None:
    enter(browser, site.links["skip/Ann"])
    write(browser, "Half an answer.")
    browser.press("Escape")
    browser.press("s")
    browser.press("Enter")
    browser.wait(f"location.pathname == '/' && {READY}")
    asked = [event["params"] for event in browser.events if event["method"] == "Page.javascriptDialogOpening"]
    assert [one["type"] for one in asked] == ["confirm"]
    assert open_item(site.store, site.token("skip/Ann"), "i").draft is None


def test_a_wrong_token_and_a_token_in_another_tab(site: Site, browser: Browser) -> None:
    browser.open(f"{site.url}/enter#wrong", **WIDTH)
    browser.wait(f"document.title == 'This token opens nothing' && {READY}")
    assert browser.value("location.href") == f"{site.url}/enter"
    browser.value(f"location.hash = '{site.token('label/Ann')}'")  # a link that is opened in the tab that is there
    browser.wait(f"location.pathname == '/' && {READY}")
    begin(browser)
    tab = browser._session
    browser.new_tab()
    enter(browser, site.links["rate/Ann"])
    browser.turn_to(tab)
    browser.press("1")
    browser.wait(f"{STATE}.startsWith('Not saved: Somebody else has signed in')")


@pytest.mark.parametrize("kind", WORKS)
def test_every_kind_of_work_fits_a_phone_and_a_desktop(site: Site, browser: Browser, kind: str) -> None:
    enter(browser, site.links[f"{kind}/Ann"])
    where = browser.value("location.href")
    for width, height, dark in ((390, 844, False), (1280, 900, False), (390, 844, True), (1280, 900, True)):
        browser.open(where, width=width, height=height, dark=dark)
        quiet(browser, site)
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("window.innerWidth") == width
        background = browser.value("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(part) for part in background.strip("rgb()").split(",")) < 384) == dark
        nameless = """[...document.querySelectorAll('textarea, select, input:not([type=hidden])')]
            .filter(one => !one.labels?.length && !one.ariaLabel).map(one => one.outerHTML)"""
        assert browser.value(nameless) == []
