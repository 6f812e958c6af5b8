"""Mending: what an editor's program does with a draft, and what becomes of it in a lesson."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.classroom import Script, answered, asker, lesson, sampler
from tutelage.construct.distill import distill
from tutelage.construct.lesson import Taught, teach
from tutelage.construct.sampling import Sampler
from tutelage.records import LEVELS, Answer, Item, Level, assistant, user
from tutelage.tasks.constraints import Constraints
from tutelage.tasks.constraints.checking import read_constraints
from tutelage.tasks.constraints.families.keywords import KeywordsIn
from tutelage.tasks.constraints.families.lengths import Words

TASK = Constraints()
ANY = TASK.items("train", "basic", 1, seed=0)[0]
CATS = "Cats sleep a lot, mostly by day. They hunt at night! They like fish, milk and birds. I have two. Som"


def item(*demands: tuple[str, dict[str, object]], base: str = "Tell me about cats.", topic: str = "cats") -> Item:
    constraints = [{"family": family, "params": params} for family, params in demands]
    spec = {"base": base, "topic": topic, "terms": ["cats"], "constraints": constraints}
    return Item.model_validate({**ANY.model_dump(mode="json"), "spec": spec})


def passes(asked: Item, text: str) -> bool:
    (verdict,) = TASK.check([asked], [Answer(request_id="", text=text, finish="stop")])
    return verdict.passed


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        (
            [("end", {"phrase": "Any questions?"})],
            "Cats sleep a lot, mostly by day. They hunt at night! They like fish, milk and birds. I have two. "
            "Any questions?",
        ),
        (
            [("start", {"phrase": "In short"}), ("sentences", {"at_least": 1, "at_most": 1})],
            "In short cats sleep a lot, mostly by day.",
        ),
        ([("keywords_out", {"words": ["they", "lot"]})], "I have two."),
        (
            [("no_commas", {}), ("bullets", {"n": 3})],
            "- Cats sleep a lot mostly by day.\n- They hunt at night!\n- They like fish milk and birds.",
        ),
        (
            [("sections", {"headers": ["Good", "Bad"]}), ("end", {"phrase": "The end."})],
            "Good\nCats sleep a lot, mostly by day. They hunt at night!\n\n"
            "Bad\nThey like fish, milk and birds. I have two.\nThe end.",
        ),
        (
            [("repeat", {"request": "Tell me about cats."}), ("words", {"at_most": 16})],
            "Tell me about cats. Cats sleep a lot, mostly by day. They hunt at night!",
        ),
        (
            [("title", {"num_title_words": 4}), ("sentences", {"at_least": 2, "at_most": 2})],
            "<<A look at cats>>\nCats sleep a lot, mostly by day. They hunt at night!",
        ),
        (
            [("quotation", {}), ("letter_case", {"case": "upper"}), ("words", {"at_most": 10})],
            '"CATS SLEEP A LOT, MOSTLY BY DAY."',
        ),
        (
            [("json", {"keys": ["name", "reasons"], "list_key": "reasons", "list_length": 2})],
            '{"name": "Cats sleep a lot, mostly by day.", '
            '"reasons": ["They hunt at night!", "They like fish, milk and birds."]}',
        ),
    ],
    ids=lambda value: "+".join(name for name, _ in value) if isinstance(value, list) else "",
)
def test_a_draft_is_edited(demands: list[tuple[str, dict[str, object]]], expected: str) -> None:
    asked = item(*demands)
    assert TASK.mend(asked, CATS) == expected
    assert passes(asked, expected)


def test_what_is_already_there_is_not_said_twice() -> None:
    asked = item(("start", {"phrase": "In short"}), ("end", {"phrase": "Any questions?"}), ("no_commas", {}))
    assert TASK.mend(asked, "In short, cats sleep. Any questions? In short, cats sleep.") == (
        "In short cats sleep. Any questions?"
    )


def test_list_entries_count_as_sentences() -> None:
    asked = item(("bullets", {"n": 2}))
    assert TASK.mend(asked, "Here they are:\n1. **Sleep** all day long\n2. Hunt mice at night.\n3. Purr") == (
        "- Sleep all day long.\n- Hunt mice at night."
    )


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        (("bullets", {"n": 5}), CATS),
        (("sections", {"headers": ["A", "B", "C"]}), "One sentence is not enough."),
        (("json", {"keys": ["a", "b"]}), "One sentence is not enough."),
        (("no_commas", {}), "No sentence that"),
        (("no_commas", {}), ""),
        (("keywords_out", {"words": ["cats"]}), "Cats purr all day."),
    ],
)
def test_too_little_is_left(demand: tuple[str, dict[str, object]], text: str) -> None:
    assert TASK.mend(item(demand), text) is None


@settings(deadline=None)
@given(level=st.sampled_from(LEVELS), number=st.integers(0, 60), size=st.integers(6, 12))
def test_form_is_always_met_and_no_content_is_invented(level: Level, number: int, size: int) -> None:
    """What a program can see to holds of every mended text; what only an author can add may be missing."""
    asked = TASK.items("train", level, 61, seed=4)[number]
    draft = " ".join(f"The {n} small words stand here." for n in ("first", "second", "third", "next", *range(size)))
    mended = TASK.mend(asked, draft)
    if mended is None:
        return
    (verdict,) = TASK.check([asked], [Answer(request_id="", text=mended, finish="stop")])
    for constraint, part in zip(read_constraints(asked), verdict.parts, strict=True):
        content = isinstance(constraint, KeywordsIn) or constraint.name in {"language", "choice"}
        too_short = isinstance(constraint, Words) and constraint.at_least
        exact = constraint.name == "sentences"  # an opening or title may be a sentence of its own
        assert part.passed or content or too_short or exact, (part.reason, mended)


ASKED = item(("end", {"phrase": "Any questions?"}), ("no_commas", {}))
DRAFT = "Cats sleep, eat and purr."
MENDED = "Cats sleep eat and purr. Any questions?"


def held(folder: Path, script: Script, **chosen: object) -> Taught:
    return lesson([ASKED], sampler(folder, TASK, **chosen), script, taught_by=script)


def test_the_students_draft_is_mended_before_the_teacher_is_asked(tmp_path: Path) -> None:
    cut = Answer(request_id="", text=f"{DRAFT} And th", finish="length")
    taught = held(tmp_path, {"attempts": ["", cut], "revisions": [""]})
    (row,) = taught.rows
    assert row.target.text == MENDED
    assert row.prompt == ASKED.messages
    assert (row.lineage.paradigm, row.lineage.source, row.lineage.author) == ("self", "mending", "student")
    assert row.lineage.parents == (ASKED.id, f"{ASKED.id}/attempts/1")
    assert row.lineage.verdicts[0].passed
    (told,) = taught.lessons
    assert told.kept == "mended"
    assert [turn.answer.text for turn in told.turns][-1] == MENDED
    assert not (tmp_path / "fallback-constraints.jsonl").exists()


def test_the_draft_that_repeats_itself_least_is_mended(tmp_path: Path) -> None:
    circles = "Cats" + " sleep and purr all day" * 5 + "."
    (row,) = held(tmp_path, {"attempts": [circles, DRAFT], "revisions": [""]}).rows
    assert row.target.text == MENDED


def test_a_failed_attempt_is_the_worse_half_of_a_pair(tmp_path: Path) -> None:
    taught = held(tmp_path, {"attempts": [DRAFT, DRAFT], "revisions": [DRAFT]})
    (pair,) = taught.pairs
    assert (pair.chosen.text, pair.rejected.text) == (MENDED, DRAFT)


def test_a_teachers_draft_is_mended_where_the_students_cannot_be(tmp_path: Path) -> None:
    taught = held(tmp_path, {"attempts": ["Cats", "Cats"], "revisions": ["Cats"], "fallback": ["No", DRAFT]})
    (row,) = taught.rows
    assert (row.target.text, row.lineage.paradigm, row.lineage.author) == (MENDED, "distill", "teacher")
    assert taught.lessons[0].kept == "mended"


def test_a_right_answer_stays_as_it_is(tmp_path: Path) -> None:
    right = "Cats purr. Any questions?"
    taught = held(tmp_path, {"attempts": [DRAFT, DRAFT], "revisions": [right]})
    assert [row.target.text for row in taught.rows] == [right]
    assert taught.lessons[0].kept == "revision"


@pytest.mark.parametrize("chosen", [{"mend": False}, {"verify": False}])
def test_switched_off_or_without_verdicts_nothing_is_mended(tmp_path: Path, chosen: dict[str, object]) -> None:
    answers = {"attempts": [DRAFT] * 2, "revisions": [DRAFT], "fallback": [DRAFT] * 2}
    taught = held(tmp_path, answers, decompose=False, **chosen)
    assert MENDED not in [row.target.text for row in taught.rows]


def test_a_mended_row_costs_all_that_was_sampled_for_its_item(tmp_path: Path) -> None:
    """The teacher's first answer copies what it was shown: it is paid, though it is not kept."""
    shown = "The quick brown fox jumps over the lazy dog"
    student: Script = {"attempts": [answered("Cats", tokens=1)] * 2, "drafts": [answered("Cats", tokens=2)]}
    taught = teach(
        [ASKED],
        sampler(tmp_path, TASK),
        student=asker(student),
        teacher=asker({"fallback": [answered(shown, tokens=4), answered(DRAFT, tokens=8)]}, "teacher"),
        contexts={ASKED.id: (user("Say it."), assistant(shown))},
        samples=2,
        revisions=0,
        drafts=1,
    )
    (row,) = taught.rows
    assert (row.target.text, row.lineage.author) == (MENDED, "teacher")
    assert row.lineage.cost.completion_tokens == 1 + 1 + 2 + 4 + 8


def drafted(folder: Path, item: Item, draft: str, drafts: int = 2, **chosen: object) -> tuple[Taught, Sampler]:
    asking = sampler(folder, TASK, **chosen)
    script = {"attempts": ["Cats"], "drafts": ["Cats", draft], "fallback": ["Cats"]}
    return lesson([item], asking, script, taught_by=script, samples=1, revisions=0, drafts=drafts), asking


def test_where_no_attempt_can_be_mended_a_plain_draft_may(tmp_path: Path) -> None:
    taught, asking = drafted(tmp_path, ASKED, DRAFT)
    (row,) = taught.rows
    assert row.target.text == MENDED
    assert row.prompt == ASKED.messages, "the whole item is learned, not the plain request"
    assert row.lineage.parents == (ASKED.id, f"{ASKED.id}/drafts/1")
    assert taught.lessons[0].kept == "mended"
    (log,) = tmp_path.glob("drafts*.jsonl")
    assert DRAFT in log.read_text()
    count = asking.cells[ASKED.cell]
    assert (count.attempted, count.accepted) == (3, 1), "a mended draft counts for the yield of its cell"


@pytest.mark.parametrize(("drafts", "mend"), [(0, True), (2, False)])
def test_no_drafts_are_asked_for_in_vain(tmp_path: Path, drafts: int, mend: bool) -> None:
    taught, _ = drafted(tmp_path, ASKED, DRAFT, drafts=drafts, mend=mend, decompose=False)
    assert taught.rows == []
    assert list(tmp_path.glob("drafts*.jsonl")) == []


@pytest.mark.parametrize(
    ("demands", "expected"),
    [
        ([("end", {"phrase": "Any questions?"}), ("no_commas", {})], "Tell me about cats."),
        ([("keywords_in", {"words": ["milk", "sun"]}), ("quotation", {})], 'Tell me about cats. Use "milk" and "sun".'),
        ([("words", {"at_least": 40})], "Tell me about cats. Write at least 40 words."),
        ([("words", {"at_most": 40})], "Tell me about cats."),
        ([("language", {"code": "es"}), ("no_commas", {})], None),
        ([("choice", {"options": ["yes", "no"], "only": True})], None),
    ],
)
def test_a_plain_request_asks_for_what_no_program_can_add(
    demands: list[tuple[str, dict[str, object]]], expected: str | None
) -> None:
    plain = TASK.plain(item(*demands))
    assert (plain[0].text if plain else None) == expected


def test_distilled_answers_are_mended_too(tmp_path: Path) -> None:
    rows, pairs, _ = distill(
        [ASKED],
        sampler(tmp_path, TASK),
        teacher=asker({"teacher": ["Cats", DRAFT]}, "teacher"),
        contexts={},
        samples=2,
    )
    assert [row.target.text for row in rows] == [MENDED]
    assert rows[0].lineage.paradigm == "distill"
    assert pairs == []
