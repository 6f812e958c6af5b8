"""Choosing among rows: amounts, diversity, scores, mixtures; with readers that say numbers by hand."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.sparse import csr_array

from tutelage.curate import build_steps, curate
from tutelage.curate.mixture import Mixture, quotas
from tutelage.curate.selection.amount import Amount
from tutelage.curate.selection.apart import keep_apart
from tutelage.curate.selection.facility import FacilityLocation, facility_location
from tutelage.curate.selection.k_center import KCenter, k_center
from tutelage.curate.selection.likelihood import Ifd, Perplexity
from tutelage.curate.selection.score_first import ScoreFirst
from tutelage.curate.selection.scores import scores_of
from tutelage.curate.selection.semantic import SemanticDuplicates
from tutelage.curate.selection.tfidf import tfidf
from tutelage.curate.selection.vectors import Vectors
from tutelage.errors import DataError, RecipeError
from tutelage.events import Event
from tutelage.recipe.curate import CurateSection
from tutelage.recipe.curate.embedding import EncoderEmbedding, StartEmbedding, TfidfEmbedding
from tutelage.recipe.curate.needs import needs_model
from tutelage.recipe.curate.selection import ScoreFirstStep, VerdictScore
from tutelage.records import CriterionScore, Example, Lineage, Paradigm, Verdict, assistant, user
from tutelage.records.readings import Likelihood

TFIDF = TfidfEmbedding(kind="tfidf")
START = StartEmbedding(kind="start")


def row(
    id: str, answer: str = "Yes.", *, paradigm: Paradigm = "expert", source: str = "s", **lineage: object
) -> Example:
    made = Lineage.model_validate({"paradigm": paradigm, "source": source, "author": "a", **lineage})
    return Example(id=id, messages=(user(f"Question {id}?"), assistant(answer)), lineage=made)


def ids(rows: Sequence[Example]) -> list[str]:
    return sorted(row.id for row in rows)


class Told:
    """A reader that says what it was told: losses given and alone, and vectors, by the row's answer."""

    def __init__(
        self, losses: dict[str, tuple[float, float]] | None = None, places: dict[str, list[float]] | None = None
    ):
        self.losses = losses or {}
        self.places = places or {}

    def likelihoods(self, rows: Sequence[Example]) -> list[Likelihood | str]:
        found: list[Likelihood | str] = []
        for one in rows:
            known = self.losses.get(one.id)
            found.append(
                "too long" if known is None else Likelihood(key=one.id, given=known[0], alone=known[1], tokens=3)
            )
        return found

    def embed(self, texts: Sequence[str], how: StartEmbedding | EncoderEmbedding) -> NDArray[np.float32]:
        names = [next(name for name in self.places if f"Question {name}?" in text) for text in texts]
        return np.array([self.places[name] for name in names], dtype=np.float32)


def step(**keys: object) -> CurateSection:
    return CurateSection.model_validate({"steps": [keys]})


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "number", "kept"),
        [(Amount(), 7, 7), (Amount(share=0.5), 5, 3), (Amount(share=0.1), 3, 1), (Amount(rows=4), 3, 3),
         (Amount(rows=2), 3, 2), (Amount(share=0.1), 0, 0)],
    )  # fmt: skip
    def test_shares_and_rows(self, amount: Amount, number: int, kept: int) -> None:
        assert amount.of(number) == kept

    @pytest.mark.parametrize(
        ("keys", "says"),
        [
            ({"kind": "k_center"}, "say how much is kept"),
            ({"kind": "facility_location", "share": 0.1, "rows": 3}, "say two things of one"),
            ({"kind": "ifd", "share": 0.1, "rows": 3}, "say two things of one"),
            ({"kind": "perplexity"}, "drops nothing"),
            ({"kind": "perplexity", "at_most": 9.0, "prefer": "low"}, "neither is given"),
            ({"kind": "perplexity", "at_least": 9.0, "at_most": 3.0}, "at least 9 and at most 3"),
            ({"kind": "score_first"}, "say how much is kept"),
            ({"kind": "mixture"}, "either weights or temperature"),
            ({"kind": "mixture", "weights": {"a": 1}, "temperature": 2}, "either weights or temperature"),
            ({"kind": "mixture", "temperature": 1}, "nothing is dropped"),
            ({"kind": "mixture", "temperature": 2, "short": "fill"}, "rows is not given"),
            ({"kind": "mixture", "weights": {"a": 0}}, "above 0"),
            ({"kind": "mixture", "by": "paradigm", "weights": {"distil": 1}}, "distil is no paradigm"),
        ],
    )
    def test_what_contradicts_itself_is_refused(self, keys: dict[str, object], says: str) -> None:
        with pytest.raises(ValidationError, match=says):
            step(**keys)

    @pytest.mark.parametrize("max_loss", [0.5, {"step": 0.5}, {"steps": {"k_center": 0.5}}])
    def test_more_may_go_than_is_chosen_away_or_it_is_refused(self, max_loss: object) -> None:
        steps = [{"kind": "k_center", "share": 0.1}]
        with pytest.raises(ValidationError, match=r"k_center keeps 0\.1 of the rows, and at most 0\.5 of them may go"):
            CurateSection.model_validate({"steps": steps, "max_loss": max_loss})
        CurateSection.model_validate({"steps": steps, "max_loss": 0.9})

    def test_a_step_that_needs_a_model_is_refused_without_one_and_words_need_none(self) -> None:
        section = step(kind="k_center", rows=2)
        assert needs_model(section.steps[0])
        with pytest.raises(RecipeError, match="this step reads rows with a model"):
            build_steps(section, [])
        by_words = step(kind="k_center", rows=2, embedding={"kind": "tfidf"})
        assert not needs_model(by_words.steps[0])
        rows = [row("a", "the cat sat"), row("b", "the cat sat down"), row("c", "stocks fell sharply")]
        assert len(curate(rows, build_steps(by_words, [])).kept) == 2


class TestLikelihoods:
    READER = Told({"a": (1.0, 2.0), "b": (1.9, 2.0), "c": (2.5, 2.0), "d": (1.5, 2.0), "f": (2.0, 2.0)})
    ROWS = tuple(row(name) for name in "abcdef")

    def test_ifd_keeps_below_one_and_the_largest_of_these(self) -> None:
        sifted = Ifd(amount=Amount(rows=2), reader=self.READER).apply(self.ROWS)
        assert ids(sifted.kept) == ["b", "d"]
        reasons = {one.id: one.reason for one in sifted.dropped}
        assert reasons["a"] == (
            f"its prompt helps more than that of others: IFD {math.exp(-1):.3f}, the 2 rows with the largest are kept"
        )
        assert reasons["c"].startswith(f"its prompt does not help with the answer: IFD {math.exp(0.5):.3f}")
        assert reasons["f"].startswith("its prompt does not help")  # exactly 1 is not below 1
        assert reasons["e"] == "the model cannot read it: too long"
        assert {one.id: one.value for one in sifted.scores} == pytest.approx(
            {"a": math.exp(-1), "b": math.exp(-0.1), "c": math.exp(0.5), "d": math.exp(-0.5), "f": 1.0}
        )

    def test_a_share_is_of_the_rows_that_come_in(self) -> None:
        assert ids(Ifd(amount=Amount(share=0.33), reader=self.READER).apply(self.ROWS).kept) == ["b", "d"]

    @pytest.mark.parametrize(("prefer", "kept"), [("low", "ad"), ("middle", "bd"), ("high", "cf")])
    def test_perplexity_keeps_what_is_preferred(self, prefer: str, kept: str) -> None:
        made = Perplexity(amount=Amount(rows=2), prefer=prefer, reader=self.READER)  # type: ignore[arg-type]
        assert ids(made.apply(self.ROWS).kept) == list(kept)

    def test_perplexity_keeps_what_is_in_bounds(self) -> None:
        made = Perplexity(at_least=math.exp(1.2), at_most=math.exp(2.1), reader=self.READER)
        sifted = made.apply(self.ROWS)
        assert ids(sifted.kept) == ["b", "d", "f"]
        assert {one.id: one.reason.partition(":")[0] for one in sifted.dropped} == {
            "a": "the model expects this answer", "c": "the answer is too surprising", "e": "the model cannot read it",
        }  # fmt: skip

    def test_scores_reach_what_curation_returns(self) -> None:
        steps = build_steps(step(kind="ifd", rows=1), [], reader=self.READER)
        curated = curate(reversed(self.ROWS), steps)
        assert ids(curated.kept) == ["b"]
        assert [one.id for one in curated.scores] == list("abcdf")
        assert curated.ledger.dropped["ifd: its prompt helps more than that of others"] == 2


class TestDiversity:
    # A corner of three, a pair, one alone; angles in the plane.
    ANGLES: ClassVar = {"a": 0, "b": 4, "c": -4, "d": 90, "e": 95, "z": 180}
    READER = Told(
        places={name: [math.cos(math.radians(angle)), math.sin(math.radians(angle))] for name, angle in ANGLES.items()}
    )
    ROWS = tuple(row(name) for name in ANGLES)

    def test_k_center_takes_the_far_ones(self) -> None:
        sifted = KCenter(amount=Amount(rows=3), embedding=START, reader=self.READER).apply(self.ROWS)
        # The mean lies at 46 degrees, b is nearest to it; then z is the farthest, then d (86 degrees from b).
        # Of the others c is the farthest, 8 degrees from b.
        assert ids(sifted.kept) == ["b", "d", "z"]
        assert sifted.notes == ("no dropped row is less like its nearest kept row than cosine 0.990",)

    def test_facility_location_takes_who_stands_for_most(self) -> None:
        sifted = FacilityLocation(amount=Amount(rows=3), embedding=START, reader=self.READER).apply(self.ROWS)
        # b alone is worth 3.06, as it sees d; then e adds 2.01, as it sees z, and d 1.93; then z adds 0.91.
        assert ids(sifted.kept) == ["b", "e", "z"]

    def test_everything_is_kept_where_it_is_few_and_no_model_is_asked(self) -> None:
        for made in (KCenter, FacilityLocation):
            sifted = made(amount=Amount(rows=6), embedding=START, reader=None).apply(self.ROWS)
            assert ids(sifted.kept) == sorted(self.ANGLES)

    def test_semantic_duplicates_keep_the_preferred_one(self) -> None:
        rows = [row("a", paradigm="self"), row("b"), *self.ROWS[2:]]
        sifted = SemanticDuplicates(cosine=0.995, embedding=START, reader=self.READER).apply(rows)
        assert ids(sifted.kept) == ["b", "c", "d", "z"]  # b and c are 8 degrees apart
        reasons = {one.id: one.reason for one in sifted.dropped}
        assert reasons["a"] == f"it says the same as another row: {math.cos(math.radians(4)):.2f} like b"

    def test_equal_vectors_are_duplicates_at_one(self) -> None:
        vectors = Vectors(np.array([[0.1, 0.7, 0.3], [0.2, 1.4, 0.6], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
        kept, alike = keep_apart(vectors, range(4), 1.0)
        assert kept == [0, 2, 3]  # nothing is like a text without words
        assert alike[1].place == 0

    def test_ties_go_to_the_smaller_place(self) -> None:
        vectors = Vectors(np.eye(4))
        assert [one.place for one in k_center(vectors)] == [0, 1, 2, 3]
        assert [one.place for one in facility_location(vectors)] == [0, 1, 2, 3]

    def test_vectors_refuse_what_is_no_number(self) -> None:
        with pytest.raises(ValueError, match="finite"):
            Vectors(np.array([[1.0, np.nan]]))

    def test_progress_is_told(self) -> None:
        heard: list[Event] = []
        FacilityLocation(amount=Amount(rows=2), embedding=START, reader=self.READER, emit=heard.append).apply(self.ROWS)
        assert [event.data["done"] for event in heard if event.data["label"] == "facility location"] == [0, 1, 2]


class TestTfidf:
    TEXTS = ("The cat sat on the mat", "the dog sat", "", "Éclair, éclair! 日本語", "a cat and a dog")

    def test_it_is_that_of_scikit_learn(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        from tutelage.curate.tokens import tokens

        peer = TfidfVectorizer(tokenizer=tokens, token_pattern=None, lowercase=False, sublinear_tf=True, norm=None)
        expected = peer.fit_transform(self.TEXTS).toarray()
        assert tfidf(self.TEXTS).toarray() == pytest.approx(expected, rel=1e-6)

    def test_sparse_and_dense_vectors_have_the_same_cosines(self) -> None:
        sparse = tfidf(self.TEXTS)
        dense, same = Vectors(sparse.toarray()), Vectors(csr_array(sparse))
        assert same.cosines(range(5)) == pytest.approx(dense.cosines(range(5)), abs=1e-6)
        assert same.cosines([1], [0, 4]) == pytest.approx(dense.cosines([1], [0, 4]), abs=1e-6)
        assert same.to_sum() == pytest.approx(dense.to_sum(), abs=1e-5)


class TestScoreFirst:
    READER = Told({"a": (1.0, 2.0), "b": (1.9, 2.0), "d": (1.5, 2.0), "e": (1.6, 2.0), "z": (0.1, 2.0)},
                  TestDiversity.READER.places)  # fmt: skip

    def apply(self, given: Sequence[Example], folder: Path | None = None, **keys: object):  # type: ignore[no-untyped-def]
        section = ScoreFirstStep.model_validate({"kind": "score_first", "rows": 3, "max_cosine": 0.99, **keys})
        return ScoreFirst(section, folder=folder, reader=self.READER).apply(given)

    def test_the_best_that_are_unlike_are_kept(self) -> None:
        sifted = self.apply([row(name) for name in "abcdez"])
        # IFD: b, e, d, a, z; d is like e, a is like b, c has none.
        assert ids(sifted.kept) == ["b", "e", "z"]
        reasons = {one.id: one.reason for one in sifted.dropped}
        assert reasons["d"].startswith("too much like a row with a better score: 1.00 like e")
        assert reasons["a"].startswith("too much like a row with a better score")
        assert reasons["c"] == "it has no score: too long"

    def test_it_ends_when_enough_are_kept_and_says_when_they_are_not(self) -> None:
        sifted = self.apply([row(name) for name in "abdez"], rows=2)
        assert ids(sifted.kept) == ["b", "e"]
        assert {one.reason.partition(":")[0] for one in sifted.dropped if one.id == "z"} == {
            "others have a better score"
        }
        assert self.apply([row(name) for name in "abdez"], rows=4).notes == (
            "only 3 rows are unlike enough, 4 were wanted",
        )

    def test_rows_whose_prompt_does_not_help_are_not_the_hardest(self) -> None:
        reader = Told({"hard": (3.0, 2.0), "ok": (1.9, 2.0), "easy": (1.0, 2.0)})
        section = ScoreFirstStep.model_validate({"kind": "score_first", "rows": 1, "embedding": {"kind": "tfidf"}})
        sifted = ScoreFirst(section, reader=reader).apply([row("hard"), row("ok"), row("easy")])
        assert ids(sifted.kept) == ["ok"]
        assert "its prompt does not help with the answer: IFD 2.72" in [one.reason for one in sifted.dropped]
        assert len(sifted.scores) == 3
        assert ScoreFirst(section, reader=reader).apply([row("hard")]).kept == []

    def test_a_writer_that_graded_itself_gives_no_score(self) -> None:
        own, nobody = Verdict(score=1.0), Verdict(score=None, reason="Nobody judged it.")
        (found,) = scores_of([row("a", verdicts=[own, nobody])], VerdictScore(kind="verdict"), reader=None, files={})
        assert found == "it has no verdict with a score, or not as its last"

    def test_judges_and_verdicts_give_scores(self) -> None:
        def judged(id: str, complexity: int, score: float) -> Example:
            criteria = (CriterionScore(name="complexity", score=complexity),)
            return row(id, verdicts=[Verdict(score=score, criteria=criteria)])

        rows = [judged("a", 5, 0.2), judged("d", 3, 1.0), judged("z", 4, 0.5), row("e")]
        keys = {"complexity": {"kind": "criterion", "name": "complexity"}, "quality": {"kind": "verdict"}, "rows": 2}
        sifted = self.apply(rows, **keys)
        assert ids(sifted.kept) == ["d", "z"]  # 3 > 2 > 1
        assert {one.id: one.reason for one in sifted.dropped}[
            "e"
        ] == "it has no score: no judge scored it for complexity"
        assert ("a", "criterion complexity", 5.0) in {(one.id, one.name, one.value) for one in sifted.scores}
        with pytest.raises(DataError, match="no row has a score") as raised:
            self.apply([row("a")], **keys)
        assert "construct.judge" in str(raised.value)

    def test_files_give_scores(self, tmp_path: Path) -> None:
        lines = [{"id": "a", "c": 1, "q": 2}, {"id": "d", "c": 2, "q": "2.5"}, {"id": "z", "c": 0, "q": 9}]
        (tmp_path / "s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        keys = {
            "complexity": {"kind": "file", "path": "s.jsonl", "column": "c"},
            "quality": {"kind": "file", "path": "s.jsonl", "column": "q"},
            "rows": 1,
        }
        assert ids(self.apply([row(name) for name in "adz"], tmp_path, **keys).kept) == ["d"]

    def test_every_fault_of_a_file_is_named(self, tmp_path: Path) -> None:
        lines = [{"id": "a", "c": -1}, {"c": 2}, {"id": "b", "c": 1}, {"id": "b", "c": 1}, {"id": "c", "other": 1}]
        (tmp_path / "s.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(DataError) as raised:
            self.apply([], tmp_path, complexity={"kind": "file", "path": "s.jsonl", "column": "c"})
        told = str(raised.value)
        assert len(raised.value.problems) == 4
        assert "s.jsonl:1: c: expected a number of 0 or more (received -1)" in told
        assert "s.jsonl:2: id: expected an id" in told
        assert "s.jsonl:4: id: this id was there before" in told
        assert "the columns are: id, other" in told.casefold()


class TestMixture:
    THERE: ClassVar = {"a": 80, "b": 15, "c": 5}

    def rows(self) -> list[Example]:
        return [row(f"{kind}{n}", source=kind) for kind, number in self.THERE.items() for n in range(number)]

    def counts(self, **keys: object) -> dict[str, int]:
        sifted = Mixture(by="source", **keys).apply(self.rows())  # type: ignore[arg-type]
        assert len(sifted.kept) + len(sifted.dropped) == 100
        assert len({one.id for one in sifted.kept}) == len(sifted.kept)
        return dict(Counter(one.lineage.source for one in sifted.kept))

    def test_proportional(self) -> None:
        assert self.counts(temperature=1, rows=20) == {"a": 16, "b": 3, "c": 1}

    def test_temperature_by_hand(self) -> None:
        # √80 : √15 : √5 = 8.944 : 3.873 : 2.236, of 15.053; of 37 rows 21.98, 9.52 and 5.50, of 38 rows 5.64 would be c
        assert self.counts(temperature=2) == {"a": 22, "b": 10, "c": 5}
        assert self.counts(temperature=2, rows=30) == {"a": 18, "b": 8, "c": 4}  # 17.83, 7.72, 4.46

    def test_weights_shrink_or_fill(self) -> None:
        even = {"a": 1.0, "b": 1.0, "c": 1.0}
        assert self.counts(weights=even) == {"a": 6, "b": 6, "c": 5}  # of 18 c would have 6
        assert self.counts(weights=even, rows=60) == {"a": 6, "b": 6, "c": 5}
        assert self.counts(weights=even, rows=60, short="fill") == {"a": 40, "b": 15, "c": 5}
        assert self.counts(weights={"a": 3, "b": 1}, rows=20) == {"a": 15, "b": 5}

    def test_it_says_what_is_short_absent_or_without_weight(self) -> None:
        sifted = Mixture(by="source", weights={"a": 1, "c": 1, "gone": 2}, rows=40).apply(self.rows())
        assert sifted.notes == (
            "by source: a 6 of 80 (55%, wanted 50%), c 5 of 5 (45%, wanted 50%)",
            "no row is of gone; the weights of the others count among themselves",
            "11 rows, 40 were wanted: there are no more of c",
        )
        assert Counter(one.reason for one in sifted.dropped) == {
            "more rows of a: 6 of 80 are kept": 74, "no weight for b: 0 of 15 are kept": 15,
        }  # fmt: skip

    def test_verified_rows_survive_first(self) -> None:
        rows = [row(f"r{n}", verdicts=[Verdict(score=float(n == 7))]) for n in range(10)]
        kept = Mixture(by="paradigm", temperature=1, rows=1).apply(rows).kept
        assert ids(kept) == ["r7"]

    @pytest.mark.parametrize(
        ("there", "shares", "kept"),
        [
            ({"a": 10, "b": 7}, {"a": 0.7, "b": 0.3}, {"a": 10, "b": 4}),
            ({"a": 1000, "b": 700, "c": 333}, {"a": 0.37, "b": 0.41, "c": 0.22}, {"a": 561, "b": 622, "c": 333}),
        ],
    )
    def test_mixing_again_keeps_all(
        self, there: dict[str, int], shares: dict[str, float], kept: dict[str, int]
    ) -> None:
        assert quotas(there, shares, None, fill=False) == kept
        assert quotas(kept, shares, None, fill=False) == kept

    def test_nothing_in_nothing_out(self) -> None:
        assert Mixture(temperature=2).apply([]).kept == []
        assert quotas({"a": 3}, {}, 2, fill=True) == {}
