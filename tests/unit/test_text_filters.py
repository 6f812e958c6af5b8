"""Steps that look at the text of a row: normalize, language, heuristics; and the contract of a changed row."""

import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.curate import Language, Normalize, Personal, Sifted, build_steps, change, curate
from tutelage.curate.filters.heuristics import Heuristics, Limits
from tutelage.errors import DataError, RecipeError
from tutelage.recipe import Recipe, parse_recipe
from tutelage.records import Example, ImagePart, Ledger, Lineage, Message, TextPart, ToolCall, assistant, user
from tutelage.text.fences import fenced_lines
from tutelage.text.measures import Measures, measure

LINEAGE = Lineage(paradigm="expert", source="test", author="test")


def row(prompt: str, answer: str, id: str = "a") -> Example:
    return Example(id=id, messages=(user(prompt), assistant(answer)), lineage=LINEAGE)


def normal(text: str) -> tuple[str, tuple[str, ...]]:
    (kept,), *_ = Normalize().apply([row("Write.", text)])
    return kept.target.text, tuple(one.removeprefix("normalize: ") for one in kept.lineage.changes)


CODE = "```py\nx = 'e\u0301'   \n\n\ty\u200b\n```"


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("as it is", "as it is", ()),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", ("line ends",)),
        ("cafe\u0301", "caf\u00e9", ("Unicode form",)),
        ("\ufeffa\u200bb\u00adc\x07d", "abcd", ("unseen characters",)),
        ("a\u200de \U0001f469\u200d\U0001f4bb \u200fב", "a\u200de \U0001f469\u200d\U0001f4bb \u200fב", ()),
        ("ภาษา\u200bไทย", "ภาษา\u200bไทย", ()),
        ("a \t\nb   \n\n c", "a\nb\n\n c", ("white space at ends",)),
        ("\n \na\n\n", "a", ("white space at ends",)),
        ("one  \ntwo   \nthree", "one  \ntwo  \nthree", ("white space at ends",)),
        ("a\tb\t\t\n1\t2\t", "a\tb\t\t\n1\t2\t", ()),
        ("| a | b |  \n|---|---|\n| 1 | 2 |", "| a | b |  \n|---|---|\n| 1 | 2 |", ()),
        (CODE, CODE, ()),
        (f"Look: \r\n{CODE}\n", f"Look:\n{CODE}", ("line ends", "white space at ends")),
        ("a\x0b```\nb  \n```\nc  ", "a\n```\nb  \n```\nc", ("line ends", "white space at ends")),
        ("```\nnever closed  \n\n", "```\nnever closed  \n\n", ()),
        ("“Quotes” – and\u00a0spaces…", "“Quotes” – and\u00a0spaces…", ()),
    ],
)
def test_normalize_by_hand(before: str, after: str, changes: tuple[str, ...]) -> None:
    assert normal(before) == (after, changes)


def test_a_broken_encoding_is_repaired_on_request() -> None:
    (step,) = build_steps(recipe("{kind: normalize, mojibake: true}").curate, [])
    rows = [row("Schreib.", "SchÃ¶n, thatâ€™s it.\n```\nÃ¶\n```"), row("Ok.", "Schön, that’s it.", id="b")]
    first, second = step.apply(rows).kept
    assert first.target.text == "Schön, that’s it.\n```\nÃ¶\n```"
    assert first.lineage.changes == ("normalize: broken encoding",)
    assert second == rows[1]


def test_parts_reasoning_and_tools_of_a_row() -> None:
    image = ImagePart(kind="image", uri="x.png")
    asked = Message(
        role="user", content=(TextPart(kind="text", text="Look: \n"), image, TextPart(kind="text", text="?\n"))
    )
    call = Message(role="assistant", tool_calls=(ToolCall(name="f", arguments={"x": "a \r\n"}),), reasoning="Hm. ")
    given_row = Example(
        id="a", messages=(asked, call, Message.of("tool", "1 \r\n"), assistant("One.")), lineage=LINEAGE
    )
    (kept,), *_ = Normalize().apply([given_row])
    assert [part.text for part in kept.messages[0].content if isinstance(part, TextPart)] == ["Look:\n", "?"]
    assert (kept.messages[1].reasoning, kept.messages[1].tool_calls) == ("Hm.", call.tool_calls)
    assert kept.messages[2:] == given_row.messages[2:]


def test_a_row_of_which_nothing_is_left_is_dropped() -> None:
    sifted = Normalize().apply([row("Write.", "\u200b\ufeff"), row("\x07", "Words.", id="b"), row(" ", "W.\n", id="c")])
    assert [(one.id, one.reason) for one in sifted.dropped] == [
        ("a", "nothing is left of the answer: unseen characters"),
        ("b", "nothing is left of the prompt: unseen characters"),
    ]


TEXTS = st.text(
    st.one_of(
        st.sampled_from(" \t\n\r\x0b\x0c\x85\u2028`~|-*#.\u200b\u00ad\ufeff\x01e\u0301\u0e01\u00a0"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS)
def test_normalizing_twice_changes_no_more_and_leaves_visible_text_alone(prompt: str, answer: str) -> None:
    once = curate([row(prompt, answer)], [Normalize()])
    again = curate(once.kept, [Normalize()])
    assert again.kept == once.kept
    assert not again.ledger.changed
    for kept in once.kept:
        before, after = (
            "".join(sign for sign in unicodedata.normalize("NFC", text) if sign.isalnum())
            for text in (answer, kept.target.text)
        )
        assert unicodedata.normalize("NFC", before) == unicodedata.normalize("NFC", after) or "\u0301" in answer


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("> ```\n> x\n> ```\nAfter.", "ccc."),
        ("> ```\n> x\nAfter.", "cc."),
        ("> ```\n> > ```\n> ```\n> After.", "ccc."),
        ("> > ~~~\n>> ~~~\n> After.", "cc."),
        ("- > ```\n  > x\n  > ```\nAfter.", "ccc."),
        ("```\n> ```\n```\nAfter.", "ccc."),
    ],
)
def test_fences_in_quotes_end_with_them(text: str, code: str) -> None:
    assert "".join("c" if is_code else "." for _, is_code in fenced_lines(text)) == code


def test_fences_of_both_kinds_and_in_lists() -> None:
    text = "a\n- ```js\n  x\n  ```\nb `` ` ``\n~~~~\n~~~\n```\n~~~~\nc"
    assert [line for line, is_code in fenced_lines(text) if not is_code] == ["a", "b `` ` ``", "c"]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["Write.", "Écris\r\n", "Schreib es auf, bitte, und zwar gleich heute noch.", "\ufeff"]),
        st.lists(
            st.sampled_from(
                ["The river rose after the storm", "der Fluss stieg nach dem Sturm", "a@b.org", "\u200b", "```", "  \n",
                 "DE89 3704 0044 0532 0130 00", "#", "...", "\n\n", "4539 1488 0343 6467", "cafe\u0301", "1 2 3 4"]
            ),
            max_size=40,
        ).map(" ".join),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms(use_true_random=False))
def test_all_steps_on_text_add_up_know_no_order_and_are_done_once(
    texts: list[tuple[str, str]], rng: random.Random
) -> None:
    rows = [row(prompt, answer, id=f"{n}") for n, (prompt, answer) in enumerate(texts)]
    steps = [Normalize(), Language(["en"]), Personal(), Heuristics()]
    curated = curate(rows, steps)
    assert sorted([*(one.id for one in curated.kept), *(one.id for one in curated.dropped)]) == [one.id for one in rows]
    rng.shuffle(rows)
    assert curate(rows, steps) == curated
    again = curate(curated.kept, steps)
    assert again.kept == curated.kept
    assert not again.ledger.changed


class Changing:
    """A step that changes rows in one of several ways."""

    name = "changing"

    def __init__(self, how: str) -> None:
        self.how = how

    def apply(self, rows: Sequence[Example]) -> Sifted:
        (one,) = rows
        messages = (user("other"), *one.messages[1:])
        told = change(one, self.name, messages, ["the prompt"])
        match self.how:
            case "told":
                return Sifted([told], [])
            case "silently":
                return Sifted([one.model_copy(update={"messages": messages})], [])
            case "level":
                return Sifted([told.model_copy(update={"level": "basic"})], [])
            case "roles":
                return Sifted([change(one, self.name, messages[::-1], ["order"])], [])
            case "author":
                lineage = told.lineage.model_copy(update={"author": "x"})
                return Sifted([told.model_copy(update={"lineage": lineage})], [])
            case _:
                return Sifted([change(one, "another", messages, ["the prompt"])], [])


def test_a_changed_row_keeps_its_id_and_says_what_was_changed() -> None:
    curated = curate([row("p", "x")], [Changing("told")])
    assert curated.kept[0].messages[0].text == "other"
    assert (curated.kept[0].id, curated.kept[0].lineage.changes) == ("a", ("changing: the prompt",))
    assert curated.ledger.changed == {"changing: the prompt": 1}
    assert curate(curated.kept, []).ledger.changed == {}


@pytest.mark.parametrize("how", ["silently", "level", "roles", "author", "name"])
def test_other_changes_are_refused(how: str) -> None:
    with pytest.raises(DataError, match="changes the row and does not say so"):
        curate([row("p", "x")], [Changing(how)])


def test_a_ledger_that_changes_more_rows_than_it_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="2"):
        Ledger(stage="curate", rows_in=1, kept=1, changed={"pii: x": 2})


SAID = {
    "en": "The river rose quickly after the storm, and the people of the village moved to the hill.",
    "de": "Der Fluss stieg nach dem Sturm schnell an, und die Leute aus dem Dorf zogen auf den Hügel.",
    "fr": "La rivière est montée très vite après la tempête, et les gens du village sont partis sur la colline.",
    "es": "El río creció rápidamente después de la tormenta y la gente del pueblo se fue a la colina.",
    "zh": "暴风雨过后河水迅速上涨，村里的人们都搬到山上去了。他们在那里住了三天，直到水位慢慢下降才回家。",
    "ru": "После бури река быстро поднялась, и жители деревни перебрались на холм.",
    "it": "Dopo la tempesta il fiume è cresciuto in fretta e la gente del villaggio è andata sulla collina.",
    "ja": "嵐の後で川の水はすぐに増えて、村の人々はみんな丘の上に移りました。",
}


def test_languages_are_told_and_others_dropped() -> None:
    rows = [row(text, text, id=code) for code, text in SAID.items()]
    sifted = Language(["en", "zh"]).apply(rows)
    assert [one.id for one in sifted.kept] == ["en", "zh"]
    assert not sifted.notes
    assert sifted.dropped[0].reason.startswith("prompt in another language: German (")
    assert {code: Language(["en"]).tell(text).code for code, text in SAID.items()} == {code: code for code in SAID}


def test_what_cannot_be_told_is_kept_and_counted() -> None:
    code = "```python\nfor element in liste: drucke(element) # und so weiter und so fort\n```"
    rows = [
        row("Berlin?", "42", id="a"),
        row(SAID["en"], code, id="b"),
        row("https://de.wikipedia.org/wiki/Fluss", SAID["en"]),
    ]
    sifted = Language(["en"]).apply(rows)
    assert len(sifted.kept) == 3
    assert sifted.notes == (
        "2 of 3 prompts that were kept are too short or too unclear to tell",
        "2 of 3 answers that were kept are too short or too unclear to tell",
    )


def test_an_answer_in_another_language_than_its_prompt() -> None:
    rows = [
        row(SAID["en"], SAID["de"], id="a"),
        row(SAID["de"], SAID["de"], id="b"),
        row("Auf Deutsch:", SAID["de"], id="c"),
    ]
    assert len(Language(["en", "de"]).apply(rows).kept) == 3
    sifted = Language(["en", "de"], answer_as_prompt=True).apply(rows)
    assert [one.reason for one in sifted.dropped] == ["answer in another language than the prompt: German and English"]


RHYME = (
    "Row, row, row your boat, gently down the stream,\nmerrily, merrily, merrily, merrily, life is but a dream.\n\n"
    "Row, row, row your boat, gently up the creek,\nif you see a little mouse, do not forget to squeak.\n\n"
    "Row, row, row your boat, gently down the stream,\nmerrily, merrily, merrily, merrily, life is but a dream."
)
DATATROVE: dict[str, Any] = {
    "lines": 2 / 6,
    "line_chars": 104 / 311,
    "paragraphs": 1 / 3,
    "paragraph_chars": 105 / 311,
    "top": [n / 311 for n in [102, 104, 54]],
    "ngrams": [n / 311 for n in [98, 114, 76, 81, 88, 48]],
}


def test_measures_by_hand() -> None:
    found = measure("The cat sat.\nThe cat sat.\n\n- 12 ...\n\n```\nthe the the\n```")
    # Twelve characters a line, two breaks and eight of the list: 12 + 1 + 12 + 2 + 8 = 35; the fence leaves none.
    assert found == Measures(
        lines=3,
        words=7,
        mean_word_length=pytest.approx((2 * (3 + 3 + 4) + 2) / 7),
        symbols=1 / 8,
        bullet_lines=1 / 3,
        ellipsis_lines=1 / 3,
        alphabetic=6 / 8,
        stop_words=1,
        duplicate_lines=1 / 3,
        duplicate_line_chars=12 / 35,
        duplicate_paragraphs=0,
        duplicate_paragraph_chars=0,
        top_ngrams=(2 * len("The cat") / 35, 2 * len("The cat sat.") / 35, 0),
        duplicate_ngrams=(0, 0, 0, 0, 0, 0),
        ended_lines=1,
        short_lines=1,
    )


def test_shares_are_those_that_datatrove_counts() -> None:
    """Values of datatrove 0.8.0 (its functions of gopher_repetition_filter, on words between white space)."""
    found = measure(RHYME)
    assert found.duplicate_lines == pytest.approx(DATATROVE["lines"])
    assert found.duplicate_line_chars == pytest.approx(DATATROVE["line_chars"])
    assert found.duplicate_paragraphs == pytest.approx(DATATROVE["paragraphs"])
    assert found.duplicate_paragraph_chars == pytest.approx(DATATROVE["paragraph_chars"])
    assert found.top_ngrams == pytest.approx(DATATROVE["top"])
    assert found.duplicate_ngrams == pytest.approx(DATATROVE["ngrams"])


def test_runs_that_occurred_before_are_counted_once() -> None:
    words = "a b c d e f g h i j"
    found = measure(f"{words} {words} k")
    # 20 one-letter words and spaces: the second ten are two runs of five, one of six to ten.
    assert found.duplicate_ngrams == tuple(chars / 41 for chars in (10, 6, 7, 8, 9, 10))
    assert measure("").alphabetic == 1


ESSAY = (
    "The keeper wrote down the weather every evening before supper and noted which ships had passed, how the wind had "
    "turned, and whether the lamp needed oil. In winter the pages grew short, because the ink froze and because nobody "
    "came, yet he never left one out, not even when his own hands were cold."
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ESSAY, None),
        ("42", None),
        (f"{ESSAY} Lorem ipsum dolor.", "placeholder text"),
        (" ".join("ab" for _ in range(60)), "words of odd length"),
        (" ".join(f"{n}#word" for n in range(60)), "symbols in the place of words"),
        (" ".join(str(1000 + n) for n in range(60)), "words without letters"),
        (f"{ESSAY} {ESSAY}", "phrases again"),
        (
            "\n".join(" ".join(f"{ESSAY} {ESSAY.upper()}".split()[n * 12 : n * 12 + 12]) + "..." for n in range(8)),
            "lines cut off",
        ),
        ("\n".join(ESSAY.split(", ")), None),
    ],
)
def test_heuristics_drop_debris_and_name_it(text: str, kind: str | None) -> None:
    sifted = Heuristics().apply([row("p", text)])
    assert [one.reason.partition(":")[0] for one in sifted.dropped] == ([] if kind is None else [kind])


def test_lines_and_paragraphs_that_come_again() -> None:
    lines = "\n".join([*("The same line comes.",) * 6, *ESSAY.split(", ")])
    assert "lines again" in {kind for kind, _ in Heuristics().faults(lines)}
    assert "paragraphs again" in {kind for kind, _ in Heuristics().faults("\n\n".join([ESSAY] * 5))}


def test_every_limit_can_be_broken_and_lifted() -> None:
    text = "# Head\n" + "\n".join(f"- item {n}..." for n in range(30)) + "\n\n" + f"{ESSAY}\n\n" * 2
    broken = {kind for kind, _ in Heuristics(
        Limits(min_words=500, max_words=10, max_mean_word_length=1, max_symbol_ratio=0, max_bullet_lines=0,
               max_ellipsis_lines=0, min_alphabetic=1, min_stop_words=8, max_duplicate_lines=0,
               max_duplicate_line_chars=0, max_duplicate_paragraphs=0, max_duplicate_paragraph_chars=0,
               max_top_ngrams=(0, 0, 0),
               max_duplicate_ngrams=(0,) * 6, min_ended_lines=1, max_short_lines=0)
    ).faults(text)}  # fmt: skip
    assert broken == {
        "too few words", "too many words", "words of odd length", "symbols in the place of words", "lists alone",
        "lines cut off", "words without letters", "no running text", "lines again", "paragraphs again",
        "one phrase over and over", "phrases again", "lines without an end", "short lines alone",
    }  # fmt: skip
    free = Limits(max_ellipsis_lines=1, max_duplicate_lines=1, max_duplicate_line_chars=1, max_duplicate_paragraphs=1,
                  max_duplicate_paragraph_chars=1, max_symbol_ratio=1, max_top_ngrams=(1, 1, 1),
                  max_duplicate_ngrams=(1,) * 6)  # fmt: skip
    assert not list(Heuristics(free).faults(text))


def test_scripts_without_spaces_are_not_judged_by_words() -> None:
    assert not list(Heuristics().faults(SAID["zh"] + SAID["ja"] * 2))


def recipe(step: str) -> Recipe:
    return parse_recipe(f"name: x\ntasks: [{{kind: safety}}]\ncurate:\n  steps: [{step}]\n")


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("{kind: language}", "required"),
        ("{kind: language, keep: []}", "one or more"),
        ("{kind: language, keep: [english]}", "unknown: english"),
        ("{kind: heuristics, max_top_ngrams: [0.2]}", "max_top_ngrams"),
        ("{kind: heuristics, min_words: 9, max_words: 8}", "no answer could be kept"),
        ("{kind: pii, find: [email], regions: [US]}", "find has none"),
        ("{kind: pii, find: [name]}", "find.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(step: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        recipe(step)
