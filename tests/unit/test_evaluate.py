"""Scores and comparisons against values computed by hand."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.errors import DataError, TutelageError
from tutelage.evaluate.compare import compare
from tutelage.evaluate.run import draw_items, examine, score
from tutelage.events import silent
from tutelage.records import LEVELS, Answer, Engine, Item, Level, Request, Sampling, Split, Verdict, assistant, user
from tutelage.records.comparison import Comparison
from tutelage.records.jsonl import read_records
from tutelage.records.scores import ItemScore


class Parrot:
    """Say the word: the check wants it somewhere, the audit wants nothing else; "?" cannot be judged by either."""

    def __init__(self, name: str = "parrot", dimension: str = "utility", levels: Sequence[Level] = ("basic",)) -> None:
        self.name, self.dimension, self.levels = name, dimension, tuple(levels)

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        return [item(f"{self.name}-{split}-{level}-{number}", split, self.name, level) for number in range(n)]

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        pairs = zip(items, answers, strict=True)
        return [self._verdict(a.text, str(i.reference) in a.text, "The word is missing.") for i, a in pairs]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        pairs = zip(items, answers, strict=True)
        return [self._verdict(a.text, str(i.reference) == a.text, "There is more than the word.") for i, a in pairs]

    @staticmethod
    def _verdict(text: str, passed: bool, reason: str) -> Verdict:
        return Verdict(score=None if text == "?" else float(passed), reason="" if passed else reason)


def item(word: str, split: Split, task: str = "parrot", level: Level = "basic") -> Item:
    return Item(
        id=f"id-{word}",
        task=task,
        dimension="utility",
        level=level,
        split=split,
        messages=(user(f"Say {word}."),),
        group=word,
        reference=word,
    )


ANSWERS = {"a": "a", "b": "b and more", "c": "nothing", "d": "?", "e": "e"}


def scored(split: Split) -> dict[str, ItemScore]:
    items = [item(word, split) for word in ANSWERS]
    answers = [Answer(request_id=f"id-{word}", text=text) for word, text in ANSWERS.items()]
    answers[-1] = Answer(request_id="id-e", text="", finish="error", error="no connection")
    return {found.item_id: found for found in score(items, answers, {"parrot": Parrot()})}


@pytest.mark.parametrize("split", ["probe", "train"])
def test_what_steers_counts_by_the_check_alone(split: Split) -> None:
    found = scored(split)
    assert {name: one.counted for name, one in found.items()} == {
        "id-a": 1.0,
        "id-b": 1.0,
        "id-c": 0.0,
        "id-d": None,
        "id-e": None,
    }
    assert found["id-b"].audit is False, "it is noted all the same"


@pytest.mark.parametrize("split", ["gate", "test"])
def test_what_decides_and_reports_counts_an_answer_if_check_and_audit_agree(split: Split) -> None:
    found = scored(split)
    assert {name: (one.score, one.audit, one.counted) for name, one in found.items()} == {
        "id-a": (1.0, True, 1.0),
        "id-b": (1.0, False, 0.0),
        "id-c": (0.0, False, 0.0),
        "id-d": (None, None, None),
        "id-e": (None, None, None),
    }
    assert found["id-b"].reason == "There is more than the word."
    assert found["id-c"].reason == "The word is missing."
    assert found["id-e"].reason == "no connection"
    assert (found["id-b"].words, found["id-b"].ended, found["id-e"].ended) == (3, True, False)


def test_a_task_that_gives_too_few_verdicts_is_named() -> None:
    class Lazy(Parrot):
        def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
            return super().check(items, answers)[:1]

    answers = [Answer(request_id="id-a", text="a"), Answer(request_id="id-b", text="b")]
    with pytest.raises(TutelageError, match=r"task parrot.*check gives one verdict.*1 verdicts on 2 answers"):
        score([item("a", "test"), item("b", "test")], answers, {"parrot": Lazy()})


def test_tasks_of_one_dimension_share_a_cell() -> None:
    tasks = {"one": Parrot("one", levels=("basic", "expert")), "two": Parrot("two", levels=("basic",))}
    found = draw_items(tasks, "probe", 5, seed=0)
    counts = {(i.task, i.level): 0 for i in found}
    for i in found:
        counts[i.task, i.level] += 1
    assert counts == {("one", "basic"): 3, ("two", "basic"): 2, ("one", "expert"): 5}
    assert [i.id for i in draw_items(tasks, "probe", 5, seed=0)] == [i.id for i in found]


class Odd(Parrot):
    """Draws two items a level, all of them changed by ``fields``."""

    def __init__(self, name: str = "odd", levels: Sequence[Level] = ("basic",), **fields: object) -> None:
        super().__init__(name, levels=levels)
        self.fields = fields

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        return [one.model_copy(update=self.fields) for one in super().items(split, level, n, seed)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id": "1"}, "different ids.*received 1"),
        ({"split": "train"}, "split that it is asked for.*received train in the item id-odd-test-basic-0"),
        ({"level": "expert"}, "level that it is asked for.*received expert"),
        ({"task": "parrot"}, "task that it is asked for.*received parrot"),
    ],
    ids=["id", "split", "level", "task"],
)
def test_a_task_that_draws_other_items_than_it_is_asked_for_is_named(fields: dict[str, object], words: str) -> None:
    with pytest.raises(TutelageError, match=rf"task odd, test, basic: .*{words}"):
        draw_items({"odd": Odd(**fields)}, "test", 2, seed=0)


def test_two_different_items_with_one_id_are_refused() -> None:
    one, two = Odd("one", id="1"), Odd("two", id="1")
    with pytest.raises(TutelageError, match=r"tasks one and two: two different items have one id \(received 1\)"):
        draw_items({"one": one, "two": two}, "test", 2, seed=0)
    levels = Odd(levels=("basic", "expert"), id="1")
    with pytest.raises(TutelageError, match=r"task odd: two different items have one id"):
        draw_items({"odd": levels}, "test", 1, seed=0)
    same = Odd(levels=("basic", "expert"), id="1", messages=(user("Say it."),))
    assert [one.level for one in draw_items({"odd": same}, "test", 1, seed=0)] == ["basic"], "one question, asked once"


class InBatches(ScriptedCompleter):
    """A script that answers as an engine does whose answers depend on what stands beside a request."""

    @property
    def engine(self) -> Engine:
        return Engine(model="script", engine="scripted", batch_size=8)


def test_examining_asks_greedily_puts_shots_before_and_writes_what_it_returns(tmp_path: Path) -> None:
    seen: list[Request] = []

    def reply(request: Request) -> str:
        seen.append(request)
        return request.id.removeprefix("id-")

    items = [item(name, "test", level="expert" if name in "bf" else "basic") for name in "abcdefg"]
    shots = {one.id: (user("Say x."), assistant("x")) for one in items if one.level == "basic"}
    shots[items[5].id] = (user("Say y."), assistant("y"))
    found = examine(
        tmp_path,
        items=items,
        tasks={"parrot": Parrot(levels=LEVELS)},
        open_completer=lambda: InBatches(reply),
        max_tokens=9,
        chunk=8,
        emit=silent,
        contexts=shots,
    )
    assert [request.messages for request in seen] == [
        *((user("Say x."), assistant("x"), user(f"Say {name}.")) for name in "acdeg"),
        (user("Say b."),),
        (user("Say y."), assistant("y"), user("Say f.")),
    ], "items whose shots many share are asked together, and so are all the others"
    assert [answer.request_id for answer in found.answers] == [asked.id for asked in items]
    assert {request.sampling for request in seen} == {Sampling(temperature=0.0, max_tokens=9)}
    assert [one.counted for one in found.scores] == [1.0] * 7
    assert read_records(tmp_path / "scores.jsonl", ItemScore) == found.scores
    assert read_records(tmp_path / "items.jsonl", Item) == found.items
    logged = {answer.request_id: answer for answer in read_records(tmp_path / "answers.jsonl", Answer)}
    assert [logged[asked.id] for asked in items] == found.answers


# Comparisons.


def mark(name: str, value: float | None, **fields: object) -> ItemScore:
    given = {"dimension": "utility", "level": "basic", "group": name, "score": value, "counted": value, **fields}
    return ItemScore.model_validate({"item_id": name, **given})


def versus(rows: Sequence[tuple[str, float | None, float | None, dict[str, object]]], seed: int = 1) -> Comparison:
    before = [mark(name, old, **fields) for name, old, _, fields in rows]
    after = [mark(name, new, **fields) for name, _, new, fields in rows]
    return compare(before, after[::-1], labels=("start", "round 1"), split="test", seed=seed)


BASIC: dict[str, object] = {"level": "basic"}
EXPERT: dict[str, object] = {"level": "expert"}


def test_the_macro_difference_is_the_mean_over_cells_of_paired_differences() -> None:
    rows = [(f"b{i}", float(i < 2), float(i < 8), BASIC) for i in range(10)]  # 0.2 to 0.8
    rows += [(f"e{i}", float(i < 2), float(i < 1), EXPERT) for i in range(4)]  # 0.5 to 0.25
    found = versus(rows)
    assert found.macro.before == pytest.approx((0.2 + 0.5) / 2)
    assert found.macro.after == pytest.approx((0.8 + 0.25) / 2)
    assert found.macro.estimate == pytest.approx((0.6 - 0.25) / 2)
    assert found.macro.n == 14
    assert found.macro.low is not None
    assert found.macro.high is not None
    assert found.macro.low < 0.175 < found.macro.high
    assert (found.before, found.after, found.split) == ("start", "round 1", "test")


def test_pairing_narrows_the_interval_to_the_items_that_changed() -> None:
    """Two unpaired proportions of 40 items, 0.50 and 0.55, differ by 0.05 ± 0.22; of the pairs only two changed."""
    rows = [(f"i{i}", float(i < 20), float(i < 22), BASIC) for i in range(40)]
    found = versus(rows).macro
    assert found.estimate == pytest.approx(0.05)
    assert found.low is not None
    assert found.high is not None
    unpaired = 1.96 * math.sqrt(0.5 * 0.5 / 40 + 0.55 * 0.45 / 40)
    assert found.high - found.low < unpaired
    assert found.low <= 0.0, "two items of forty prove nothing"


def test_an_item_that_one_side_could_not_score_is_left_out_of_both() -> None:
    rows = [(f"i{i}", 0.0, 1.0, BASIC) for i in range(6)]
    rows += [("x", None, 1.0, BASIC), ("y", 0.0, None, BASIC), ("z", None, None, BASIC)]
    found = versus(rows).macro
    assert (found.before, found.after, found.estimate, found.n) == (0.0, 1.0, 1.0, 6)


def test_safety_weighs_both_sides_alike_and_facets_stand_alone() -> None:
    harmful: dict[str, object] = {"dimension": "safety", "facet": "harmful"}
    harmless: dict[str, object] = {"dimension": "safety", "facet": "harmless"}
    rows = [(f"h{i}", 0.0, float(i < 6), harmful) for i in range(8)]  # 0 to 0.75
    rows += [(f"l{i}", 1.0, float(i < 3), harmless) for i in range(4)]  # 1 to 0.75
    found = versus(rows)
    assert found.macro.estimate == pytest.approx((0.75 - 0.25) / 2)
    assert found.facets["safety/harmful"].estimate == pytest.approx(0.75)
    assert found.facets["safety/harmless"].estimate == pytest.approx(-0.25)
    refused = versus([row for row in rows if row[3] is harmful])
    assert refused.macro.estimate is None, "one rate without the other says nothing"


def test_transfer_items_are_compared_apart() -> None:
    rows = [(f"i{i}", 0.0, 1.0, BASIC) for i in range(4)]
    rows += [(f"t{i}", 1.0, float(i < 1), {"transfer": True}) for i in range(4)]
    found = versus(rows)
    assert found.macro.estimate == 1.0
    assert found.transfer is not None
    assert found.transfer.estimate == pytest.approx(-0.75)
    assert versus(rows[:4]).transfer is None


def test_p_values_are_adjusted_over_the_dimensions() -> None:
    rows = [(f"u{i}", float(i < 3), float(i < 11), {"dimension": "utility"}) for i in range(20)]
    rows += [(f"f{i}", float(i < 9), float(i < 11), {"dimension": "faithfulness"}) for i in range(20)]
    found = versus(rows)
    clear, weak = found.p_values["utility"], found.p_values["faithfulness"]
    assert clear is not None
    assert weak is not None
    assert 0 < clear < 0.01 < weak < 1
    assert found.p_holm["utility"] == pytest.approx(2 * clear), "Holm: the smallest of two is doubled"
    assert found.p_holm["faithfulness"] == pytest.approx(weak)


def test_other_items_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"start and round 1.*\n.*2 items.*received a, b"):
        compare(
            [mark("a", 1.0), mark("c", 1.0)],
            [mark("b", 1.0), mark("c", 1.0)],
            labels=("start", "round 1"),
            split="test",
            seed=0,
        )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine": "ctranslate2"}, "different engine .*'transformers' and 'ctranslate2'.*again with the engine of"),
        ({"dtype": "float32"}, r"different dtype .*'bfloat16' and 'float32'.*\(model\.dtype\)"),
        ({"batch_size": 8}, r"different batch size .*64 and 8.*\(engines\.reference_batch\)"),
    ],
)
def test_models_that_unlike_engines_answered_for_are_not_compared(change: dict[str, object], words: str) -> None:
    engine = Engine(model="start", engine="transformers", dtype="bfloat16", batch_size=64, template="a")
    other = engine.model_copy(update={"model": "another base", "template": "b"})

    def versus_by(after: Engine, names: tuple[str, str]) -> Comparison:
        old, new = ([mark(name, 1.0)] for name in names)
        return compare(old, new, labels=("start", "other"), split="test", seed=0, engines=(engine, after))

    assert versus_by(other, ("a", "a")).macro.n == 1, "two base models have their own templates"
    unlike_engine = other.model_copy(update=change)
    with pytest.raises(DataError, match=words):
        versus_by(unlike_engine, ("a", "a"))
    with pytest.raises(DataError) as caught:
        versus_by(unlike_engine, ("a", "b"))
    assert len(caught.value.problems) == 2, "every fault at once"


def test_equal_models_do_not_differ() -> None:
    rows = [(f"i{i}", float(i % 2), float(i % 2), BASIC) for i in range(12)]
    found = versus(rows)
    assert found.macro.estimate == 0.0
    assert found.p_values["utility"] is None or found.p_values["utility"] >= 0.5
