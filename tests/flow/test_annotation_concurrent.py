"""Eight people at once on one store, one of them killed in the middle: no judgment is lost and none is doubled."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from support import annotating
from support.postgres import postgres
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import Rating
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.progress import status
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Project
from tutelage.annotation.work import RateWork
from tutelage.records import user

PEOPLE, ITEMS, OVERLAP = 8, 60, 3


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "store.db")
        return
    with postgres() as url:
        yield url


def started(place: str, token: str, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, annotating.__file__, place, token, str(seed)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def begin(people: Sequence[subprocess.Popen[str]]) -> None:
    """Let them begin together, once all are there: a slow start would leave nothing to do for the last."""
    for person in people:
        assert person.stdout is not None
        assert person.stdout.readline() == "ready\n", person.communicate()[1]
    for person in people:
        assert person.stdin is not None
        person.stdin.write("begin\n")
        person.stdin.flush()


def test_nothing_is_lost_or_doubled(place: str) -> None:
    store = Store(place, create=True)
    store.new_project(Project(name="p", work=RateWork(), overlap=OVERLAP))
    asked = [
        WorkItem(id=f"i{n}", messages=(user(f"Why {n}?"),), answers=(Candidate(key="a", text="So."),))
        for n in range(ITEMS)
    ]
    store.add_items("p", asked)
    tokens = [store.invite("p", f"person {n}")[1] for n in range(PEOPLE)]
    people = [started(place, token, seed) for seed, token in enumerate(tokens)]
    begin(people)
    first = people[0]
    assert first.stdout is not None
    confirmed = [first.stdout.readline().split() for _ in range(2)]
    first.kill()
    rest, complaint = first.communicate()
    assert all(confirmed), f"who was to be killed in the middle had ended: {complaint}"
    confirmed += [line.split() for line in rest.splitlines() if len(line.split()) == 2]
    told = {(0, item): int(score) for item, score in confirmed}
    people[0] = started(place, tokens[0], 100)  # the same person comes back
    begin(people[:1])
    deadline = time.monotonic() + 240
    for number, person in enumerate(people):
        out, err = person.communicate(timeout=deadline - time.monotonic())
        assert person.returncode == 0, err
        told |= {(number, line.split()[0]): int(line.split()[1]) for line in out.splitlines()}

    said = store.judgments("p", history=True)
    assert Counter(one.item for one in said) == {f"i{n}": OVERLAP for n in range(ITEMS)}
    assert len({(one.item, one.annotator) for one in said}) == len(said) == ITEMS * OVERLAP
    kept = {
        (int(one.annotator.removeprefix("annotator-")) - 1, one.item): one.response.scores["quality"]
        for one in said
        if isinstance(one.response, Rating)
    }
    assert {key: kept[key] for key in told} == told, "what was confirmed is there as it was"
    assert len(kept) - len(told) <= 1, "one may be stored whose confirmation the kill cut off"
    with store.database.read() as connection:
        assert connection.scalar(select(func.sum(schema.items.c.wanted))) == 0
    assert status(store, "p").finished == ITEMS
    store.close()
