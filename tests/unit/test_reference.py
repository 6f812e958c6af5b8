"""References: the known answer to an item that nobody answered right becomes its row."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.distill import distill
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.sampling import Asker, Sampler
from tutelage.events import silent
from tutelage.recipe.construct import ConstructSection
from tutelage.records import Item, Request
from tutelage.tasks.grounded import Grounded

TASK = Grounded()
ITEM = next(item for item in TASK.items("train", "expert", 20, seed=3) if item.facet == "stated")
WRONG = "Nobody has ever been able to say that about them at all."


def asker(answers: dict[str, str]) -> Asker:
    def reply(request: Request) -> str:
        return answers[request.id.split("/")[1]]

    return Asker(lambda: ScriptedCompleter(reply), "model")


def sampler(folder: Path, **chosen: object) -> Sampler:
    section = ConstructSection.model_validate(chosen)
    return Sampler(folder, section, {"grounded": TASK}, seed=7, round=2, chunk=4, emit=silent)


def lesson(folder: Path, item: Item, *, fallback: str = WRONG, **chosen: object) -> Taught:
    everybody = asker({"attempts": WRONG, "revisions": WRONG, "fallback": fallback})
    return teach(
        [item], sampler(folder, **chosen), student=everybody, teacher=everybody, contexts={}, samples=1, revisions=1
    )


def test_what_nobody_answers_right_is_learned_from_the_reference(tmp_path: Path) -> None:
    taught = lesson(tmp_path, ITEM)
    (row,) = taught.rows
    assert row.target.text == ITEM.reference
    assert row.prompt == ITEM.messages
    lineage = row.lineage
    assert (lineage.paradigm, lineage.source, lineage.author) == ("expert", "reference", "task grounded")
    assert lineage.sampling is None, "nothing was sampled for it"
    assert lineage.verdicts[0].passed
    assert taught.lessons[0].kept == "reference"
    assert lineage.cost.completion_tokens is None, "three answers in vain, whose tokens nobody told"
    (pair,) = taught.pairs
    assert (pair.chosen.text, pair.rejected.text) == (ITEM.reference, WRONG)


def test_a_right_answer_of_the_teacher_comes_first(tmp_path: Path) -> None:
    right = f"It is {ITEM.reference}."
    taught = lesson(tmp_path, ITEM, fallback=right)
    assert [row.target.text for row in taught.rows] == [right]
    assert taught.lessons[0].kept == "teacher"


def without(reference: str | None) -> Item:
    return ITEM.model_copy(update={"reference": reference})


@pytest.mark.parametrize(
    ("item", "chosen"),
    [
        (ITEM, {"references": False}),
        (ITEM, {"expert": None}),
        (without(None), {}),
        (without("A reference that the check refuses."), {}),
    ],
    ids=["switched off", "no experts", "none", "refused by the check"],
)
def test_when_no_reference_is_learned(tmp_path: Path, item: Item, chosen: dict[str, object]) -> None:
    taught = lesson(tmp_path, item, **chosen)
    assert taught.rows == []
    assert taught.lessons[0].kept == "nothing"


def test_a_placebo_sees_no_reference(tmp_path: Path) -> None:
    assert [row.target.text for row in lesson(tmp_path, ITEM, verify=False).rows] == [WRONG]


@pytest.mark.parametrize(("parts", "expected"), [(True, [ITEM.reference]), (False, [])])
def test_distillation_falls_back_on_it_too(tmp_path: Path, parts: bool, expected: Sequence[str]) -> None:
    rows, pairs, _ = distill(
        [ITEM], sampler(tmp_path), teacher=asker({"teacher": WRONG}), contexts={}, samples=2, parts=parts
    )
    assert [row.target.text for row in rows] == expected
    assert pairs == []
