"""Forms of the annotation page: fields as responses and back, each fault beside its field, marks as words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.paging import FILLED, TEXTS, WORKS, item
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
    check_response,
)
from tutelage.annotation.work import ChooseWork, LabelWork, RankWork, RateWork, Scale, SpansWork, Work
from tutelage.studio.forms import Fields, Unfit, drafted, fields_of, own_fields, response_of
from tutelage.studio.marks import as_seen, stretch_of, words_at
from tutelage.studio.wording import letter, said

EMPTY = {
    "write": {"text": "The answer is empty. Write it, or skip the item."},
    "rate": {
        "score-0": "This scale has no score. Rate every scale.",
        "score-1": "This scale has no score. Rate every scale.",
    },
    "rank": {f"place-{at}": "Give this answer a place from 1 (best) to 3." for at in range(3)},
    "choose": {"better": "Choose the better answer, or say that neither is."},
    "label": {"label": "Choose those that apply, or say that none does."},
    "spans": {"label": "Mark what is asked for, or say that there is nothing to mark."},
}
TEXT = st.text(st.sampled_from("ab \r\n𝛼"), max_size=12)


def sent(fields: dict[str, str | list[str]]) -> Fields:
    return own_fields({name: (value,) if isinstance(value, str) else tuple(value) for name, value in fields.items()})


@pytest.mark.parametrize("kind", WORKS)
def test_what_is_filled_in_is_what_is_said_and_shown_again(kind: str) -> None:
    fields, response = FILLED[kind]
    asked = item(kind, "i")
    assert response_of(WORKS[kind], asked, sent(fields)) == response
    again = fields_of(WORKS[kind], asked, response)
    assert response_of(WORKS[kind], asked, again) == response
    assert drafted(again.draft()) == again, "a draft holds the form"
    assert said(WORKS[kind], asked, response), "it can be said in words"


@pytest.mark.parametrize("kind", EMPTY)
def test_an_empty_form_is_told_all_that_is_missing(kind: str) -> None:
    with pytest.raises(Unfit) as unfit:
        response_of(WORKS[kind], item(kind, "i"), Fields())
    assert unfit.value.faults == EMPTY[kind]


FAULTS: list[tuple[Work, dict[str, str | list[str]], dict[str, str]]] = [
    (WORKS["write"], {"text": "one two three four five six"}, {"text": "At most 5 words are asked for"}),
    (WORKS["correct"], {"text": " \n"}, {"text": "empty"}),
    (WORKS["rate"], {"score-0": "6", "score-1": "many"}, {"score-0": "from 1 to 5", "score-1": "not 'many'"}),
    (WORKS["rank"], {"place-0": "4", "place-1": "1"}, {"place-0": "from 1 (best) to 3", "place-2": "a place"}),
    (
        RankWork(ties=False),
        {"place-0": "1", "place-1": "1", "place-2": "2"},
        {"place-1": "no two may share one"},
    ),
    (ChooseWork(ties=False), {"better": "neither"}, {"better": "Choose the better answer."}),
    (WORKS["choose"], {"better": "2"}, {"better": "Choose"}),
    (LabelWork(labels=("x", "y")), {"label": ["0", "1"]}, {"label": "exactly one"}),
    (LabelWork(labels=("x", "y")), {"label": ["2"]}, {"label": "Choose one"}),
    (WORKS["label"], {"label": ["0", "none"]}, {"label": "only one of both"}),
    (
        WORKS["spans"],
        {"mark-0-words": "filters", "mark-3-words": "filter", "mark-3-which": "2"},
        {
            "mark-0-words": "exactly so",
            "mark-0-label": "label",
            "mark-0-reason": "why",
            "mark-3-words": "as often",
            "mark-3-label": "label",
            "mark-3-reason": "why",
        },
    ),
    (
        WORKS["spans"],
        {"mark-0-words": "Its", "mark-0-label": "0", "mark-0-reason": "x", "label": ["none"]},
        {"label": "only one of both"},
    ),
]


@pytest.mark.parametrize(("work", "fields", "faults"), FAULTS)
def test_each_fault_stands_beside_its_field(
    work: Work, fields: dict[str, str | list[str]], faults: dict[str, str]
) -> None:
    with pytest.raises(Unfit) as unfit:
        response_of(work, item(work.kind, "i"), sent(fields))
    assert unfit.value.faults.keys() == faults.keys()
    assert all(words in unfit.value.faults[name] for name, words in faults.items()), unfit.value.faults


def test_an_answer_that_is_left_alone_is_no_correction_though_a_browser_changes_its_line_breaks() -> None:
    asked = item("correct", "i")
    asked = asked.model_copy(update={"answers": (asked.answers[0].model_copy(update={"text": TEXTS[1]}),)})
    untouched = fields_of(WORKS["correct"], asked, None)
    assert untouched.one("text") == "Buy a pump.\nOr: buy a pump."
    assert response_of(WORKS["correct"], asked, untouched) == Correction(text=TEXTS[1])


def test_rows_of_marks_that_are_dropped_or_empty_say_nothing() -> None:
    fields = sent({**FILLED["spans"][0], "mark-1-words": "Its", "mark-1-drop": "1", "mark-2-which": "1"})
    assert fields.marks == [0]
    assert fields.draft() == sent(FILLED["spans"][0]).draft()
    assert response_of(WORKS["spans"], item("spans", "i"), fields) == FILLED["spans"][1]
    nothing = response_of(WORKS["spans"], item("spans", "i"), sent({"label": "none"}))
    assert nothing == Spans(spans=())
    assert fields_of(WORKS["spans"], item("spans", "i"), nothing).all("label") == ("none",)


def test_fields_of_others_are_no_part_of_a_form_and_foreign_drafts_none_of_ours() -> None:
    assert own_fields({"key": ("secret",), "revision": ("1",), "x": ("y",), "text": ("a\r\nb",)}).values == {
        "text": ("a\nb",)
    }
    assert [drafted(draft) for draft in (None, "words", [1], {"form": 3}, {"quality": 2})] == [None] * 5
    assert sent({"seconds": "90"}).seconds == 90
    assert [sent({"seconds": text}).seconds for text in ("", "-1", "1e3", "90000", "nan")] == [None] * 5


@given(TEXT, st.data())
def test_marked_words_lead_back_to_their_stretch(text: str, data: st.DataObject) -> None:
    """Whatever is marked between characters that a browser tells apart comes back as it was, or with a whole break."""
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    end = data.draw(st.integers(start, len(text)))
    words, which = words_at(text, start, end)
    if not words:
        return
    found = stretch_of(text, words, which)
    assert found is not None
    assert as_seen(text[slice(*found)]) == words
    halves = any(at < len(text) and at and text[at - 1 : at + 1] == "\r\n" for at in (start, end))
    assert halves or found == (start, end)


def test_the_place_of_words_that_stand_there_often_is_counted_with_overlaps() -> None:
    assert [stretch_of("aaa", "aa", which) for which in (0, 1, 2, 3)] == [None, (0, 2), (1, 3), None]
    assert words_at("aaa", 1, 3) == ("aa", 2)
    assert stretch_of("a\r\nb\r\nb", "b", 2) == (6, 7)
    assert stretch_of("text", "", 1) is None


@given(st.integers(0, 20_000))
def test_answers_have_letters_of_their_own(at: int) -> None:
    number = 0
    for character in letter(at):
        number = 26 * number + ord(character) - ord("A") + 1
    assert number - 1 == at


def _responses(kind: str) -> st.SearchStrategy[Response]:
    keys = item(kind, "i").keys
    match kind:
        case "write":
            return st.builds(Writing, text=st.sampled_from(("x", "y z")))
        case "correct":
            return st.builds(Correction, text=st.sampled_from((TEXTS[0], "x\ny")))
        case "rate":
            scores = st.fixed_dictionaries({"truth": st.integers(1, 5), "use": st.integers(0, 100)})
            return st.builds(Rating, scores=scores)
        case "rank":
            places = st.lists(st.integers(0, 2), min_size=3, max_size=3)
            return places.map(
                lambda drawn: Ranking(
                    order=tuple(
                        tuple(key for key, place in zip(keys, drawn, strict=True) if place == at)
                        for at in sorted({*drawn})
                    )
                )
            )
        case "choose":
            return st.builds(Choice, better=st.sampled_from((None, *keys)))
        case "label":
            return st.builds(Labels, labels=st.sampled_from(((), ("good",), ("good", "odd"))))
        case _:
            span = st.tuples(st.integers(0, 20), st.integers(21, 30), st.sampled_from(("wrong", "unclear")))
            spans = st.lists(span, max_size=3, unique=True)
            return spans.map(
                lambda drawn: Spans(spans=tuple(Span(start=a, end=b, label=c, reason="r") for a, b, c in drawn))
            )


@pytest.mark.parametrize("kind", WORKS)
@given(st.data())
def test_every_response_that_fits_comes_back_from_its_form(kind: str, data: st.DataObject) -> None:
    response = data.draw(_responses(kind))
    asked = item(kind, "i")
    check_response(WORKS[kind], asked, response)
    assert response_of(WORKS[kind], asked, fields_of(WORKS[kind], asked, response)) == response


def test_a_scale_below_zero_has_its_numbers() -> None:
    work = RateWork(scales=(Scale(name="mood", low=-2, high=2),))
    assert response_of(work, item("rate", "i"), sent({"score-0": "-2"})) == Rating(scores={"mood": -2})


def test_marks_of_a_question_are_looked_for_there() -> None:
    work = SpansWork(labels=("odd",), of="question", reasons=False)
    fields = sent({"mark-0-words": "stop", "mark-0-label": "0"})
    assert response_of(work, item("write", "i"), fields) == Spans(spans=(Span(start=12, end=16, label="odd"),))
