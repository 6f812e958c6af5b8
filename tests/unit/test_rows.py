import json
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from tutelage.errors import DataError
from tutelage.records import Answer, Demonstration, Item
from tutelage.tasks.rows import ColumnsSection, RowsSection, RowsTask, SharesSection, estimate_levels

ALL_TRAIN = {"train": 1, "probe": 0, "gate": 0, "test": 0}


def task(folder: Path, *rows: dict[str, JsonValue], **options: object) -> RowsTask:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = RowsSection.model_validate({"kind": "rows", "path": "rows.jsonl", **options})
    return RowsTask(section, folder)


def faults(folder: Path, *rows: dict[str, JsonValue], **options: object) -> list[str]:
    with pytest.raises(DataError) as caught:
        task(folder, *rows, **options)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def answer(item: Item, text: str, finish: str = "stop") -> Answer:
    return Answer.model_validate({"request_id": item.id, "text": text, "finish": finish})


def test_a_csv_becomes_items_with_checks(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "prompt,reference,check,level,group,passage\n"
        "What is the dose?,5 mg,exact,Basic,ward 1,Give 5 mg daily.\n"
        "How many?,12,numeric,expert,ward 2,\n"
    )
    section = RowsSection(kind="rows", path="rows.csv", name="ward", dimension="faithfulness", tolerance=1)
    rows = RowsTask(section, tmp_path)
    dose, number = rows.all_items
    assert dose.prompt == "Give 5 mg daily.\n\nWhat is the dose?"
    assert (dose.task, dose.dimension, dose.level, dose.passage) == (
        "ward",
        "faithfulness",
        "basic",
        "Give 5 mg daily.",
    )
    assert dose.reference == "5 mg"
    assert rows.levels == ("basic", "expert")
    assert rows.states_levels
    verdicts = rows.check([dose, number], [answer(dose, "5 MG"), answer(number, "It is 13.")])
    assert [verdict.score for verdict in verdicts] == [1.0, 1.0]
    (lost,) = rows.check([dose], [answer(dose, "", "error")])
    assert lost.score is None


def test_items_keep_their_check_over_json(tmp_path: Path) -> None:
    rows = task(tmp_path, {"prompt": "a?", "reference": "b", "check": "exact"})
    item = Item.from_json(rows.all_items[0].to_json())
    again = RowsTask(rows.section, tmp_path)
    assert again.all_items == rows.all_items
    assert again.check([item], [answer(item, "b")])[0].passed


def test_conversations_systems_and_answers(tmp_path: Path) -> None:
    rows = task(
        tmp_path,
        {
            "messages": [
                {"role": "user", "content": "Hi."},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "Who wrote?"},
                {"role": "assistant", "content": "The keeper."},
            ],
            "system": "Be brief.",
            "passage": "The keeper wrote.",
        },
        {"prompt": "a?", "answer": "An answer.", "reference": "^b", "check": "regex"},
        shares=ALL_TRAIN,
    )
    chat, plain = rows.all_items
    assert [message.role for message in chat.messages] == ["system", "user", "assistant", "user"]
    assert chat.prompt == "The keeper wrote.\n\nWho wrote?"
    assert chat.reference == "The keeper."
    assert plain.reference == "An answer."
    assert rows.demonstrations() == [Demonstration(item=chat, answer="The keeper.", author="expert")]
    assert "1 experts' answers do not pass the check of their own row and are not learned from." in rows.capability()


def test_a_reference_that_is_no_answer_is_not_learned_from(tmp_path: Path) -> None:
    rows = task(
        tmp_path,
        {"prompt": "a?", "reference": "a+", "check": "regex"},
        {"prompt": "b?", "reference": {"type": "object"}, "check": "json_schema"},
        {"prompt": "c?", "reference": "c", "check": "contains"},
        {"prompt": "d?", "reference": "d"},
        {"prompt": "e?"},
        shares=ALL_TRAIN,
        author="Dr. Ada",
    )
    assert [(row.answer, row.author) for row in rows.demonstrations()] == [("c", "Dr. Ada"), ("d", "Dr. Ada")]


def test_choices_are_listed_or_inferred(tmp_path: Path) -> None:
    rows = task(
        tmp_path,
        {"prompt": "a?", "reference": "yes"},
        {"prompt": "b?", "reference": "no"},
        {"prompt": "c?", "reference": "red", "choices": "red|green"},
        check="choice",
    )
    assert [item.spec["choices"] for item in rows.all_items] == [["no", "yes"], ["no", "yes"], ["red", "green"]]
    assert faults(tmp_path, {"prompt": "a?", "reference": "x", "choices": "red|green"}, check="choice") == [
        "rows.jsonl:1: reference: expected one of the choices red | green (received x)"
    ]


def test_all_faults_of_rows_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        {"prompt": "a?", "check": "exct", "reference": "b"},
        {"prompt": "a?", "check": "exact"},
        {"prompt": " "},
        {"prompt": "a?", "check": "regex", "reference": "("},
        {"prompt": "a?", "level": "hard"},
        {"prompt": {"a": 1}},
        {"prompt": "a?", "check": "os:system", "reference": "b"},
        {"messages": [{"role": "assistant", "content": "b"}]},
    )
    assert found == [
        "rows.jsonl:1: check: there is no such check (received exct). Did you mean exact?",
        "rows.jsonl:2: reference: the check exact needs a reference. Add it, or use check none",
        "rows.jsonl:3: prompt: expected a text that is not empty. Write it or remove the row",
        "rows.jsonl:4: reference: expected a regular expression: missing ), unterminated subpattern at position 0 "
        "(received ()",
        "rows.jsonl:5: level: expected basic, intermediate, advanced, expert (received hard)",
        'rows.jsonl:6: prompt: expected a text (received {"a": 1})',
        "rows.jsonl:7: check: there is no such check (received os:system). Use choice, contains, exact, json_schema, "
        "none, numeric, regex, or name a function of your own under checks",
        "rows.jsonl:8: messages: expected a question: a turn of the user that is not empty",
        "rows.jsonl:1: level: 7 of 8 rows state no level, this is the first. State the level of all rows, or of none: "
        "those of rows with a check are then estimated",
    ]


def test_levels_are_stated_for_all_rows_or_for_none(tmp_path: Path) -> None:
    stated: list[dict[str, JsonValue]] = [{"prompt": f"{n}?", "level": "expert"} for n in range(3)]
    found = faults(tmp_path, *stated, {"prompt": "a?", "level": " "}, {"prompt": "b?"})
    assert len(found) == 1
    assert found[0].startswith("rows.jsonl:4: level: 2 of 5 rows state no level")
    assert task(tmp_path, *stated).states_levels
    assert not task(tmp_path, {"prompt": "a?", "level": " "}, {"prompt": "b?"}).states_levels


def test_a_row_that_gives_a_group_another_name_may_move_it(tmp_path: Path) -> None:
    """What the guide on own data says of rows that are added: others stay, unless one ties together what was apart."""
    rows: list[dict[str, JsonValue]] = [{"prompt": f"{n}?"} for n in range(60)]

    def splits(*more: dict[str, JsonValue]) -> dict[str, str]:
        return {item.prompt: item.split for item in task(tmp_path, *rows, *more).all_items}

    before = splits()
    assert before.items() <= splits({"prompt": "new?"}, {"prompt": "newer?", "group": "g"}).items()
    tied = splits(*({"prompt": f"{n}?", "reference": "again", "group": "g"} for n in range(60)))
    assert len(set(before.values())) == 4
    assert len(set(tied.values())) == 1


def test_missing_columns_offer_the_nearest(tmp_path: Path) -> None:
    assert faults(tmp_path, {"Prompt": "a?", "reference": "b"}) == [
        "rows.jsonl: there is no column 'prompt'. Did you mean 'Prompt'? Write columns: {prompt: Prompt} in the recipe"
    ]
    assert faults(tmp_path, {"prompt": "a?", "gold": "b"}, columns={"reference": "golden"}) == [
        "rows.jsonl: there is no column 'golden'. Did you mean 'gold'? Write columns: {reference: gold} in the recipe"
    ]
    assert "It has: instruction, output" in faults(tmp_path, {"instruction": "a", "output": "b"})[0]


def test_faults_of_the_file_and_of_the_checks(tmp_path: Path) -> None:
    assert faults(tmp_path) == ["rows.jsonl: the file has no rows. Give at least one"]
    found = faults(tmp_path, {"prompt": "a?"}, check="exat", checks={"mine": "none.py:f"})
    assert found == [
        "none.py: there is no such Python file. Check the path",
        "recipe: check: there is no such check (received exat). Did you mean exact?",
    ]
    with pytest.raises(ValidationError, match="the shares must add up to 1"):
        SharesSection(train=0.9)


@pytest.mark.parametrize("check", ["mine.py:short", "path: mine.py:short", "brief"])
def test_a_check_of_ones_own(tmp_path: Path, check: str) -> None:
    (tmp_path / "mine.py").write_text(
        "def short(prompt, answer_text, reference, row):\n"
        "    words = len(answer_text.split())\n"
        "    return words <= int(row['limit']), f'{words} words; at most {row[\"limit\"]} were asked.'\n"
    )
    rows = task(tmp_path, {"prompt": "a?", "limit": "2"}, check=check, checks={"brief": "mine.py:short"})
    item = rows.all_items[0]
    good, bad = rows.check([item] * 2, [answer(item, "one two"), answer(item, "one two three")])
    assert good.passed
    assert (bad.score, bad.reason) == (0.0, "3 words; at most 2 were asked.")


def test_the_audit_wants_whole_answers_of_ones_own(tmp_path: Path) -> None:
    question = "Please tell me in a few words of your own what the old lighthouse keeper wrote down every evening?"
    rows = task(tmp_path, {"prompt": question}, {"prompt": f"Repeat: {question}", "reference": question})
    item, repeat = rows.all_items

    def audit(item: Item, text: str, finish: str = "stop") -> float | None:
        return rows.audit([item], [answer(item, text, finish)])[0].score

    assert audit(item, "The weather and the ships.") == 1
    assert audit(item, "The weather and", "length") == 0
    assert audit(item, "over and over again it goes " * 5) == 0
    assert audit(item, "") == 0
    assert audit(item, question) == 0
    assert audit(repeat, question) == 1
    assert audit(item, "", "error") is None


def test_capability_says_what_is_shown_and_what_is_not(tmp_path: Path) -> None:
    checked: list[dict[str, JsonValue]] = [
        {"prompt": f"{n}?", "reference": str(n), "check": "exact"} for n in range(2000)
    ]
    said = task(tmp_path, *checked, checked[0]).capability()
    assert said[0].startswith("2000 rows in 2000 groups: ")
    assert "1 rows repeat another one in every respect and are left out." in said
    figure = int(said[2].partition("an improvement of ")[2].partition("%")[0])
    assert said[2].startswith("On test, ")
    assert 7 <= figure <= 10  # (1.96 + 0.84)·√(0.3 / 300) = 0.089
    few = task(tmp_path, *checked[:12]).capability()
    assert any("too few to show any improvement" in line or "nothing can be shown" in line for line in few[1:3])
    unchecked: list[dict[str, JsonValue]] = [{"prompt": f"{n}?", "reference": str(n)} for n in range(50)]
    said = task(tmp_path, *unchecked).capability()
    held = sum(item.split == "test" for item in task(tmp_path, *unchecked).all_items)
    scoreless = f"no answer can be scored, as no row there has a check; the loss of {held} references is compared."
    assert f"On test {scoreless}" in said
    assert any(line.startswith("No row has a check: they give the loss of their references") for line in said)
    assert any("with check exact, contains or numeric they would count" in line for line in said)


def test_estimated_levels_are_marked_and_complete(tmp_path: Path) -> None:
    rows = task(tmp_path, *[{"prompt": f"{n}?", "reference": "x", "check": "exact"} for n in range(60)])
    assert rows.levels == ("basic",)
    assert not rows.states_levels
    rates = {item.id: 1.0 if n < 30 else 0.0 for n, item in enumerate(rows.all_items)}
    leveled = rows.with_levels(estimate_levels(rates))
    assert leveled.levels == ("basic", "expert")
    assert leveled.levels_estimated
    assert not rows.levels_estimated
    assert all(item.spec["level_estimated"] for item in leveled.all_items)
    assert "The levels are estimated from the starting model's own pass rate." in leveled.capability()
    with pytest.raises(DataError, match="no level was estimated"):
        rows.with_levels({})


@pytest.mark.parametrize(
    ("rows", "share", "wanted"), [(100, 0.6, True), (100, 0.2, False), (100, 0.0, True), (30, 0.0, False)]
)
def test_levels_that_would_be_joined_to_one_are_not_asked_for(
    tmp_path: Path, rows: int, share: float, wanted: bool
) -> None:
    shares = {"train": 0.9 - share, "probe": 0.05, "gate": 0.05, "test": share}
    found = task(
        tmp_path, *[{"prompt": f"{n}?", "reference": "x", "check": "exact"} for n in range(rows)], shares=shares
    )
    held = [item.id for item in found.all_items if item.split == "test"] or [item.id for item in found.all_items]
    assert found.needs_levels is wanted
    assert any("too few to estimate" in said for said in found.capability()) is not wanted
    worst = {item.id: 1.0 for item in found.all_items} | dict.fromkeys(held[: len(held) // 2], 0.0)
    assert (len(set(estimate_levels(worst, counted=held).values())) > 1) is wanted


def test_levels_are_joined_where_cells_would_be_small() -> None:
    def levels(*counts: int, **options: object) -> list[str]:
        rates = {f"{rate}-{n}": rate for rate, count in zip((1.0, 0.6, 0.3, 0.0), counts, strict=True)
                 for n in range(count)}  # fmt: skip
        found = estimate_levels(rates, **options)  # type: ignore[arg-type]
        return [found[f"{rate}-0"] for rate, count in zip((1.0, 0.6, 0.3, 0.0), counts, strict=True) if count]

    assert levels(20, 20, 20, 20) == ["basic", "intermediate", "advanced", "expert"]
    assert levels(20, 19, 30, 40) == ["basic", "basic", "advanced", "expert"]
    assert levels(30, 0, 5, 50) == ["basic", "basic", "expert"]
    assert levels(5, 5, 5, 50) == ["basic"] * 4
    assert levels(3, 2, 1, 0) == ["basic"] * 3
    assert levels(40, 40, 40, 40, counted=[f"1.0-{n}" for n in range(40)]) == ["basic"] * 4
    with pytest.raises(ValueError, match="not in"):
        estimate_levels({"a": 1.5})


def test_other_columns(tmp_path: Path) -> None:
    rows = task(
        tmp_path,
        {"Frage": "a?", "Antwort": "b"},
        columns=ColumnsSection(prompt="Frage", reference="Antwort").model_dump(),
        check="exact",
    )
    assert (rows.all_items[0].prompt, rows.all_items[0].reference) == ("a?", "b")
