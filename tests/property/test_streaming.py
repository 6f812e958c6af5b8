"""Rows that lie on the disk, in small batches and in any order, end as all rows at once do."""

import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.curate import Curated, Personal, Sifted, Step, batches, build_steps, change, drop, shelf
from tutelage.curate.entries import DROPPED, ENTRIES, Entry
from tutelage.curate.shelf import FolderShelf
from tutelage.curate.sieve import sieve
from tutelage.curate.step import by_id
from tutelage.recipe.curate import CurateSection
from tutelage.records import Dropped, Example, Item, Ledger, Lineage, Verdict, assistant, user
from tutelage.records.base import PARADIGMS
from tutelage.records.readings import RowScore

WORDS = ["oak", "river  ", "Oak", "lamp\r\n", "stone", "a@b.org", "192.168.9.7", "wind", "and so on", "the sea is blue"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=10).map(" ".join)
STEPS = CurateSection.model_validate(
    {
        "steps": [
            {"kind": "validate"},
            {"kind": "normalize"},
            {"kind": "language", "keep": ["en"], "min_letters": 12},
            {"kind": "pii", "find": ["email", "ip"]},
            {"kind": "exact_duplicates"},
            {"kind": "near_duplicates", "ngram": 2, "permutations": 16, "jaccard": 0.6},
            {"kind": "contamination", "ngram": 4, "short_ngram": 3},
            {"kind": "quality"},
            {"kind": "heuristics", "from_words": 5},
            {
                "kind": "mix",
                "answers_per_prompt": 2,
                "rows_per_cell": 8,
                "replay_share": 0.5,
                "facet_shares": {"f": 0.4},
            },
            {"kind": "k_center", "share": 0.8, "embedding": {"kind": "tfidf"}},
            {"kind": "mixture", "by": "paradigm", "temperature": 2},
        ]
    }
)
ITEMS = [
    Item(id=f"i{n}", task="t", dimension="d", level="basic", split="probe", group=f"g{n}", messages=(user(text),))
    for n, text in enumerate(["stone wind oak river", "lamp stone stone"])
]


class Own:
    """A step of one's own that sees all rows at once, changes some and measures all."""

    name = "own"

    def apply(self, rows: Sequence[Example]) -> Sifted:
        count = len(rows)
        scores = tuple(RowScore(id=row.id, step=self.name, name="rows", value=count) for row in rows)
        kept = [
            change(row, self.name, (*row.messages[:-1], assistant("changed")), ["answer"]) if "wind" in row.id else row
            for row in rows
            if len(row.target.text) < 200
        ]
        gone = [drop(row, self.name, "long", row.target.text[:9]) for row in rows if len(row.target.text) >= 200]
        return Sifted(kept[::-1], gone, (f"{count} rows",), scores)


@st.composite
def examples(draw: st.DrawFn) -> Example:
    lineage = Lineage(
        paradigm=draw(st.sampled_from(PARADIGMS)),
        source="s",
        author="a",
        verdicts=draw(st.sampled_from([(), (Verdict(score=1.0),), (Verdict(score=0.0, reason="ask a@b.org"),)])),
        round=draw(st.sampled_from([None, 1, 2])),
        changes=draw(st.sampled_from([(), ("before: it came",)])),
    )
    return Example(
        id=draw(st.sampled_from(["a", "b", "a\tb", "wind", "é", "c@d.org"])) + draw(st.text("12", max_size=2)),
        messages=(user(draw(TEXTS)), assistant(draw(TEXTS) * draw(st.integers(1, 4)))),
        lineage=lineage,
        level=draw(st.sampled_from([None, "basic"])),
        facet=draw(st.sampled_from(["", "f"])),
    )


def at_once(rows: Sequence[Example], steps: Sequence[Step]) -> Curated:
    """What curation is, without batches, files and processes: every step gets all rows."""
    kept = sorted(rows, key=by_id)
    came = len(kept)
    dropped: list[Dropped] = []
    notes: list[str] = []
    scores: list[RowScore] = []
    for step in steps:
        sifted = step.apply(kept)
        kept = sorted(sifted.kept, key=by_id)
        dropped += sorted(sifted.dropped, key=lambda row: (row.id, row.reason, row.row))
        notes += [f"{step.name}: {note}" for note in sifted.notes]
        scores += sorted(sifted.scores, key=lambda score: (score.id, score.name, score.value))
    for step in steps:
        if isinstance(step, Personal):
            dropped = [step.mask_dropped(row) for row in dropped]
    new = [[one for one in row.lineage.changes if not one.startswith("before")] for row in kept]
    ledger = Ledger(
        stage="curate",
        rows_in=came,
        kept=len(kept),
        dropped=dict(sorted(Counter(f"{row.step}: {row.reason.partition(':')[0]}" for row in dropped).items())),
        changed=dict(sorted(Counter(what for changes in new for what in dict.fromkeys(changes)).items())),
        notes=tuple(notes),
    )
    return Curated(tuple(kept), tuple(dropped), ledger, tuple(scores))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(examples(), max_size=25), st.randoms(use_true_random=False), st.integers(1, 9), st.sampled_from([1, 900])
)
def test_rows_on_the_disk_end_as_all_rows_at_once_do(
    rows: list[Example], rng: random.Random, batch: int, run_bytes: int
) -> None:
    steps = build_steps(STEPS, ITEMS, round=2, seed=3)
    steps.insert(6, Own())
    expected = at_once(rows, steps)
    shuffled = rows[:]
    rng.shuffle(shuffled)
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        FolderShelf(Path(folder), run_bytes=run_bytes) as place,
    ):
        patch.setattr(batches, "BATCH_ROWS", batch)
        patch.setattr(shelf, "MERGED", 3)
        found = sieve(shuffled, steps, place, workers=1)
        assert [entry.row for entry in found.kept] == list(expected.kept)
        assert [entry.text().decode() for entry in found.kept] == [row.to_json() for row in expected.kept]
        assert list(found.dropped) == list(expected.dropped)
        assert (found.ledger, found.scores) == (expected.ledger, expected.scores)


@settings(max_examples=40, deadline=None)
@given(st.lists(examples(), max_size=30), st.integers(1, 700))
def test_any_number_of_rows_is_sorted(rows: list[Example], run_bytes: int) -> None:
    dropped = [drop(row, "s", "why", row.target.text) for row in rows]
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        FolderShelf(Path(folder), run_bytes=run_bytes) as place,
    ):
        patch.setattr(shelf, "MERGED", 2)
        entries = place.sorted((Entry(row, 0) for row in rows), ENTRIES)
        assert [entry.row for entry in entries] == sorted(rows, key=by_id)
        assert list(place.sorted(dropped, DROPPED)) == sorted(dropped, key=DROPPED.key)
