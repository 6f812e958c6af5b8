"""The annotation store, on SQLite and on PostgreSQL: queue, drafts, judgments, revisions, tokens, migrations."""

import random
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, inspect, select, text

from support.postgres import postgres
from tutelage.annotation.bundle import check_bundle
from tutelage.annotation.faults import AnnotationError, NotGiven, StaleRevision, UnknownItem, UnknownToken
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import Rating, Response, Span, Spans, Writing, check_response, parse_response
from tutelage.annotation.sql import schema
from tutelage.annotation.sql.filling import bundle_of
from tutelage.annotation.sql.migrations import MIGRATIONS, migrate, version_of
from tutelage.annotation.sql.progress import status
from tutelage.annotation.sql.queue import next_item, open_item, save_draft, skip, submit
from tutelage.annotation.sql.store import Store, hashed
from tutelage.annotation.views import Project
from tutelage.annotation.work import ChooseWork, LabelWork, RankWork, RateWork, Scale, SpansWork, Work, WriteWork
from tutelage.errors import DataError, StorageError
from tutelage.records import user

GOOD, BAD = Rating(scores={"quality": 5}), Rating(scores={"quality": 1})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return str(tmp_path / "store.db")
    url: str = request.getfixturevalue("server")
    store = Store(url, create=True)
    with store.database.write() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    store.close()
    return url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(place: str, clock: Clock) -> Iterator[Store]:
    made = Store(place, create=True, clock=clock)
    yield made
    made.close()


def item(name: str, answer: str = "Because of the wind.") -> WorkItem:
    return WorkItem(id=name, messages=(user(f"Why {name}?"),), answers=(Candidate(key="a", text=answer),))


def filled(store: Store, count: int = 2, *, overlap: int = 2, people: int = 3, work: Work | None = None) -> list[str]:
    store.new_project(Project(name="p", work=work or RateWork(), overlap=overlap, lease_s=60, guidelines="Be fair."))
    store.add_items("p", [item(f"i{n}") for n in range(count)])
    return [store.invite("p", f"person {n}")[1] for n in range(people)]


def test_each_item_is_asked_of_as_many_people_as_wanted(store: Store) -> None:
    tokens = filled(store, count=4, overlap=2, people=3)
    seen: dict[str, list[str]] = {}
    while any(tasks := [next_item(store, token) for token in tokens]):
        for token, task in zip(tokens, tasks, strict=True):
            if task is not None:
                seen.setdefault(task.item.id, []).append(token)
                submit(store, token, task.item.id, GOOD, revision=task.revision, seconds=3)
    assert {name: len(set(who)) for name, who in seen.items()} == {f"i{n}": 2 for n in range(4)}
    said = store.judgments("p")
    assert len({(one.item, one.annotator) for one in said}) == len(said) == 8
    found = status(store, "p")
    assert (found.items, found.finished, found.judgments, found.wanted, found.beyond) == (4, 4, 8, 0, 0)


def test_who_comes_back_has_the_same_item_and_the_draft(store: Store) -> None:
    [token] = filled(store, overlap=1, people=1)
    task = next_item(store, token)
    assert task is not None
    receipt = save_draft(store, token, task.item.id, {"quality": 3}, revision=task.revision)
    again = next_item(store, token)
    assert again is not None
    assert (again.item, again.draft, again.revision) == (task.item, {"quality": 3}, receipt.revision)
    assert again.guidelines == "Be fair."


def test_a_stale_window_overwrites_nothing(store: Store) -> None:
    [token] = filled(store, overlap=1, people=1)
    task = next_item(store, token)
    assert task is not None
    name = task.item.id
    first = save_draft(store, token, name, "one window", revision=task.revision)
    with pytest.raises(StaleRevision, match="nothing was overwritten") as stale:
        save_draft(store, token, name, "the other window", revision=task.revision)
    assert stale.value.current == first.revision
    with pytest.raises(StaleRevision):
        submit(store, token, name, BAD, revision=task.revision)
    with pytest.raises(StaleRevision):
        skip(store, token, name, revision=task.revision)
    assert open_item(store, token, name).draft == "one window"
    assert store.judgments("p") == []


def test_what_is_sent_twice_is_there_once(store: Store) -> None:
    [token] = filled(store, overlap=1, people=1)
    task = next_item(store, token)
    assert task is not None
    name = task.item.id
    drafts = [save_draft(store, token, name, [1, "é"], revision=0) for _ in range(2)]
    assert [draft.repeated for draft in drafts] == [False, True]
    sent = [submit(store, token, name, GOOD, revision=drafts[1].revision) for _ in range(3)]
    assert [(one.number, one.repeated) for one in sent] == [(1, False), (1, True), (1, True)]
    assert submit(store, token, name, GOOD, revision=sent[0].revision).repeated, "said again, not anew"
    assert len(store.judgments("p", history=True)) == 1


def test_a_correction_is_a_new_judgment_and_the_old_one_is_kept(store: Store) -> None:
    [token] = filled(store, overlap=1, people=1)
    task = next_item(store, token)
    assert task is not None
    first = submit(store, token, task.item.id, GOOD, revision=task.revision)
    store.change_guidelines("p", "Be strict.")
    second = submit(store, token, task.item.id, BAD, revision=first.revision)
    assert second.number == 2
    old, new = store.judgments("p", history=True)
    assert (old.response, new.response) == (GOOD, BAD)
    assert (old.guidelines_revision, new.guidelines_revision) == (1, 2)
    assert [one.response for one in store.judgments("p")] == [BAD]
    assert open_item(store, token, task.item.id).response == BAD
    assert (status(store, "p").judgments, status(store, "p").revised) == (1, 1)


def test_abandoned_items_go_to_others_and_late_work_is_taken(store: Store, clock: Clock) -> None:
    slow, quick, _ = filled(store, count=1, overlap=1)
    task = next_item(store, slow)
    assert task is not None
    assert next_item(store, quick) is None, "somebody works on it"
    clock.now += 50
    save_draft(store, slow, "i0", "still here", revision=0)
    clock.now += 50
    assert next_item(store, quick) is None, "a draft gives more time"
    clock.now += 61
    taken = next_item(store, quick)
    assert taken is not None
    assert open_item(store, slow, "i0").expired
    assert next_item(store, slow) is None
    submit(store, quick, "i0", GOOD, revision=taken.revision)
    submit(store, slow, "i0", BAD, revision=1)
    found = status(store, "p")
    assert (found.judgments, found.finished, found.beyond, found.wanted) == (2, 1, 1, 0)


def test_who_was_late_may_have_it_again(store: Store, clock: Clock) -> None:
    [token] = filled(store, count=1, overlap=1, people=1)
    assert next_item(store, token) is not None
    save_draft(store, token, "i0", "half", revision=0)
    clock.now += 100
    assert status(store, "p").annotators[0].expired == 1
    again = next_item(store, token)
    assert again is not None
    assert (again.draft, again.expired) == ("half", False)


def test_skipped_items_go_to_others(store: Store) -> None:
    first, second, _ = filled(store, count=1, overlap=1)
    assert next_item(store, first) is not None
    receipts = [skip(store, first, "i0", revision=0, note="not my field") for _ in range(2)]
    assert [receipt.repeated for receipt in receipts] == [False, True]
    assert next_item(store, first) is None
    task = next_item(store, second)
    assert task is not None
    submit(store, second, "i0", GOOD, revision=task.revision)
    with pytest.raises(AnnotationError, match="submitted already"):
        skip(store, second, "i0", revision=task.revision + 1)
    submit(store, first, "i0", BAD, revision=1)
    assert status(store, "p").skips == {}, "who skipped may think again"
    assert status(store, "p").beyond == 1


def test_tokens(store: Store, place: str) -> None:
    [token] = filled(store, people=1)
    assert store.who(token)[1].pseudonym == "annotator-1"
    for wrong in ("", token[:-1], token + "x", hashed(token), "\x00", "' OR 1=1 --", "\ud800"):
        with pytest.raises(UnknownToken, match="belongs to nobody"):
            next_item(store, wrong)
    annotator, fresh = store.invite("p", "person 0")
    assert annotator.pseudonym == "annotator-1"
    with pytest.raises(UnknownToken):
        next_item(store, token)
    assert next_item(store, fresh) is not None
    with store.database.read() as connection:
        kept = str(connection.execute(select(schema.annotators)).all())
    assert fresh not in kept
    store.dismiss("p", "person 0")
    with pytest.raises(UnknownToken):
        next_item(store, fresh)
    assert [one.active for one in store.annotators("p")] == [False]


def test_a_token_opens_its_own_project_and_items_alone(store: Store) -> None:
    [token] = filled(store, people=1)
    store.new_project(Project(name="other", work=RateWork()))
    store.add_items("other", [item("secret")])
    for name, fault in (("secret", UnknownItem), ("i1", NotGiven), ("i0' OR 1=1", UnknownItem), ("\x00", UnknownItem)):
        with pytest.raises(fault):
            open_item(store, token, name)
        with pytest.raises(fault):
            submit(store, token, name, GOOD, revision=0)


def test_items_are_all_added_or_none_and_equal_ones_once(store: Store) -> None:
    filled(store, count=2)
    again = store.add_items("p", [item("i1"), item("i2")])
    assert (again.new, again.there) == (1, 1)
    no_answer = WorkItem(id="n", messages=(user("Why?"),))
    with pytest.raises(DataError) as refused:
        store.add_items("p", [item("i3"), item("i3"), item("i1", "another answer"), no_answer])
    assert "in these rows" in str(refused.value)
    assert "with other content" in str(refused.value)
    assert "needs at least 1 answer" in str(refused.value)
    assert len(store.items("p")) == 3


def test_text_is_kept_as_it_was(store: Store) -> None:
    strange = "<script>alert('x')</script> \u202e\u0000 żółć 漢字 🙂 \\u0000 %s :name\r\n\t'\";--"
    filled(store, count=0, people=0, work=WriteWork(), overlap=1)
    asked = WorkItem(id="<b>'; DROP TABLE items; --", messages=(user(strange),), metadata={"k": [1, None, strange]})
    store.add_items("p", [asked])
    token = store.invite("p", "Łukasz O'Neil")[1]
    task = next_item(store, token)
    assert task is not None
    assert task.item == asked
    submit(store, token, asked.id, Writing(text=strange), revision=0)
    assert store.judgments("p")[0].response == Writing(text=strange)
    assert store.items("p") == [asked]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\x00"])
def test_names_that_nobody_can_read_are_refused(store: Store, name: str) -> None:
    with pytest.raises(DataError, match="can be read"):
        store.new_project(Project(name=name, work=RateWork()))
    filled(store)
    with pytest.raises(DataError, match="can be read"):
        store.invite("p", name)


def test_what_is_not_there_is_named(store: Store) -> None:
    filled(store)
    with pytest.raises(AnnotationError, match=r"no project.*Use p"):
        store.project("q")
    with pytest.raises(AnnotationError, match="there is a project"):
        store.new_project(Project(name="p", work=RateWork()))
    with pytest.raises(AnnotationError, match="nobody of this name"):
        store.dismiss("p", "stranger")
    store.invite("p", "judge", role="adjudicator")
    with pytest.raises(AnnotationError, match="is adjudicator here"):
        store.invite("p", "judge")


def test_two_windows_of_one_person_get_one_item(store: Store, place: str) -> None:
    [token] = filled(store, count=8, overlap=1, people=1)
    stores = [Store(place, clock=store.clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        tasks = list(pool.map(lambda one: next_item(one, token), stores))
    assert {task.item.id for task in tasks if task is not None} == {"i0"}
    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(lambda one: submit(one, token, "i0", GOOD, revision=0), stores))
    assert sorted(one.repeated for one in sent) == [False, True, True, True]
    assert len(store.judgments("p", history=True)) == 1
    for one in stores:
        one.close()


def test_the_count_of_people_wanted_stays_right_while_time_runs_out_everywhere(store: Store, place: str) -> None:
    """Five people at once who answer, skip, and are silent for too long; the store's clock runs a thousand times."""
    begin = time.monotonic()
    tokens = filled(store, count=6, overlap=2, people=5)

    def work(number: int) -> None:
        draw = random.Random(number)
        mine = Store(place, clock=lambda: 1000 + 1000 * (time.monotonic() - begin))
        for _ in range(12):
            task = next_item(mine, tokens[number])
            if task is None:
                break
            act = draw.random()
            if act < 0.4:
                submit(mine, tokens[number], task.item.id, GOOD, revision=task.revision)
            elif act < 0.6:
                skip(mine, tokens[number], task.item.id, revision=task.revision, note="x")
            else:
                time.sleep(0.07)
        mine.close()

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(work, range(5)))
    given, items = schema.assignments, schema.items
    with store.database.read() as connection:
        for row in connection.execute(select(items.c.id, items.c.wanted)):
            states = connection.scalars(select(given.c.state).where(given.c.item_id == row.id)).all()
            assert row.wanted == 2 - sum(state in ("open", "submitted") for state in states)
        submitted = connection.execute(select(given.c.id).where(given.c.state == "submitted")).all()
    assert len(submitted) == len(store.judgments("p", history=True)) > 0


def test_what_leaves_the_store_is_of_one_moment(store: Store, place: str) -> None:
    """Between the reading of items and that of judgments somebody adds an item and judges it."""
    [token] = filled(store, count=1, overlap=1, people=1)
    other = Store(place)
    meanwhile: list[str] = []

    def write(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "items.content" in statement and not meanwhile:
            meanwhile.append(statement)
            other.add_items("p", [item("late")])
            for _turn in range(2):
                task = next_item(other, token)
                assert task is not None
                submit(other, token, task.item.id, GOOD, revision=task.revision)

    event.listen(Engine, "after_cursor_execute", write)
    try:
        bundle = bundle_of(store, "p")
    finally:
        event.remove(Engine, "after_cursor_execute", write)
    assert meanwhile
    check_bundle(bundle, "the store")
    assert [one.id for one in bundle.items] == ["i0"]
    assert bundle.judgments == ()
    assert len(bundle_of(store, "p").judgments) == 2
    other.close()


def test_metadata_in_another_order_is_the_same_item(store: Store) -> None:
    filled(store, count=0)
    for metadata in ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}):
        added = store.add_items("p", [item("i").model_copy(update={"metadata": metadata})])
    assert (added.new, added.there) == (0, 1)
    with pytest.raises(DataError, match="with other content"):
        store.add_items("p", [item("i").model_copy(update={"metadata": {"a": 2}})])


def test_migrations_make_the_tables_that_queries_name(store: Store) -> None:
    with store.database.read() as connection:
        looked = inspect(connection)
        for table in schema.TABLES.tables.values():
            made = {column["name"]: bool(column["nullable"]) for column in looked.get_columns(table.name)}
            assert made.keys() == {column.name for column in table.columns}
            wanted = {column.name: column.nullable for column in table.columns if not column.primary_key}
            assert {name: made[name] for name in wanted} == wanted
        assert version_of(connection) == len(MIGRATIONS)


def test_a_migration_is_whole_or_absent_and_taken_once(store: Store) -> None:
    filled(store)
    more = (*MIGRATIONS, ("ALTER TABLE items ADD COLUMN color TEXT",), ("ALTER TABLE nowhere ADD COLUMN x TEXT",))
    with pytest.raises(StorageError, match="nowhere"), store.database.write() as connection:
        migrate(connection, more)
    with store.database.write() as connection:
        assert version_of(connection) == 1
        assert migrate(connection, more[:2]) == 1
        assert migrate(connection, more[:2]) == 0
        assert "color" in {column["name"] for column in inspect(connection).get_columns("items")}
    assert len(store.items("p")) == 2
    with pytest.raises(AnnotationError, match="newer version"), store.database.write() as connection:
        migrate(connection)


def test_places_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="annotate new"):
        Store(str(tmp_path / "none.db"))
    (tmp_path / "text.db").write_text("not a database at all, but a text of some length\n" * 40)
    with pytest.raises(StorageError, match="no database"):
        Store(str(tmp_path / "text.db"))
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE items (x)")
    other.close()
    with pytest.raises(AnnotationError, match="no annotation store"):
        Store(str(tmp_path / "other.db"))
    with pytest.raises(AnnotationError, match="items"):
        Store(str(tmp_path / "other.db"), create=True)
    with pytest.raises(StorageError, match="cannot be opened"):
        Store(str(tmp_path / "no" / "folder.db"), create=True)
    for wrong in ("mysql://root@h/db", "sqlite://", "postgresql://h:port/x"):
        with pytest.raises(AnnotationError):
            Store(wrong, create=True)


def test_a_file_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "other.db"
    with sqlite3.connect(place) as other:
        other.execute("CREATE TABLE items (x)")
    other.close()
    before = place.read_bytes()
    for create in (False, True):
        with pytest.raises(AnnotationError):
            Store(str(place), create=create)
    assert place.read_bytes() == before
    Store(str(tmp_path / "own.db"), create=True).close()
    with sqlite3.connect(tmp_path / "own.db") as own:
        assert own.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    own.close()


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://127.0.0.1:1/x?user=me&password=SECRET",
        "postgresql://me@127.0.0.1:1/x?sslpassword=SECRET",
        "mysql://h/x?password=SECRET",
        "postgresql://me:pass@SECRET@127.0.0.1:1/x",
        "postgresql://me:12/SECRET@127.0.0.1:1/x",
        "postgresql://h:port/x?password=SECRET@",
        "postgresql://me:SECRET:@h:port/x",
    ],
)
def test_passwords_are_never_shown(place: str) -> None:
    with pytest.raises((AnnotationError, StorageError)) as refused:
        Store(place, create=True)
    assert "SECRET" not in str(refused.value)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be reached") as refused:
        Store("postgresql://me:hidden@127.0.0.1:1/x", create=True)
    assert "hidden" not in str(refused.value)


CHOICE_ITEM = WorkItem(
    id="c", messages=(user("Which?"),), answers=(Candidate(key="a", text="yes"), Candidate(key="b", text="no"))
)


@pytest.mark.parametrize(
    ("work", "said", "words"),
    [
        (
            RateWork(scales=(Scale(name="x"), Scale(name="y", low=0, high=1))),
            '{"kind":"rate","scores":{"x":6,"z":1}}',
            3,
        ),
        (RankWork(ties=False), '{"kind":"rank","order":[["a","b"]]}', 1),
        (RankWork(), '{"kind":"rank","order":[["a"],["a"]]}', 1),
        (ChooseWork(ties=False), '{"kind":"choose","better":null}', 1),
        (ChooseWork(), '{"kind":"choose","better":"c"}', 1),
        (LabelWork(labels=("u", "v")), '{"kind":"label","labels":["u","w"]}', 2),
        (SpansWork(labels=("u",)), '{"kind":"spans","spans":[{"start":1,"end":9,"label":"v"}]}', 3),
        (WriteWork(max_words=2), '{"kind":"write","text":"one two three"}', 1),
        (WriteWork(), '{"kind":"write","text":" "}', 1),
        (WriteWork(), '{"kind":"rate","scores":{}}', 1),
    ],
)
def test_responses_that_do_not_fit_are_refused_with_all_faults(work: Work, said: str, words: int) -> None:
    with pytest.raises(DataError) as refused:
        check_response(work, CHOICE_ITEM, parse_response(said, "response"))
    assert len(refused.value.problems) == words


@pytest.mark.parametrize("said", ["", "[]", '{"kind":"x"}', '{"kind":"write"}', '{"kind":"rate","scores":{"a":1.5}}'])
def test_what_is_no_response_is_refused(said: str) -> None:
    with pytest.raises(DataError):
        parse_response(said, "response")


def test_a_response_of_the_right_form_passes() -> None:
    fits: list[tuple[Work, Response]] = [
        (SpansWork(labels=("u",)), Spans(spans=(Span(start=0, end=3, label="u", reason="wrong"),))),
        (SpansWork(labels=("u",), of="question", reasons=False), Spans(spans=(Span(start=0, end=6, label="u"),))),
        (WriteWork(), Writing(text="Both.")),
    ]
    for work, response in fits:
        check_response(work, CHOICE_ITEM, response)
