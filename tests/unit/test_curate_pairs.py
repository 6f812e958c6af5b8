"""Pairs of answers through curation: what no row may hold, no pair holds, and a bad answer may be bad."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage.curate import Contamination, ExactDuplicates, Normalize, Personal, Quality, Validate, curate, curate_pairs
from tutelage.curate.batchwise import Judged, RowWise, Tally
from tutelage.curate.filters.language import Language
from tutelage.errors import DataError, TutelageError
from tutelage.records import Dropped, Example, Item, Lineage, Preference, assistant, content_id, user

SECRET = "the keeper of the old lighthouse counted nine ships before supper on Friday evening"
ITEM = Item(
    id="i", task="t", dimension="utility", level="basic", split="test", messages=(user(f"Go on: {SECRET}"),), group="g"
)
LOOP = "round and round we go again " * 9


def pair(prompt: str, chosen: str, rejected: str, id: str = "") -> Preference:
    lineage = Lineage(paradigm="self", source="self_rewarding", author="model")
    id = id or content_id(prompt, chosen, rejected)
    return Preference(
        id=id, prompt=(user(prompt),), chosen=assistant(chosen), rejected=assistant(rejected), lineage=lineage
    )


def reasons(dropped: tuple[Dropped, ...]) -> dict[str, str]:
    return {row.id: f"{row.step}: {row.reason.partition(':')[0]}" for row in dropped}


def test_an_evaluation_item_in_any_part_of_a_pair_drops_it() -> None:
    pairs = [
        pair(f"Read: {SECRET}", "Yes.", "No.", "prompt"),
        pair("Read.", f"Well, {SECRET}.", "No.", "chosen"),
        pair("Read.", "Yes.", f"Well, {SECRET}.", "rejected"),
        pair("Read.", "Yes.", "No.", "clean"),
    ]
    found = curate_pairs(pairs, [Contamination([ITEM])])
    assert [one.id for one in found.kept] == ["clean"]
    assert {row.id for row in found.dropped} == {"prompt", "chosen", "rejected"}
    said = {row.id: row.reason for row in found.dropped}
    assert "(in the rejected answer)" in said["rejected"]
    assert "(in the rejected answer)" not in said["prompt"] + said["chosen"]
    assert Preference.from_json(found.dropped[0].row) in pairs
    assert (found.ledger.rows_in, found.ledger.kept, sum(found.ledger.dropped.values())) == (4, 1, 3)


def test_a_rejected_answer_may_be_bad_and_a_chosen_one_may_not() -> None:
    english = "The weather was fine and the ships came home before supper."
    german = "Das Wetter war schön und die Schiffe kamen vor dem Abendessen nach Hause."
    pairs = [
        pair("Go on.", english, LOOP, "fine"),
        pair("Go on.", LOOP, english, "loop"),
        pair("Tell me about it in English, please, and briefly.", english, german, "wrong language"),
        pair("Tell me about it in English, please, and briefly.", german, english, "chosen german"),
    ]
    found = curate_pairs(pairs, [Quality(), Validate(), Language(("en",))])
    assert [one.id for one in found.kept] == ["fine", "wrong language"]
    assert {row.id: row.step for row in found.dropped} == {"loop": "quality", "chosen german": "language"}


def test_a_rejected_answer_may_say_nothing_but_holds_no_control_tokens() -> None:
    pairs = [
        pair("Go on.", "Yes.", "", "empty"),
        pair("Go on.", "Yes.", "n" * 30_000, "long"),
        pair("Go on.", "Yes.", "No.<|im_end|>", "token"),
        pair("Go on.", "Yes.", "No\ufffd", "broken"),
        pair("Go on.", "", "No.", "chosen empty"),
    ]
    found = curate_pairs(pairs, [Validate()])
    assert [one.id for one in found.kept] == ["empty", "long"]
    assert {row.id for row in found.dropped if row.reason.endswith("(in the rejected answer)")} == {"token", "broken"}


def test_what_is_masked_or_written_anew_is_so_in_prompt_and_both_answers() -> None:
    given = pair("Write to ann@firm.org\r\n", "Dear ann@firm.org,", "I write to bob@firm.org  \r\nnow.", "mail")
    found = curate_pairs([given], [Normalize(), Personal()])
    (kept,) = found.kept
    assert kept.prompt[0].text == "Write to [EMAIL]"
    assert (kept.chosen.text, kept.rejected.text) == ("Dear [EMAIL],", "I write to [EMAIL]  \nnow.")
    assert [one for one in kept.lineage.changes if one.startswith("pii")] == ["pii: e-mail address masked"]
    assert found.ledger.changed["pii: e-mail address masked"] == 1
    again = curate_pairs(found.kept, [Normalize(), Personal()])
    assert (again.kept, again.ledger.changed) == (found.kept, {})


def test_masks_reach_pairs_that_others_drop() -> None:
    found = curate_pairs([pair("Ask ann@firm.org", LOOP, "No.")], [Quality(), Personal()])
    (gone,) = found.dropped
    assert gone.step == "quality"
    assert "ann@firm.org" not in gone.row + gone.reason


def test_pairs_without_a_difference_and_equal_pairs_go() -> None:
    pairs = [
        pair("Whom?", "Ask ann@firm.org", "Ask bob@firm.org", "masked alike"),
        pair("Whom?", "Ann.", "Bob.", "a"),
        pair("Whom?", "Ann.", "Bob.", "b"),
        pair("Whom?", "Bob.", "Ann.", "c"),
    ]
    found = curate_pairs(pairs, [Personal(), ExactDuplicates()])
    assert [one.id for one in found.kept] == ["a", "c"]
    assert reasons(found.dropped) == {
        "b": "pairs: an equal pair is kept",
        "masked alike": "pairs: the answers are equal",
    }


class Silent(RowWise):
    """Changes rows and says nothing of it."""

    name = "silent"

    def judge(self, rows: list[Example]) -> Judged:  # type: ignore[override]
        return Judged([row.model_copy(update={"messages": (user("?"), assistant("!"))}) for row in rows], [], Tally())


def test_a_step_that_changes_in_silence_is_refused() -> None:
    with pytest.raises(DataError, match="changes the row and does not say so"):
        curate_pairs([pair("Whom?", "Ann.", "Bob.")], [Silent()])


words = st.lists(
    st.sampled_from([*"abcd", "x@y.org", *SECRET.split()[:3], SECRET, LOOP]), min_size=1, max_size=3
).map(" ".join)  # fmt: skip


@given(st.lists(st.builds(pair, words, words, words), max_size=8), st.randoms())
def test_the_order_decides_nothing_and_chosen_answers_go_the_way_of_rows(
    pairs: list[Preference], mix: random.Random
) -> None:
    steps = [Normalize(), Contamination([ITEM]), Quality(), Personal()]
    found = curate_pairs(pairs, steps)
    shuffled = [*pairs]
    mix.shuffle(shuffled)
    assert curate_pairs(shuffled, steps) == found
    assert sorted([one.id for one in found.kept] + [one.id for one in found.dropped]) == sorted(one.id for one in pairs)
    rows = [Example(id=one.id, messages=(*one.prompt, one.chosen), lineage=one.lineage) for one in pairs]
    kept = {(row.id, row.target.text) for row in curate(rows, steps).kept}
    assert {(one.id, one.chosen.text) for one in found.kept} <= kept


def test_what_another_step_drops_is_masked_at_the_beginning_of_lines_too() -> None:
    account = "DE89 3704 0044 0532 0130 00"
    said = pair(f"Mail\nbob@acme.com\n{account}", f"<|im_end|>\n{account}", "No\n81.2.69.142", "p")
    [gone] = curate_pairs([said], [Validate(), Personal()]).dropped
    left = Preference.from_json(gone.row)
    assert gone.step == "validate"
    assert left.prompt == (user("Mail\n[EMAIL]\n[IBAN]"),)
    assert (left.chosen, left.rejected) == (assistant("<|im_end|>\n[IBAN]"), assistant("No\n[IP]"))


def test_what_a_step_of_ones_own_raises_of_a_pair_is_told_in_words() -> None:
    class Failing(RowWise):
        name = "failing"

        def judge(self, rows: Sequence[Example]) -> Judged:
            raise ValueError("not this one")

    with pytest.raises(TutelageError, match=r"test_curate_pairs\.py:\d+: the curation step failing raised ValueError"):
        curate_pairs([pair("a", "b", "c")], [Failing()])
