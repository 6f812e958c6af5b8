"""Agreement, decisions and records of judgments, with values by hand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tutelage.annotation.agreement import agreement_of, disagreements, disputed
from tutelage.annotation.bundle import Bundle, check_bundle
from tutelage.annotation.decisions import Way, decide, quality
from tutelage.annotation.export import Exported, Rules, export_records
from tutelage.annotation.faults import AnnotationError
from tutelage.annotation.items import Candidate, WorkItem
from tutelage.annotation.responses import Choice, Correction, Labels, Ranking, Rating, Response, Span, Spans, Writing
from tutelage.annotation.sql.adjudication import disputes, next_dispute
from tutelage.annotation.sql.queue import next_item, skip, submit
from tutelage.annotation.sql.store import Store
from tutelage.annotation.views import Judgment, Project
from tutelage.annotation.work import (
    ChooseWork,
    CorrectWork,
    LabelWork,
    RankWork,
    RateWork,
    Scale,
    SpansWork,
    Work,
    WriteWork,
)
from tutelage.errors import DataError
from tutelage.judging.agreement import agreement
from tutelage.records import Verdict, assistant, user

RATE = RateWork(scales=(Scale(name="truth"), Scale(name="use", low=0, high=2)))


def made(work: Work, said: Sequence[Sequence[Response]], *, answers: int = 2, judge: Response | None = None) -> Bundle:
    """Items i0, i1, … with what annotators 1, 2, … said of each, a minute each; ``judge`` decides the first."""
    texts = ("one", "two", "three")[:answers]
    items = [
        WorkItem(
            id=f"i{n}",
            messages=(user(f"Why {n}?"),),
            answers=tuple(Candidate(key="abc"[at], text=text, author="some model") for at, text in enumerate(texts)),
            dimension="utility",
        )
        for n in range(len(said))
    ]
    judgments = [
        Judgment(item=f"i{n}", annotator=f"annotator-{who}", number=1, response=response, seconds=60.0)
        for n, responses in enumerate(said)
        for who, response in enumerate(responses, start=1)
    ]
    if judge is not None:
        last = {"item": "i0", "annotator": "annotator-9", "role": "adjudicator", "number": 1, "seconds": 120.0}
        judgments.append(Judgment.model_validate({**last, "response": judge}))
    bundle = Bundle(project=Project(name="p", work=work), items=tuple(items), judgments=tuple(judgments))
    check_bundle(bundle, "made")
    return bundle


def rated(truth: int, use: int = 2) -> Rating:
    return Rating(scores={"truth": truth, "use": use})


def apart(bundle: Bundle) -> dict[str, float | None]:
    return disagreements(bundle.project.work, bundle.items, bundle.judgments)


def marks(*ends: tuple[int, int]) -> Spans:
    return Spans(spans=tuple(Span(start=start, end=end, label="x") for start, end in ends))


@pytest.mark.parametrize(
    ("work", "said", "distance"),
    [
        (RATE, [rated(1), rated(5)], 1.0),
        (RATE, [rated(3, 1), rated(4, 2)], 0.5),  # a quarter of truth, half of use
        (RATE, [rated(1), rated(3), rated(5)], (0.5 + 0.5 + 1) / 3),
        (ChooseWork(), [Choice(better="a"), Choice(better="a"), Choice(better=None)], 2 / 3),
        (LabelWork(labels=("x", "y"), several=True), [Labels(labels=("x", "y")), Labels(labels=("x",))], 0.5),
        (LabelWork(labels=("x", "y"), several=True), [Labels(labels=()), Labels(labels=())], 0.0),
        (RankWork(), [Ranking(order=(("a",), ("b",))), Ranking(order=(("b",), ("a",)))], 1.0),
        (RankWork(), [Ranking(order=(("a",), ("b",))), Ranking(order=(("a", "b"),))], 0.5),
        (WriteWork(), [Writing(text="x"), Writing(text="y")], None),
        (RATE, [rated(1)], None),
    ],
)
def test_distances_by_hand(work: Work, said: list[Response], distance: float | None) -> None:
    bundle = made(work, [said], answers=1 if work is RATE else 2)
    found = apart(bundle)["i0"]
    assert found == (None if distance is None else pytest.approx(distance))


def test_distance_of_marks_and_corrections() -> None:
    work = SpansWork(labels=("x",), reasons=False)
    said = [[marks((0, 2)), marks((1, 3))], [marks(), marks()], [marks((0, 3)), marks()]]
    assert list(apart(made(work, said, answers=1)).values()) == [pytest.approx(0.5), 0.0, 1.0]
    changed = [[Correction(text="one"), Correction(text="ONE")], [Correction(text="1"), Correction(text="uno")]]
    assert list(apart(made(CorrectWork(), changed, answers=1)).values()) == [1.0, 0.0]


def test_agreement_of_a_project() -> None:
    """Truth: the ratings (1,1), (2,2), (3,3), (4,5) beside use, on which all say 2."""
    pairs = [(1, 1), (2, 2), (3, 3), (4, 5)]
    bundle = made(RATE, [[rated(one), rated(other)] for one, other in pairs], answers=1)
    truth, use = agreement_of(RATE, bundle.items, bundle.judgments)
    # Middle ranks 1, 3, 5, 6.5, 7.5: D_o = 2·1²/8; D_e over 8 ratings = Σ (x−x')²/(8·7).
    ranks = [1, 1, 3, 3, 5, 5, 6.5, 7.5]
    expected = sum((a - b) ** 2 for a in ranks for b in ranks) / 56
    assert truth.alpha is not None
    assert truth.alpha.alpha == pytest.approx(1 - (2 / 8) / expected)
    assert truth.pairs[0].kappa.kappa == pytest.approx(
        1 - (1 / 16 / 4) / (sum(((a - b) / 4) ** 2 for a in (1, 2, 3, 4) for b in (1, 2, 3, 5)) / 16)
    )
    assert use.alpha is not None
    assert use.alpha.alpha is None
    assert "one value" in use.alpha.reason


def test_agreement_of_rankings_and_of_text() -> None:
    same, other = Ranking(order=(("a",), ("b",), ("c",))), Ranking(order=(("c",), ("b",), ("a",)))
    bundle = made(RankWork(), [[same, same], [other, other]], answers=3)
    [found] = agreement_of(bundle.project.work, bundle.items, bundle.judgments)
    assert found.alpha is not None
    assert (found.alpha.alpha, found.alpha.n, found.alpha.interval) == (1.0, 6, None)
    assert agreement_of(WriteWork(), [], []) == ()


def test_adjudicators_are_in_no_figure_of_agreement() -> None:
    said = [[rated(1), rated(1)], [rated(5), rated(5)]]
    alone, judged = made(RATE, said, answers=1), made(RATE, said, answers=1, judge=rated(5))
    assert apart(alone) == apart(judged)
    assert agreement_of(RATE, alone.items, alone.judgments) == agreement_of(RATE, judged.items, judged.judgments)


def test_decisions_by_majority_and_by_an_adjudicator() -> None:
    choices = [[Choice(better="a"), Choice(better="a"), Choice(better="b")], [Choice(better="a"), Choice(better="b")]]
    found = made(ChooseWork(), choices, judge=Choice(better="b"))
    decisions = decide(found.project.work, found.items, found.judgments)
    assert [(one.better, one.worse, one.share) for one in decisions["i0"].better] == [("b", "a", 1.0)]
    assert decisions["i0"].adjudicated
    assert decisions["i1"].better == ()
    first = decide(ChooseWork(), found.items, [one for one in found.judgments if one.role == "annotator"])["i0"]
    assert first.better[0].share == pytest.approx(2 / 3)


A, B, NEITHER = Choice(better="a"), Choice(better="b"), Choice(better=None)


TIES = [[NEITHER] * 3, [NEITHER, NEITHER, A], [NEITHER, NEITHER, A, B]]


@pytest.mark.parametrize(
    ("way", "said"),
    [*(("majority", said) for said in [*TIES, [A, NEITHER], [A, B]]), *(("dawid_skene", said) for said in TIES)],
)
def test_ties_are_no_preferences(way: Way, said: list[Response]) -> None:
    others: list[list[Response]] = [[A, A, A, A], [B, B, B, B], [A, A, A, A], [B, B, B, B]]
    bundle = made(ChooseWork(), [said, *(those[: len(said)] for those in others)])
    found = export_records(bundle, Rules(way=way))
    assert {one.lineage.parents[0] for one in found.preferences} == {"i1", "i2", "i3", "i4"}
    assert [one.id for one in found.dropped] == ["i0"]


def test_ties_among_ranked_answers_are_no_preferences() -> None:
    """b and c share a place for two of three; one puts a behind, two before."""
    tied, other = Ranking(order=(("a",), ("b", "c"))), Ranking(order=(("c",), ("b",), ("a",)))
    found = export_records(
        made(RankWork(), [[tied, tied, other], [Ranking(order=(("a", "b", "c"),))] * 2], answers=3), Rules()
    )
    assert {(one.chosen.text, one.rejected.text) for one in found.preferences} == {("one", "two"), ("one", "three")}
    assert [one.id for one in found.dropped] == ["i1"]


def test_the_highest_number_of_an_adjudicator_holds_whatever_its_time() -> None:
    bundle = made(ChooseWork(), [[A, B]])
    told = {"item": "i0", "role": "adjudicator"}
    first = Judgment.model_validate({**told, "annotator": "annotator-9", "number": 1, "created_at": 9.0, "response": A})
    second = Judgment.model_validate(
        {**told, "annotator": "annotator-9", "number": 2, "created_at": 0.0, "response": B}
    )
    found = decide(ChooseWork(), bundle.items, [*bundle.judgments, first, second])["i0"]
    assert [one.better for one in found.better] == ["b"]
    other = Judgment.model_validate({**told, "annotator": "annotator-8", "number": 1, "created_at": 5.0, "response": A})
    last = decide(ChooseWork(), bundle.items, [*bundle.judgments, first, second, other])["i0"]
    assert [one.better for one in last.better] == ["a"], "of two adjudicators the later one"


def test_quality_is_the_share_of_good_items_with_its_interval() -> None:
    said = [[rated(5)], [rated(4)], [rated(4), rated(3)], [rated(5, 1)]]
    bundle = made(RATE, said, answers=1)
    decisions = decide(RATE, bundle.items, bundle.judgments)
    assert [decisions[f"i{n}"].score for n in range(4)] == [1.0, 0.75, 0.625, 0.5]
    found = quality(decisions, 0.75)
    assert (found.share, found.n) == (0.5, 4)
    assert (found.low, found.high) == (pytest.approx(0.1500, abs=1e-4), pytest.approx(0.8500, abs=1e-4))
    people = {name: Verdict(score=one.score) for name, one in decisions.items()}
    assert agreement(people, people, threshold=0.75).kappa == 1.0, "scores are verdicts that a judge is compared with"


def test_dawid_skene_weighs_people() -> None:
    """Annotators 1 and 2 agree on forty labels, 3 to 5 say x to everything: the vote says x, and the model does not."""
    labels = LabelWork(labels=("x", "y"))
    x, y = Labels(labels=("x",)), Labels(labels=("y",))
    said = [[x if n % 2 else y, x if n % 2 else y, x, x, x] for n in range(40)]
    bundle = made(labels, said, answers=0)
    votes = decide(labels, bundle.items, bundle.judgments)
    weighed = decide(labels, bundle.items, bundle.judgments, way="dawid_skene")
    assert {one.labels for one in votes.values()} == {("x",)}
    assert [weighed[f"i{n}"].labels for n in range(4)] == [("y",), ("x",), ("y",), ("x",)]
    with pytest.raises(DataError, match="no model of rank"):
        decide(RankWork(), [], [], way="dawid_skene")


def test_written_and_corrected_answers_become_rows() -> None:
    bundle = made(WriteWork(), [[Writing(text="So."), Writing(text="Thus.")], []], answers=0)
    found = export_records(bundle, Rules())
    assert [one.target for one in found.examples] == [assistant("So."), assistant("Thus.")]
    lineage = found.examples[1].lineage
    assert (lineage.paradigm, lineage.source, lineage.author) == ("expert", "annotation", "annotator-2")
    assert lineage.cost.human_minutes == 1.0
    assert found.examples[0].dimension == "utility"
    assert (found.ledger.rows_in, found.ledger.kept, found.ledger.dropped) == (2, 1, {"nobody judged it": 1})
    assert found.dropped[0].id == "i1"
    corrected = export_records(
        made(CorrectWork(), [[Correction(text="one"), Correction(text="1")]], answers=1), Rules()
    )
    assert [one.target.text for one in corrected.examples] == ["one", "1"]
    [pair] = corrected.preferences
    assert (pair.chosen.text, pair.rejected.text) == ("1", "one")
    assert pair.lineage.cost.human_minutes is None


def test_the_same_text_of_two_people_is_one_record_of_both() -> None:
    said: list[Response] = [Writing(text="So."), Writing(text="No."), Writing(text="So.")]
    found = export_records(made(WriteWork(), [said], answers=0), Rules())
    assert [(one.target.text, one.lineage.author, one.lineage.cost.human_minutes) for one in found.examples] == [
        ("So.", "annotator-1, annotator-3", 2.0),
        ("No.", "annotator-2", 1.0),
    ]
    fixes: list[Response] = [Correction(text="1"), Correction(text="1")]
    [pair] = export_records(made(CorrectWork(), [fixes], answers=1), Rules()).preferences
    assert pair.lineage.author == "annotator-1, annotator-2"


def test_answers_of_equal_texts_are_no_pairs() -> None:
    ranking = Ranking(order=(("a",), ("b",), ("c",)))
    bundle = made(RankWork(), [[ranking]], answers=3)

    def with_texts(*texts: str) -> Exported:
        answers = tuple(Candidate(key="abc"[at], text=text) for at, text in enumerate(texts))
        item = bundle.items[0].model_copy(update={"answers": answers})
        return export_records(bundle.model_copy(update={"items": (item,)}), Rules())

    same = with_texts("x", "x", "x")
    assert same.ledger.dropped == {"the answers that people told apart are the same text": 1}
    two = with_texts("x", "x", "y")
    assert [(one.chosen.text, one.rejected.text) for one in two.preferences] == [("x", "y")]
    assert two.preferences[0].lineage.cost.human_minutes == 1.0
    assert "2 decided pairs are in no record" in two.ledger.notes[1]
    assert with_texts("x", "y", "x").preferences == (), "an equal text stands before and behind it"
    assert len(with_texts("x", "y", "z").preferences) == 3


def test_a_disagreement_of_just_the_threshold_is_not_above_it() -> None:
    work = RateWork(scales=(Scale(name="quality", low=0, high=10),))
    said: list[Response] = [Rating(scores={"quality": 8}), Rating(scores={"quality": 5})]
    bundle = made(work, [said], answers=1)
    assert disputed(apart(bundle), 0.3) == []
    assert disputed(apart(bundle), 0.29) == ["i0"]
    rules = Rules(threshold=0.5, max_disagreement=0.3)
    assert len(export_records(bundle, rules).examples) == 1


def test_rated_answers_are_kept_by_score_and_agreement() -> None:
    said = [[rated(5), rated(5)], [rated(5), rated(3)], [rated(2), rated(2)], [rated(5)]]
    found = export_records(made(RATE, said, answers=1), Rules(people=2, max_disagreement=0.3))
    assert [one.lineage.parents for one in found.examples] == [("i0",)]
    assert found.ledger.dropped == {
        "people disagree by more than 0.3": 1,
        "its score is below 0.75": 1,
        "fewer than 2 people judged it": 1,
    }
    lineage = found.examples[0].lineage
    assert lineage.author == "some model"
    assert lineage.cost.human_minutes == 2.0
    assert lineage.verdicts[0].score == 1.0
    assert lineage.verdicts[0].reason == "2 people, disagreement 0.00"


def test_an_adjudicator_is_enough() -> None:
    bundle = made(RATE, [[rated(5), rated(1)]], answers=1, judge=rated(5))
    found = export_records(bundle, Rules(people=3, max_disagreement=0.1))
    assert found.examples[0].lineage.verdicts[0].reason.startswith("decided by an adjudicator after 2")
    writing = made(WriteWork(), [[Writing(text="So."), Writing(text="No.")]], answers=0, judge=Writing(text="Final."))
    assert [one.target.text for one in export_records(writing, Rules()).examples] == ["Final."]


def test_choices_and_ranks_become_preferences() -> None:
    said = [[Choice(better="b"), Choice(better="b"), Choice(better=None)], [Choice(better="a"), Choice(better="b")]]
    found = export_records(made(ChooseWork(), said), Rules())
    [pair] = found.preferences
    assert (pair.chosen.text, pair.rejected.text, pair.prompt) == ("two", "one", (user("Why 0?"),))
    assert "67% say so" in pair.lineage.verdicts[0].reason
    assert found.ledger.dropped == {"no more than half say that one answer is better": 1}
    ranking = Ranking(order=(("c",), ("a", "b")))
    ranks = export_records(made(RankWork(), [[ranking, ranking]], answers=3), Rules())
    assert {(one.chosen.text, one.rejected.text) for one in ranks.preferences} == {("three", "one"), ("three", "two")}
    assert sum(one.lineage.cost.human_minutes or 0 for one in ranks.preferences) == pytest.approx(2.0)


def test_labels_become_answers() -> None:
    labels = LabelWork(labels=("x", "y", "z"), several=True)
    said = [[Labels(labels=("z", "x")), Labels(labels=("x", "z")), Labels(labels=("y",))], [Labels(labels=())]]
    found = export_records(made(labels, said, answers=0), Rules())
    assert [one.target.text for one in found.examples] == ["x, z"]
    assert found.ledger.dropped == {"no label applies": 1}


def test_rules_that_do_not_apply_are_refused_at_once() -> None:
    with pytest.raises(DataError) as refused:
        export_records(made(SpansWork(labels=("x",)), [], answers=1), Rules(people=0, threshold=2, max_disagreement=-1))
    assert len(refused.value.problems) == 4
    with pytest.raises(DataError, match="written answers"):
        export_records(made(WriteWork(), [], answers=0), Rules(max_disagreement=0.5))
    with pytest.raises(DataError, match="threshold"):
        disputed({}, 1.5)


def test_disputes_go_to_one_adjudicator_each_widest_first(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s.db"), create=True)
    store.new_project(Project(name="p", work=RateWork(), overlap=2, lease_s=60))
    scores = {"i0": (3, 4), "i1": (1, 5), "i2": (2, 4), "i3": (1, 4)}
    answer = (Candidate(key="a", text="So."),)
    store.add_items("p", [WorkItem(id=name, messages=(user("Why?"),), answers=answer) for name in scores])
    for place in (0, 1):
        token = store.invite("p", f"person {place}")[1]
        while (task := next_item(store, token)) is not None:
            said = Rating(scores={"quality": scores[task.item.id][place]})
            submit(store, token, task.item.id, said, revision=task.revision)
    assert disputes(store, "p", 0.3) == ["i1", "i3", "i2"]
    with pytest.raises(AnnotationError, match="only an adjudicator"):
        next_dispute(store, token, 0.3)
    first, second = (store.invite("p", name, role="adjudicator")[1] for name in ("judge", "other judge"))
    mine, theirs = next_dispute(store, first, 0.3), next_dispute(store, second, 0.3)
    assert mine is not None
    assert theirs is not None
    assert (mine.assignment.item.id, theirs.assignment.item.id) == ("i1", "i3")
    assert mine.disagreement == 1.0
    assert [one.annotator for one in mine.judgments] == ["annotator-1", "annotator-2"]
    again = next_dispute(store, first, 0.3)
    assert again is not None
    assert again.assignment.item.id == "i1"
    submit(store, first, "i1", Rating(scores={"quality": 5}), revision=mine.assignment.revision)
    assert disputes(store, "p", 0.3) == ["i3", "i2"]
    skip(store, second, "i3", revision=theirs.assignment.revision, note="unclear")
    last = next_dispute(store, second, 0.3)
    assert last is not None
    assert last.assignment.item.id == "i2"
    other = next_dispute(store, first, 0.3)
    assert other is not None
    assert other.assignment.item.id == "i3"
    assert store.items("p")[0].id == "i0"
    store.close()


def test_a_bundle_that_does_not_fit_is_refused_with_all_faults() -> None:
    good = made(RATE, [[rated(5)]], answers=1)
    wrong = [
        Judgment(item="nowhere", annotator="a", number=1, response=rated(5)),
        Judgment(item="i0", annotator="a", number=2, response=rated(9)),
        Judgment(item="i0", annotator="annotator-1", role="adjudicator", number=2, response=rated(5)),
    ]
    bundle = good.model_copy(update={"judgments": (*good.judgments, *wrong), "items": good.items * 2})
    with pytest.raises(DataError) as refused:
        check_bundle(bundle, "made")
    assert len(refused.value.problems) == 5
