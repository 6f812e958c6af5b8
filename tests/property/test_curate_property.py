import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tutelage.curate import NearDuplicates, build_steps, curate
from tutelage.curate.tokens import jaccard, shingles
from tutelage.recipe.curate import CurateSection, MixStep
from tutelage.records import Example, Item, Lineage, Verdict, assistant, user
from tutelage.records.base import PARADIGMS

WORDS = ["oak", "river", "lamp", "stone", "wind", "copper", "seven", "blue", "moss", "gate"]
VOCABULARY = [a + b for a in WORDS for b in WORDS]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
ITEMS = [
    Item(id=f"i{n}", task="t", dimension="d", level="basic", split="probe", group=f"g{n}", messages=(user(text),))
    for n, text in enumerate(["oak river", "lamp stone wind copper seven blue moss gate oak"])
]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    verdicts = draw(st.sampled_from([(), (Verdict(score=1.0),), (Verdict(score=0.0),)]))
    lineage = Lineage(
        paradigm=draw(st.sampled_from(PARADIGMS)),
        source="s",
        author="a",
        verdicts=verdicts,
        round=draw(st.sampled_from([None, 1, 2])),
    )
    return Example(
        id=draw(st.text("ab", min_size=1, max_size=3)),
        messages=(user(draw(TEXTS)), assistant(draw(TEXTS))),
        lineage=lineage,
        level=draw(st.sampled_from([None, "basic"])),
    )


def all_steps() -> CurateSection:
    mix = MixStep(kind="mix", answers_per_prompt=2, rows_per_cell=6, replay_share=0.4)
    return CurateSection(steps=(*CurateSection().steps[:-1], mix))


@settings(max_examples=60, deadline=None)
@given(st.lists(examples(), max_size=25), st.randoms(use_true_random=False))
def test_curation_adds_up_is_independent_of_order_and_idempotent(rows: list[Example], rng: random.Random) -> None:
    steps = build_steps(all_steps(), ITEMS, round=2, seed=3)
    curated = curate(rows, steps)
    assert len(curated.kept) + len(curated.dropped) == len(rows)
    assert curated.ledger.kept + sum(curated.ledger.dropped.values()) == curated.ledger.rows_in == len(rows)
    before = sorted(row.to_json() for row in rows)
    assert sorted([*(row.to_json() for row in curated.kept), *(row.row for row in curated.dropped)]) == before
    shuffled = rows[:]
    rng.shuffle(shuffled)
    assert curate(shuffled, steps) == curated
    again = curate(curated.kept, steps)
    assert again.kept == curated.kept
    assert not again.dropped


def text(rng: random.Random, size: int) -> list[str]:
    return rng.choices(VOCABULARY, k=size)


def pair(id: str, prompt: str, answer: str) -> Example:
    return Example(
        id=id, messages=(user(prompt), assistant(answer)), lineage=Lineage(paradigm="self", source="s", author="a")
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_every_planted_copy_is_found_and_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    originals = [pair(f"{n:03}", " ".join(text(rng, 12)), " ".join(text(rng, 60))) for n in range(150)]
    planted = {}
    for n, row in enumerate(originals[:60]):
        words = row.target.text.split()
        match n % 3:
            case 0:
                planted[f"{n:03}exact"] = (row.prompt[0].text.upper(), "  ".join(words))
            case 1:
                planted[f"{n:03}near"] = (row.prompt[0].text, " ".join([*words[:-1], "changed"]))
            case _:
                words[30] = "changed"
                planted[f"{n:03}near"] = (row.prompt[0].text, " ".join(words))
    leaked = []
    items = []
    for n in range(80):
        words = text(rng, 40)
        items.append(ITEMS[0].model_copy(update={"id": f"x{n}", "group": str(n), "messages": (user(" ".join(words)),)}))
        if n % 2:
            answer = [*text(rng, 20), *words[5:18], *text(rng, 20)]
            leaked.append(pair(f"leak{n}", " ".join(text(rng, 9)), " ".join(answer)))
    copies = [pair(id, *texts) for id, texts in planted.items()]
    rows = [*originals, *copies, *leaked]
    rng.shuffle(rows)
    curated = curate(rows, build_steps(CurateSection(), items))
    found = {step: {row.id for row in curated.dropped if row.step == step} for step in
             ("exact_duplicates", "near_duplicates", "contamination")}  # fmt: skip
    assert found["exact_duplicates"] == {id for id in planted if id.endswith("exact")}
    assert found["near_duplicates"] == {id for id in planted if id.endswith("near")}
    assert found["contamination"] == {row.id for row in leaked}
    assert [row.id for row in curated.kept] == [row.id for row in originals]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_near_duplicates_agree_with_a_comparison_of_all_pairs(seed: int) -> None:
    rng = random.Random(seed)
    base = text(rng, 60)
    rows = []
    for n in range(12):
        words = base[:]
        for place in rng.sample(range(60), rng.randrange(4)):
            words[place] = "changed"
        rows.append(pair(f"{n:02}", "Write.", " ".join(words)))
    kept: list[Example] = []
    for row in rows:  # the ids are in order of preference
        sets = [shingles([*(["user", "write"] if whole else ()), *row.target.text.split()], 5) for whole in (0, 1)]
        others = [
            [shingles([*(["user", "write"] if whole else ()), *other.target.text.split()], 5) for whole in (0, 1)]
            for other in kept
        ]
        if not any(min(map(jaccard, sets, other)) >= 0.8 for other in others):
            kept.append(row)
    assert [row.id for row in NearDuplicates().apply(rows).kept] == [row.id for row in kept]


def test_jaccard_agrees_with_indicator_vectors() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        left, right = rng.integers(0, 2, (2, 30)).astype(bool)
        sets = [frozenset((str(place),) for place in np.flatnonzero(side)) for side in (left, right)]
        assert jaccard(*sets) == pytest.approx((left & right).sum() / (left | right).sum())
