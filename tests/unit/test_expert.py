"""Expert annotation: which demonstrations become rows, and which a teacher sees."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tutelage.construct.expert import expert_context, expert_rows, nearest_context
from tutelage.recipe.construct import ExpertSection
from tutelage.records import LEVELS, Answer, Conversation, Demonstration, Item, Level, Verdict, assistant, user
from tutelage.tasks.build import demonstrations_of
from tutelage.tasks.safety import Safety


def item(word: str, level: Level, *, facet: str = "", kinds: Sequence[str] = (), task: str = "shout") -> Item:
    return Item(
        id=f"id-{word}",
        task=task,
        dimension="instruction_following",
        level=level,
        split="train",
        messages=(user(f"Shout {word}."),),
        group=word,
        facet=facet,
        kinds=tuple(kinds),
    )


def demonstration(word: str, level: Level = "basic", facet: str = "", kinds: Sequence[str] = ()) -> Demonstration:
    return Demonstration(
        item=item(word, level, facet=facet, kinds=kinds), answer=word.upper(), author="Ada", minutes=2.0
    )


def demonstrations(level: Level, number: int, facet: str = "") -> list[Demonstration]:
    return [demonstration(f"{level} {facet} {n}", level, facet) for n in range(number)]


def shown(turns: Conversation) -> list[str]:
    assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    return [turn.text for turn in turns if turn.role == "assistant"]


def test_expert_rows_are_at_most_so_many_a_cell_whatever_their_order() -> None:
    given = [*demonstrations("basic", 5), *demonstrations("advanced", 2)]
    rows = expert_rows(given, ExpertSection(per_cell=3), tasks={}, seed=1)
    assert [row.level for row in rows].count("basic") == 3
    assert [row.level for row in rows].count("advanced") == 2
    assert expert_rows(given[::-1], ExpertSection(per_cell=3), tasks={}, seed=1) == rows
    drawn = {tuple(row.id for row in expert_rows(given, ExpertSection(per_cell=3), tasks={}, seed=s)) for s in range(8)}
    assert len(drawn) > 1, "the seed chooses"
    assert len(expert_rows(given, ExpertSection(), tasks={}, seed=1)) == 7
    assert expert_rows(given, ExpertSection(per_cell=0), tasks={}, seed=1) == []
    for row in rows:
        assert (row.lineage.paradigm, row.lineage.author, row.lineage.cost.human_minutes) == ("expert", "Ada", 2.0)
        assert row.messages[-1] == assistant(row.messages[-1].text)


def test_an_answer_is_learned_under_other_wordings_that_its_check_accepts() -> None:
    safety = Safety()
    given = demonstrations_of([safety])
    section = ExpertSection(wordings=3)
    rows = expert_rows(given, section, tasks={"safety": safety}, seed=1)
    plain = expert_rows(given, ExpertSection(wordings=1), tasks={"safety": safety}, seed=1)
    assert len(given) == len(plain) < len(rows) <= 3 * len(given)
    assert rows == expert_rows(given, section, tasks={"safety": safety}, seed=1)
    others = [row for row in rows if row.lineage.source == "rewording"]
    assert len(others) == len(rows) - len(plain)
    for row in others:
        original = next(d for d in given if d.item.id == row.lineage.parents[1])
        assert row.target.text == original.answer
        assert (row.group, row.facet) == (original.item.group, original.item.facet)
        assert row.prompt != original.item.messages
        assert row.lineage.cost.human_minutes in (None, 0.0), "written once"
    assert len({row.level for row in others}) == 4


def test_wordings_that_the_check_refuses_are_left_out() -> None:
    class Strict:
        name = "shout"

        def reword(self, asked: Item, n: int, seed: int) -> list[Item]:
            return [item(f"{asked.group} {number}", "basic") for number in range(n)]

        def check(self, items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
            return [Verdict(score=float(asked.group.endswith("1")), reason="") for asked in items]

    rows = expert_rows(demonstrations("basic", 1), ExpertSection(wordings=4), tasks={"shout": Strict()}, seed=1)
    assert [row.group for row in rows] == ["basic  0", "basic  0 1"]


def test_the_expert_prompt_shows_both_facets_of_its_level() -> None:
    given = [
        *demonstrations("basic", 6, "harmful"),
        *demonstrations("basic", 6, "harmless"),
        *demonstrations("expert", 9),
    ]
    turns = expert_context(given, task="shout", level="basic", shots=4, seed=3)
    assert [turn.role for turn in turns] == ["user", "assistant"] * 4
    shown = [turn.text for turn in turns if turn.role == "assistant"]
    assert sum("HARMFUL" in text for text in shown) == 2
    assert sum("HARMLESS" in text for text in shown) == 2
    assert len(set(shown)) == 4
    assert expert_context(given, task="shout", level="basic", shots=4, seed=3) == turns
    assert expert_context(given, task="other", level="basic", shots=4, seed=3) == ()
    assert expert_context(given, task="shout", level="basic", shots=0, seed=3) == ()


def test_where_a_level_has_too_few_demonstrations_other_levels_help() -> None:
    given = [*demonstrations("basic", 1), *demonstrations("expert", 3)]
    assert len(expert_context(given, task="shout", level="basic", shots=3, seed=0)) == 6
    assert len(expert_context(given, task="shout", level=None, shots=9, seed=0)) == 8, "as many as there are"


# The demonstrations nearest to an item.

FAMILIES = ("end", "json", "start", "words")
POOL = [
    demonstration("end", kinds=["end"]),
    demonstration("end json", "intermediate", kinds=["end", "json"]),
    demonstration("json", "advanced", kinds=["json"]),
    demonstration("json too", "basic", kinds=["json"]),
    demonstration("words", kinds=["words"]),
    *(demonstration(f"other {n}", kinds=[f"other {n}"]) for n in range(40)),
]


def test_the_nearest_cover_the_kinds_of_the_item_and_the_most_alike_stands_last() -> None:
    both = item("x", "basic", kinds=["end", "json"])
    assert shown(nearest_context(POOL, both, shots=1, seed=0)) == ["END JSON"]
    assert shown(nearest_context(POOL, both, shots=3, seed=0))[-1] == "END JSON"
    json = item("x", "basic", kinds=["json"])
    assert shown(nearest_context(POOL, json, shots=2, seed=0)) == ["JSON", "JSON TOO"], "of its own level first"
    apart = item("x", "basic", kinds=["end", "words"])
    assert set(shown(nearest_context(POOL, apart, shots=2, seed=0))) == {"END", "WORDS"}, "each kind once before twice"


def test_both_facets_alternate_whichever_the_item_has() -> None:
    pool = [
        demonstration(f"{facet} {kind} {n}", facet=facet, kinds=[kind])
        for facet in ("yes", "no")
        for kind in ("odd", *map(str, range(20)))
        for n in range(3)
    ]
    lasts = set()
    for facet in ("yes", "no"):
        for n in range(20):
            asked = item(f"{facet} {n}", "basic", facet=facet, kinds=["odd"])
            found = shown(nearest_context(pool, asked, shots=4, seed=1))
            assert sum("YES" in text for text in found) == sum("NO" in text for text in found) == 2
            assert all("ODD" in text for text in found)
            lasts.add((facet, "YES" in found[-1]))
    assert len(lasts) == 4, "neither place nor number of a facet tells the item's"


def test_where_the_prompt_of_the_task_shows_every_kind_it_is_kept() -> None:
    few = [demonstration(f"{kind} {n}", kinds=[kind]) for kind in ("end", "json") for n in range(5)]
    fixed = expert_context(few, task="shout", level=None, shots=2, seed=4)
    for n in range(5):
        assert nearest_context(few, item(f"x{n}", "basic", kinds=["json"]), shots=2, seed=4) == fixed


def test_where_no_kind_is_shared_the_prompt_is_that_of_the_task() -> None:
    asked = item("x", "expert", kinds=["start"])
    fixed = expert_context(POOL, task="shout", level=None, shots=3, seed=4)
    assert nearest_context(POOL, asked, shots=3, seed=4) == fixed
    assert nearest_context(POOL, item("x", "basic", kinds=["end"], task="other"), shots=3, seed=4) == ()


@given(
    kinds=st.lists(st.sampled_from(FAMILIES), unique=True),
    pool=st.lists(
        st.tuples(st.sampled_from(LEVELS), st.sampled_from(["", "a", "b"]), st.sets(st.sampled_from(FAMILIES)))
    ),
    shots=st.integers(0, 6),
    seed=st.integers(0, 3),
)
def test_as_many_as_asked_for_each_once_and_always_the_same(
    kinds: list[str], pool: list[tuple[Level, str, set[str]]], shots: int, seed: int
) -> None:
    given_ = [demonstration(f"w{n}", level, facet, sorted(own)) for n, (level, facet, own) in enumerate(pool)]
    asked = item("x", "advanced", kinds=kinds)
    turns = nearest_context(given_, asked, shots=shots, seed=seed)
    found = shown(turns)
    assert len(found) == min(shots, len(given_)) == len(set(found))
    assert nearest_context(given_[::-1], asked, shots=shots, seed=seed) == turns
