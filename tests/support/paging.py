"""A store for the annotation page: one project of each kind of work, with a script in its texts; and a client of it."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from starlette.testclient import TestClient

from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import (
    Choice,
    Correction,
    Labels,
    Ranking,
    Rating,
    Response,
    Span,
    Spans,
    Writing,
)
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Project
from tutelage.annotation.work import (
    ChooseWork,
    CorrectWork,
    LabelWork,
    RankWork,
    RateWork,
    Scale,
    SpansWork,
    Work,
    WriteWork,
)
from tutelage.records import user
from tutelage.studio.app import annotation_app
from tutelage.studio.door import Office

SCRIPT = "<script>document.title='owned'</script>"
TEXTS = (f"Its filter is blocked. {SCRIPT}", "Buy a pump.\r\nOr: buy a pump.", "المضخة مسدودة")
ODD = 'an/odd id?&#"é'
WORKS: dict[str, Work] = {
    "write": WriteWork(max_words=5),
    "correct": CorrectWork(),
    "rate": RateWork(scales=(Scale(name="truth", question="Is it so?"), Scale(name="use", low=0, high=100))),
    "rank": RankWork(),
    "choose": ChooseWork(),
    "label": LabelWork(labels=("good", "bad", "odd"), several=True),
    "spans": SpansWork(labels=("wrong", "unclear")),
}
ANSWERS = {"write": 0, "rank": 3, "choose": 2, "label": 0}
# For each kind of work what a person fills in, and what it says.
FILLED: dict[str, tuple[dict[str, str | list[str]], Response]] = {
    "write": ({"text": "Its filter.\r\nTruly 𝛼."}, Writing(text="Its filter.\nTruly 𝛼.")),
    "correct": ({"text": "Clean it.", "comment": "short"}, Correction(text="Clean it.", comment="short")),
    "rate": ({"score-0": "4", "score-1": "77"}, Rating(scores={"truth": 4, "use": 77})),
    "rank": ({"place-0": "1", "place-1": "3", "place-2": "1"}, Ranking(order=(("a", "c"), ("b",)))),
    "choose": ({"better": "1"}, Choice(better="b")),
    "label": ({"label": ["0", "2"]}, Labels(labels=("good", "odd"))),
    "spans": (
        {"mark-0-words": "filter", "mark-0-which": "1", "mark-0-label": "1", "mark-0-reason": "Which?"},
        Spans(spans=(Span(start=4, end=10, label="unclear", reason="Which?"),)),
    ),
}


def item(kind: str, name: str) -> WorkItem:
    keys = zip("abc", TEXTS[: ANSWERS.get(kind, 1)], strict=False)
    answers = tuple(Candidate(key=key, text=text) for key, text in keys)
    return WorkItem(id=name, messages=(user(f"Why does it stop? {SCRIPT}"),), answers=answers)


def ask(store: Store, kind: str, *, count: int = 2, overlap: int = 1) -> None:
    """Make a project of this name and kind."""
    rules = f"Be fair. {SCRIPT}"
    store.new_project(Project(name=kind, work=WORKS[kind], overlap=overlap, lease_s=60, guidelines=rules))
    store.add_items(kind, [item(kind, ODD if n == 0 else f"i{n}") for n in range(count)])


@dataclass
class Person:
    """Somebody with a browser that has no script."""

    client: TestClient

    def enter(self, token: str) -> None:
        assert self.client.post("/enter", data={"token": token}).status_code == 200
        self.key = hidden(self.client.get("/").text, "key")

    def next(self) -> str:
        """Ask for the next item and return where it is."""
        answer = self.client.post("/next", data={"key": self.key})
        assert answer.status_code == 200
        return str(answer.url.raw_path.decode())

    def send(
        self, where: str, fields: dict[str, str | list[str]], *, action: str = "submit", revision: str = ""
    ) -> Any:
        """Send the item's form; of the revision that the page shows now, unless another is given."""
        revision = revision or hidden(self.client.get(where).text, "revision")
        return self.client.post(where, data={"key": self.key, "revision": revision, "action": action, **fields})


def person(store: Store, token: str, **options: float | bool) -> Person:
    made = Person(TestClient(annotation_app(Office(store, **options)), base_url="http://127.0.0.1:8642"))  # type: ignore[arg-type]
    made.enter(token)
    return made


def hidden(page: str, name: str) -> str:
    """The value of a field of a page."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return unescape(found[1])
