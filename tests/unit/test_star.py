"""STaR, step by step on a scripted student: right at once, right once it is told the answer, or left out."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from support.ordering import worded
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.star import check_source, given_items, star_rows
from tutelage.errors import DataError, RecipeError
from tutelage.recipe import parse_recipe
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.sources import StarSource
from tutelage.records import Answer, Dropped, Example, Item, Ledger, Level, Request, Split, Verdict, user
from tutelage.records.jsonl import read_records
from tutelage.tasks.build import build_tasks

SHOWN = [
    {"prompt": "How much is 20 + 31?", "reasoning": "Twenty and thirty make fifty, and one more 51.", "answer": "51"},
    {"prompt": "How much is 62 + 5?", "reasoning": "Two and five make seven, so sixty-two becomes 67.", "answer": "67"},
]
TOLD = "the reasoning speaks of having been told the answer"
Change = Callable[[int, int, bool, Request], str | Answer | None]
"""Says something else in place of a good student: by both numbers, whether the answer was told, and the request."""


class Sums:
    """Add two numbers; what counts is the last number that is said. Advanced items have no known answer."""

    name = "sums"
    dimension = "utility"
    levels: tuple[Level, ...] = ("basic", "advanced")

    def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
        return [sum_of(seed % 1000 + place, place + 3, level, split) for place in range(n)]

    def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        return [self._verdict(item, answer.text) for item, answer in zip(items, answers, strict=True)]

    def audit(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        raise AssertionError("construct must never see the audit")

    @staticmethod
    def _verdict(item: Item, text: str) -> Verdict:
        wanted, said = str(item.spec["sum"]), re.findall(r"\d+", text)[-1:]
        return Verdict(score=float(said == [wanted]), reason=f"{said} is not {wanted}.")


def sum_of(one: int, other: int, level: Level = "basic", split: Split = "train") -> Item:
    return Item(
        id=f"{one}+{other}",
        task="sums",
        dimension="utility",
        level=level,
        split=split,
        messages=(user(f"How much is {one} + {other}?"),),
        group=str(one),
        reference=str(one + other) if level == "basic" else None,
        spec={"sum": one + other},
    )


def said(reasoning: str, answer: str) -> str:
    return json.dumps({"reasoning": reasoning, "answer": answer})


def good(one: int, other: int) -> str:
    return said(f"Counting {other} steps on from {one} one arrives there in the end.", str(one + other))


def pupil(change: Change | None = None, told: list[Request] | None = None) -> Asker:
    """A student that adds well, unless ``change`` says something else."""

    def answer(asked: Request) -> str | Answer:
        prompt = asked.messages[-1].text
        one, other = (int(part) for part in re.findall(r"How much is (\d+) \+ (\d+)\?", prompt)[-1])
        if told is not None:
            told.append(asked)
        made = change(one, other, "<right_answer>" in prompt, asked) if change is not None else None
        return made if isinstance(made, Answer) else worded(good(one, other) if made is None else made)

    return Asker(lambda: ScriptedCompleter(answer, name="pupil"), name="pupil")


def sampler(folder: Path, round: int = 1) -> Sampler:
    tasks = {"sums": Sums()}
    return Sampler(
        folder / "out", ConstructSection(), tasks, seed=5 + round, round=round, chunk=4, emit=lambda event: None
    )


def made(
    folder: Path,
    change: Change | None = None,
    *,
    told: list[Request] | None = None,
    at: Sampler | None = None,
    **keys: object,
) -> list[Example]:
    folder.mkdir(exist_ok=True)
    (folder / "shown.jsonl").write_text("".join(json.dumps(one) + "\n" for one in SHOWN))
    section = StarSource.model_validate({"kind": "star", "demonstrations": "shown.jsonl", "items": 8, **keys})
    return star_rows(section, at or sampler(folder), student=pupil(change, told), seed=3, base=folder)


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/star/ledger.jsonl", Ledger)}


def only_if_told(one: int, other: int, hinted: bool, asked: Request) -> str | None:
    """A student that is wrong by one, until it is told."""
    return None if hinted else said("They are counted together, and that is the end of it.", str(one + other + 1))


def test_right_answers_are_learned_with_their_reasons(tmp_path: Path) -> None:
    told: list[Request] = []
    at = sampler(tmp_path)
    rows = made(tmp_path, told=told, at=at)
    assert len(told) == len(rows) == 8
    assert {row.level for row in rows} == {"basic", "advanced"}
    found = ledgers(tmp_path)
    assert [(one.stage, one.rows_in, one.kept) for one in found.values()] == [
        ("items", 8, 8), ("rationales", 8, 8), ("rationalizations", 0, 0),
    ]  # fmt: skip
    for row, asked in zip(rows, told, strict=True):
        prompt, question = asked.messages[-1].text, row.messages[0].text
        assert all(one["prompt"] in prompt and one["reasoning"] in prompt for one in SHOWN)
        assert prompt.rindex(question) > prompt.rindex(SHOWN[-1]["reasoning"]), "it is asked last"
        assert asked.sampling.temperature == 0
        assert len(row.messages) == 2
        assert re.fullmatch(r"Counting \d+ steps on from \d+ one arrives there in the end\.\n\n\d+", row.target.text)
        lineage = row.lineage
        assert (lineage.paradigm, lineage.source, lineage.operations) == ("self", "star", ("reason",))
        assert lineage.prompt.startswith("star_rationale@")
        assert lineage.verdicts[-1].passed
        assert lineage.cost.completion_tokens == 10
        assert Example.from_json(row.to_json()) == row
    meter = at.meters["self"]
    assert (meter.answers, meter.passed, meter.errors, meter.tokens) == (8, 8, 0, 80)


def test_where_it_was_wrong_the_known_answer_is_told_and_the_row_has_no_hint(tmp_path: Path) -> None:
    told: list[Request] = []
    at = sampler(tmp_path)
    rows = made(tmp_path, only_if_told, told=told, at=at)
    assert len(told) == 8 + 4, "items without a known answer are rejected, and not asked again"
    found = ledgers(tmp_path)
    assert found["rationales"].dropped == {"the answer is not right": 8}
    assert (found["rationalizations"].rows_in, found["rationalizations"].kept) == (8, 4)
    assert found["rationalizations"].dropped == {"no right answer is known that could be told": 4}
    assert found["rationalizations"].notes == ("4 rows have reasons for an answer that was told",)
    assert {row.level for row in rows} == {"basic"}
    for row, asked in zip(rows, told[8:], strict=True):
        prompt, answer = asked.messages[-1].text, row.target.text.splitlines()[-1]
        assert f"<right_answer>\n{answer}\n</right_answer>" in prompt
        assert all(f"<right_answer>\n{one['answer']}\n</right_answer>" in prompt for one in SHOWN)
        assert row.messages[0].text in prompt
        assert "right_answer" not in row.to_json()
        assert row.lineage.operations == ("rationalize",)
        assert row.lineage.prompt.startswith("star_rationalization@")
        assert row.lineage.cost.completion_tokens == 20, "the wrong answer too"
    meter = at.meters["self"]
    assert (meter.answers, meter.passed) == (8, 4)
    assert made(tmp_path / "never", only_if_told, rationalize=False) == []
    assert "rationalizations" not in ledgers(tmp_path / "never")


@pytest.mark.parametrize(
    ("reasoning", "reason"),
    [
        ("The hint says what comes of it, so it must be this one.", TOLD),
        ("Since the correct answer is given, it cannot be another.", TOLD),
        ("As I was told, both together make so much.", TOLD),
        ("The right answer is SUM, so they are counted.", TOLD),
        ("We know that the answer is SUM. It is counted.", TOLD),
        ("Because the correct answer is this one, it is counted.", TOLD),
        ("The answer is known to be SUM.", TOLD),
        ("According to the answer both make so much.", TOLD),
        ("It says the right answer above. So it must be.", TOLD),
        ("Since the answer is SUM, they must be added.", TOLD),
        ("They make it together. I was told the answer.", TOLD),
        ("", "the reasoning is empty"),
        ("Both are put together, so the answer is 1.", "the reasoning comes to another answer"),
        ("Like the examples above one counts on from the first.", "the reasoning points at examples that its reader "
         "does not have"),
        ("Two and five make seven, so sixty-two becomes what it is.", "the reasoning copies a demonstration"),
    ],
)  # fmt: skip
def test_reasons_that_nobody_should_learn_are_dropped(tmp_path: Path, reasoning: str, reason: str) -> None:
    def change(one: int, other: int, hinted: bool, asked: Request) -> str:
        return said(reasoning.replace("SUM", str(one + other)), str(one + other)) if hinted else "what?"

    assert made(tmp_path, change, items=2) == []
    assert ledgers(tmp_path)["rationales"].dropped == {"no JSON in it": 2}
    assert ledgers(tmp_path)["rationalizations"].dropped == {
        "no right answer is known that could be told": 1, reason: 1,
    }  # fmt: skip
    assert len(read_records(tmp_path / "out/star/dropped.jsonl", Dropped)) == 4


@pytest.mark.parametrize(
    "reasoning",
    [
        "Tom was told to bring some and brings them. They are counted together.",
        "Both are counted together, so this is the right answer.",
        "One counts on from the first. Hence we know the answer.",
    ],
)
def test_reasons_that_end_in_the_answer_are_no_telling(tmp_path: Path, reasoning: str) -> None:
    def change(one: int, other: int, hinted: bool, asked: Request) -> str:
        return said(reasoning, str(one + other)) if hinted else "what?"

    assert len(made(tmp_path, change, items=2)) == 1


@pytest.mark.parametrize(
    ("reasoning", "reason"),
    [
        ("Both are put together, so the answer is 1.", "the reasoning comes to another answer"),
        ("Like the examples above one counts on from the first.", "the reasoning points at examples that its reader "
         "does not have"),
        ("Up to 9999 one counts on.", "the answer is not right with the reasoning before it"),
    ],
)  # fmt: skip
def test_a_right_answer_is_not_told(tmp_path: Path, reasoning: str, reason: str) -> None:
    class Small(Sums):
        """No large number may be there."""

        def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
            found = super().check(items, answers)
            large = ["9999" in one.text for one in answers]
            return [Verdict(score=0, reason="") if more else one for one, more in zip(found, large, strict=True)]

    def change(one: int, other: int, hinted: bool, asked: Request) -> str:
        return said(reasoning, str(one + other))

    told: list[Request] = []
    at = Sampler(**{**_fields(sampler(tmp_path)), "tasks": {"sums": Small()}})
    assert made(tmp_path, change, told=told, at=at) == []
    assert len(told) == 8, "nothing was wrong with the answers"
    assert ledgers(tmp_path)["rationales"].dropped == {reason: 8}
    assert ledgers(tmp_path)["rationalizations"].rows_in == 0


def test_a_reply_that_never_came_does_not_hide_why_the_others_were_dropped(tmp_path: Path) -> None:
    def change(one: int, other: int, hinted: bool, asked: Request) -> str | Answer:
        lost = asked.id.endswith("/1")
        return Answer(request_id="", text="", finish="error", error="it is too long") if lost else "what?"

    assert made(tmp_path, change, samples=2, temperature=0.7, rationalize=False) == []
    assert ledgers(tmp_path)["rationales"].dropped == {"no JSON in it": 8}
    dropped = read_records(tmp_path / "out/star/dropped.jsonl", Dropped)
    assert all("what?" in str(row.row) for row in dropped)


def test_a_question_may_speak_of_hints(tmp_path: Path) -> None:
    class Hints(Sums):
        def items(self, split: Split, level: Level, n: int, seed: int) -> list[Item]:
            asked = super().items(split, level, n, seed)
            return [
                one.model_copy(update={"messages": (user(f"With a hint: {one.messages[0].text}"),)}) for one in asked
            ]

    def change(one: int, other: int, hinted: bool, asked: Request) -> str:
        return said("By the hint one counts on from there.", str(one + other)) if hinted else "what?"

    at = sampler(tmp_path)
    assert len(made(tmp_path, change, at=Sampler(**{**_fields(at), "tasks": {"sums": Hints()}}))) == 4


def _fields(at: Sampler) -> dict[str, object]:
    return {name: getattr(at, name) for name in ("folder", "section", "seed", "round", "chunk", "emit")}


def test_reasons_before_an_answer_must_pass_with_it_or_stand_in_their_own_field(tmp_path: Path) -> None:
    class First(Sums):
        """What counts is the first number."""

        def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
            texts = [" ".join(reversed(re.findall(r"\d+", one.text))) for one in answers]
            return super().check(items, [Answer(request_id="", text=text) for text in texts])

    at = Sampler(**{**_fields(sampler(tmp_path)), "tasks": {"sums": First()}})
    assert made(tmp_path, at=at, rationalize=False) == []
    assert ledgers(tmp_path)["rationales"].dropped == {"the answer is not right with the reasoning before it": 8}
    other = Sampler(**{**_fields(sampler(tmp_path / "field")), "tasks": {"sums": First()}})
    rows = made(tmp_path / "field", at=other, place="reasoning")
    assert len(rows) == 8
    assert all(row.target.reasoning.startswith("Counting") and row.target.text.isdigit() for row in rows)


def test_of_several_the_first_right_one_is_kept(tmp_path: Path) -> None:
    def change(one: int, other: int, hinted: bool, asked: Request) -> str | None:
        number = int(asked.id.rpartition("/")[2])
        reasons = f"In attempt {'abc'[number]} all is put together and then counted."
        return said(reasons, str(one + other + (number == 0)))

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, samples=3, temperature=0.7)
    assert len({(one.id, one.seed) for one in told}) == len(told) == 24
    assert all("attempt b" in row.target.text for row in rows)
    assert {row.lineage.cost.completion_tokens for row in rows} == {30}


def test_what_never_came_is_no_wrong_answer(tmp_path: Path) -> None:
    def change(one: int, other: int, hinted: bool, asked: Request) -> Answer | None:
        return Answer(request_id="", text="", finish="error", error="it is too long") if other == 3 else None

    at = sampler(tmp_path)
    assert len(made(tmp_path, change, at=at)) == 6
    assert ledgers(tmp_path)["rationales"].dropped == {"no answer came": 2}
    assert ledgers(tmp_path)["rationalizations"].rows_in == 0
    assert (at.meters["self"].answers, at.meters["self"].errors) == (6, 2)


def test_the_same_call_asks_nothing_twice_and_each_round_has_items_of_its_own(tmp_path: Path) -> None:
    told: list[Request] = []
    first = made(tmp_path, only_if_told, told=told)
    paid = len(told)
    assert made(tmp_path, only_if_told, told=told) == first
    assert len(told) == paid
    (tmp_path / "out/star/rationalizations.jsonl").unlink()
    assert made(tmp_path, only_if_told, told=told) == first
    assert len(told) == paid + 4
    second = made(tmp_path / "next", only_if_told, at=sampler(tmp_path / "next", round=2))
    assert not {row.messages for row in first} & {row.messages for row in second}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("exact", {"check": "exact", "reference": "so it is"}),
        ("grounded", {}),
        ("choice", {"check": "choice", "reference": "red", "choices": "red|blue"}),
        ("contains", {"check": "contains", "reference": "so it is"}),
        ("numeric", {"check": "numeric", "reference": "17"}),
    ],
)
def test_a_check_that_no_answer_passes_behind_reasons_is_refused(
    tmp_path: Path, kind: str, fields: dict[str, str]
) -> None:
    rows = [{"prompt": f"Say {word}.", "level": "basic", **fields} for word in "abcdefghijklmnopqrst"]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "shown.jsonl").write_text("".join(json.dumps(one) + "\n" for one in SHOWN))
    task = "{kind: grounded}" if kind == "grounded" else f"{{kind: rows, name: {kind}, path: rows.jsonl}}"
    tasks = build_tasks(parse_recipe(f"name: mine\ntasks: [{task}]").tasks, tmp_path)
    section = StarSource(kind="star", demonstrations="shown.jsonl", items=8)
    check_source(section.model_copy(update={"place": "reasoning"}), tasks, tmp_path)
    if kind in ("exact", "grounded"):
        with pytest.raises(DataError, match=rf"known answers of the task {kind} .*place: reasoning"):
            check_source(section, tasks, tmp_path)
    else:
        check_source(section, tasks, tmp_path)


def test_items_whose_check_reasons_spoil_are_counted(tmp_path: Path) -> None:
    class Short(Sums):
        """Only the larger half of the sums may have more than a word."""

        def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
            found = super().check(items, answers)
            short = [
                int(item.id.rpartition("+")[2]) > 4 or len(one.text) < 9
                for item, one in zip(items, answers, strict=True)
            ]
            return [one if fits else Verdict(score=0, reason="") for one, fits in zip(found, short, strict=True)]

    at = Sampler(**{**_fields(sampler(tmp_path)), "tasks": {"sums": Short()}})
    assert len(made(tmp_path, at=at)) == 4
    assert ledgers(tmp_path)["items"].notes == ("of 4 known answers 2 do not pass behind neutral reasons (place)",)


def test_items_without_a_check_are_left_out(tmp_path: Path) -> None:
    rows = [{"prompt": f"Say {word}.", "reference": word, "level": "basic"} for word in "abcdefghijklmnopqrst"]
    for name, check in (("free", None), ("exact", "exact")):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({**row, "check": check}) + "\n" for row in rows))
    text = "name: mine\ntasks: [{kind: rows, path: free.jsonl}, {kind: rows, name: exact, path: exact.jsonl}]"
    tasks = build_tasks(parse_recipe(text).tasks, tmp_path)
    section = StarSource(kind="star", demonstrations="shown.jsonl", items=8)
    kept, dropped = given_items(section, tasks, round=1, seed=3)
    assert {one.item.task for one in kept} == {"exact"}
    assert [one.reason for one in dropped] == ["no check could say that an answer is right"] * 4
    unchecked = section.model_copy(update={"tasks": ("rows",)})
    with pytest.raises(DataError, match=r"no train item has a check .*rows"):
        check_source(unchecked, tasks, tmp_path)
    only = section.model_copy(update={"tasks": ("exact",)})
    assert [one.item.task for one in given_items(only, tasks, round=1, seed=3)[0]] == ["exact"] * 8


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("samples: 2", "all 2 would be the same at temperature 0"),
        ("tasks: []", "name one or more, each once"),
        ("tasks: [constraints, constraints]", "name one or more, each once"),
        ("max_words: 1", "max_words"),
        ("by: teacher", "by"),
    ],
)
def test_contradictions_are_refused(keys: str, said: str) -> None:
    source = f"{{kind: star, demonstrations: shown.jsonl, {keys}}}"
    with pytest.raises(RecipeError, match=said):
        parse_recipe(f"name: mine\ntasks: [{{kind: constraints}}]\nconstruct: {{sources: [{source}]}}")


def test_what_cannot_be_used_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    section = StarSource(kind="star", demonstrations="shown.jsonl", tasks=("sums", "products"))
    with pytest.raises(DataError, match=r"no task of this recipe has this name.*products.*There are: sums") as refused:
        check_source(section, {"sums": Sums()}, tmp_path)
    assert len(refused.value.problems) == 2, "and the file is not there"
    (tmp_path / "shown.jsonl").write_text('{"prompt": "How much?", "reasoning": " ", "answer": "5"}\n{"prompt": "a"}\n')
    section = StarSource(kind="star", demonstrations="shown.jsonl")
    with pytest.raises(DataError) as refused:
        check_source(section, {"sums": Sums()}, tmp_path)
    assert len(refused.value.problems) == 3
    (tmp_path / "shown.jsonl").write_text("")
    with pytest.raises(DataError):
        check_source(section, {"sums": Sums()}, tmp_path)
