from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage.curate import (
    Contamination,
    ExactDuplicates,
    Mix,
    NearDuplicates,
    Quality,
    Sifted,
    Step,
    Validate,
    build_steps,
    curate,
)
from tutelage.curate.minhash import Bands, groups_of
from tutelage.curate.mix import capped
from tutelage.curate.tokens import shingles, signs, tokens
from tutelage.errors import DataError, RecipeError, TutelageError
from tutelage.recipe.curate import CurateSection, CustomStep
from tutelage.records import (
    Cost,
    Example,
    ImagePart,
    Item,
    Lineage,
    Message,
    Paradigm,
    TextPart,
    ToolCall,
    Verdict,
    assistant,
    system,
    user,
)

ESSAY = (
    "The lighthouse keeper wrote down the weather every evening before supper and noted which ships had passed, "
    "how the wind had turned, and whether the lamp needed oil. In winter the pages grew short, because the ink froze "
    "and because nobody came, yet he never left one out."
)


def row(
    id: str, *messages: Message, paradigm: Paradigm = "self", passed: bool | None = None, round: int | None = None,
    level: str | None = None,
) -> Example:  # fmt: skip
    verdicts = () if passed is None else (Verdict(score=float(passed)),)
    lineage = Lineage(paradigm=paradigm, source="test", author="test", verdicts=verdicts, round=round)
    return Example.model_validate({"id": id, "messages": messages, "lineage": lineage, "level": level})


def pair(id: str, prompt: str, answer: str, **options: object) -> Example:
    return row(id, user(prompt), assistant(answer), **options)  # type: ignore[arg-type]


def item(id: str, prompt: str, *, reference: str | None = None, group: str = "g", split: str = "test") -> Item:
    return Item.model_validate(
        {
            "id": id,
            "task": "t",
            "dimension": "d",
            "level": "basic",
            "split": split,
            "messages": (user(prompt),),
            "group": group,
            "reference": reference,
        }
    )


def ids(rows: list[Example] | tuple[Example, ...]) -> list[str]:
    return [row.id for row in rows]


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ((), "no turns"),
        ((user("a"),), "no answer at the end"),
        ((user(" \n"), assistant("b")), "empty prompt"),
        ((assistant("b"),), "empty prompt"),
        ((user("a"), assistant(" ")), "empty answer"),
        ((user("a"), user("b"), assistant("c")), "turns out of order"),
        ((user("a"), system("b"), user("c"), assistant("d")), "turns out of order"),
        ((assistant("a"), user("b"), assistant("c")), "turns out of order"),
        ((user("a"), assistant("b"), Message.of("tool", "c"), assistant("d")), "turns out of order"),
        ((user("a"), assistant("x" * 21)), "answer too long"),
        ((user("x" * 31), assistant("b")), "prompt too long"),
        ((user("a"), assistant("b\ufffd")), "broken characters"),
        ((user("a"), assistant("b<|im_end|>")), "control tokens of a chat template"),
        ((user("a</s>"), assistant("b")), "control tokens of a chat template"),
    ],
)
def test_validate_names_the_fault(messages: tuple[Message, ...], kind: str) -> None:
    step = Validate(max_target_chars=20, max_prompt_chars=30)
    kept, (dropped,), *_ = step.apply([row("a", *messages)])
    assert not kept
    assert dropped.reason.partition(":")[0] == kind


def test_validate_keeps_what_is_in_order() -> None:
    call = Message(role="assistant", tool_calls=(ToolCall(name="add"),))
    assert len({call, call.model_copy(), Message(role="assistant", tool_calls=(ToolCall(name="sub"),))}) == 2
    rows = [
        row("a", user("a"), assistant("b")),
        row("b", system("s"), user("a"), assistant("b"), user("c"), assistant("d")),
        row("c", user("a"), call, Message.of("tool", "1"), Message.of("tool", "2"), assistant("3")),
        row("d", user("a"), call),
        row("e", Message(role="user", content=(ImagePart(kind="image", uri="x.png"),)), assistant("A cat: x < 3.")),
    ]
    assert Validate().apply(rows).kept == rows


def test_validate_refuses_numbers_that_are_not_finite() -> None:
    odd = Lineage(paradigm="self", source="t", author="t", cost=Cost(seconds=float("nan")))
    example = row("a", user("a"), assistant("b")).model_copy(update={"lineage": odd})
    assert Validate().apply([example]).dropped[0].reason == "a number that is not finite: cost.seconds is nan"


def test_exact_duplicates_ignore_form_but_not_signs() -> None:
    rows = [
        pair("aaa", "What  is\n3 + 4?", "Seven"),
        pair("b", "what is 3 + 4?", "seven "),
        pair("c", "What is 3 - 4?", "Seven"),
        pair("d", "What is 3 + 4?", "7"),
    ]
    sifted = ExactDuplicates().apply(rows)
    assert sorted(ids(sifted.kept)) == ["b", "c", "d"]
    assert sifted.dropped[0].reason == "the same prompt and answer: as b"


def test_one_row_given_twice_is_kept_once() -> None:
    row = pair("a", "p", "x")
    curated = curate([row, row], build_steps(CurateSection(), []))
    assert (ids(curated.kept), len(curated.dropped)) == (["a"], 1)


def test_rows_that_differ_in_image_or_tool_call_are_no_duplicates() -> None:
    def about(id: str, uri: str) -> Example:
        content = (TextPart(kind="text", text="A cat?"), ImagePart(kind="image", uri=uri))
        return row(id, Message(role="user", content=content), assistant("Yes."))

    calls = [row(n, user("Add."), Message(role="assistant", tool_calls=(ToolCall(name="add", arguments={"a": n}),)))
             for n in "xy"]  # fmt: skip
    rows = [about("a", "1.png"), about("b", "2.png"), *calls]
    assert len(ExactDuplicates().apply(rows).kept) == 4
    assert len(NearDuplicates().apply(rows).kept) == 4


def test_the_preferred_duplicate_survives() -> None:
    def twins(*rows: Example) -> str:
        forward, backward = (ExactDuplicates().apply(order).kept for order in (rows, rows[::-1]))
        assert forward == backward
        return forward[0].id

    assert twins(pair("a", "p", "x", paradigm="expert"), pair("b", "p", "x", passed=True)) == "b"
    assert twins(pair("a", "p", "x", passed=False), pair("b", "p", "x", paradigm="distill")) == "b"
    assert twins(pair("a", "p", "x", paradigm="distill"), pair("b", "p", "x", paradigm="expert")) == "b"
    assert twins(pair("aa", "p", "x"), pair("b", "p", "x")) == "b"
    assert twins(pair("b", "p", "x"), pair("a", "p", "x")) == "a"


def test_a_prompt_that_all_rows_share_makes_no_duplicates() -> None:
    rows = [
        pair(f"{n:04}", ESSAY, f"The number is {n}, which is {n * n} squared and {n + 1} after it.") for n in range(400)
    ]
    assert len(NearDuplicates().apply(rows).kept) == 400


@given(st.lists(st.sampled_from("abcdefgh"), max_size=12), st.lists(st.sampled_from("abcdefgh"), max_size=12))
def test_texts_share_a_key_where_their_words_are_the_same(left: list[str], right: list[str]) -> None:
    bands = Bands.of(0.8, permutations=128, ngram=5)
    one, other = (bands.keys([" ".join(words)])[0] for words in (left, right))
    same = shingles(left, 5) == shingles(right, 5)
    assert (one == other).all() == same
    assert groups_of(np.stack([one, other])).max() >= 0 or not same


def test_near_duplicates_are_found_and_confirmed_exactly() -> None:
    words = ESSAY.split()
    changed = " ".join([*words[:-1], "away."])
    halved = " ".join(words[: len(words) // 2])
    rows = [pair("a", "Write.", ESSAY), pair("b", "Write.", changed), pair("c", "Write.", halved)]
    sifted = NearDuplicates().apply(rows)
    assert ids(sifted.kept) == ["a", "c"]
    # Of an answer's n - 4 n-grams one ends in the changed word: n - 5 are shared, n - 3 are in either.
    assert sifted.dropped[0].reason == f"nearly the same row: {(len(words) - 5) / (len(words) - 3):.2f} like a"


def test_questions_on_one_passage_and_answers_to_one_prompt_are_no_duplicates() -> None:
    rows = [
        pair("a", f"{ESSAY}\nWho wrote?", "The keeper."),
        pair("b", f"{ESSAY}\nWhat froze?", "The ink."),
        pair("c", f"{ESSAY}\nWhat froze?", "It was the ink that froze."),
    ]
    assert len(NearDuplicates().apply(rows).kept) == 3


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (("What is -5 + 2?", "A number"), ("What is 5 - 2?", "A number")),
        (("Which sign belongs there?", "<"), ("Which sign belongs there?", ">")),
        (("Sum or difference?", "a + b"), ("Sum or difference?", "a - b")),
        (("How was it? One emoji.", "🙂"), ("How was it? One emoji.", "🙁")),
        (("How does the sentence end?", "!"), ("How does the sentence end?", "?")),
    ],
)
def test_rows_that_only_signs_tell_apart_are_no_duplicates(left: tuple[str, str], right: tuple[str, str]) -> None:
    rows = [pair("a", *left), pair("b", *right)]
    assert len(curate(rows, [ExactDuplicates(), NearDuplicates()]).kept) == 2


def test_other_quotes_dashes_and_stops_tell_nothing_apart() -> None:
    rows = [
        pair("a", "How is she? Tell me", "“Well” \u2014 she said: I am well, here; now."),
        pair("b", "How is she; tell me!", "'Well' - she said. I am well; here, now!"),
    ]
    assert len(curate(rows, [NearDuplicates()]).kept) == 1
    assert signs("-5 \u2212 2 × “3”, काम\u200d ✌️") == "--×✌"


def test_scripts_without_spaces_are_compared_by_character() -> None:
    assert tokens("我爱你 ok") == ["我", "爱", "你", "ok"]
    text = "灯塔看守人每天晚饭前都会写下天气并记录有哪些船只经过以及风向如何变化还有灯是否需要加油冬天的时候页数变少"
    rows = [pair("a", "写。", text), pair("b", "写。", text + "了")]
    assert ids(NearDuplicates().apply(rows).kept) == ["a"]


def test_contamination_by_thirteen_words_by_eight_and_by_whole_short_prompts() -> None:
    step = Contamination(
        [
            item("long", f"Summarize this. {ESSAY}"),
            item("short", "Name the capital of the old Duchy of Varn.", split="gate"),
            item("tiny", "Who was Ada?"),
            item("ref", "Why?", reference="because the pumps were never switched back on"),
        ]
    )
    words = ESSAY.split()
    thirteen, twelve = " ".join(words[5:18]), " ".join(words[5:17])
    rows = [
        pair("a", "Say more.", f"so {thirteen.upper()}! yes"),
        pair("b", "Say more.", f"so {twelve} yes"),
        pair("c", "Tell: the capital of the old duchy, of Lorn.", "x"),
        pair("d", "Who was Ada?", "x"),
        pair("e", "Tell me who was Ada?", "x"),
        pair("f", "Hm.", "It broke because the pumps were never switched back on."),
    ]
    sifted = step.apply(rows)
    assert ids(sifted.kept) == ["b", "c", "e"]
    reasons = {dropped.id: dropped.reason for dropped in sifted.dropped}
    assert reasons["a"].startswith("shares words with an evaluation item: long (test) has")
    assert reasons["f"].endswith('ref (test) has "because the pumps were never switched back on"')
    assert step.find(pair("g", "Name the capital of the old Duchy of Varn!", "x")) is not None


def test_boilerplate_is_ignored_and_listed_but_a_shared_passage_is_not_boilerplate() -> None:
    frame = "Answer in a few words and only from the passage that is given here below"
    items = [item(f"i{n}", f"{frame}: question {n}", group=f"g{n}") for n in range(30)]
    passage = [item(f"p{n}", f"{ESSAY} Question {n}", group="one passage") for n in range(10)]
    step = Contamination([*items, *passage])
    sifted = step.apply([pair("a", f"{frame}: what?", "x"), pair("b", ESSAY, "x")])
    assert ids(sifted.kept) == ["a"]
    assert sifted.notes[0] == "compared with 40 items"
    assert f'boilerplate ignored: "{frame.lower()}' in sifted.notes[1]


def test_texts_beside_the_items_are_guarded_and_make_nothing_boilerplate_or_leak() -> None:
    phrase = "please answer the following question about the harbor in as few words as you can"
    items = [item(f"q{n}", f"{phrase} number {n}", group=f"g{n}") for n in range(5)]
    texts = {f"text {n}": f"{ESSAY} {n}" for n in range(200)} | {"short": "Tell me a tale."}
    step = Contamination(items, texts=texts)
    rows = [
        pair("phrase", f"{phrase} number 77", "Ships."),
        pair("essay", "Write.", f"I remember: {ESSAY}"),
        pair("turn", "tell me a TALE", "Once."),
        pair("within", "Now tell me a tale of the sea", "Once."),
    ]
    sifted = step.apply(rows)
    assert [kept.id for kept in sifted.kept] == ["phrase", "within"]
    assert [dropped.reason.partition(" has ")[0].rpartition(": ")[2] for dropped in sifted.dropped] == [
        "text 0",
        "short",
    ]
    assert sifted.notes[0] == "compared with 5 items and 201 general texts"
    assert Contamination(items).apply(rows[1:]).dropped == []


def test_quality_drops_repetition() -> None:
    circles = pair("a", "p", "It is what it is and so on. " * 6)
    sifted = Quality().apply([circles, pair("b", "p", ESSAY)])
    assert ids(sifted.kept) == ["b"]
    assert sifted.dropped[0].reason.startswith("the answer repeats itself: ")


@pytest.mark.parametrize(("share", "refusals"), [(0.25, 4), (0.0, 0), (0.5, 10), (1.0, 10)])
def test_mix_caps_the_share_of_a_facet_in_its_dimension(share: float, refusals: int) -> None:
    def side(facet: str, dimension: str, number: int) -> list[Example]:
        made = [pair(f"{dimension} {facet} {n}", f"{dimension} {facet} {n}", "x") for n in range(number)]
        return [one.model_copy(update={"facet": facet, "dimension": dimension}) for one in made]

    given = [*side("harmful", "safety", 10), *side("harmless", "safety", 12), *side("harmful", "law", 3)]
    sifted = Mix(facet_shares={"harmful": share}).apply(given)
    kept = [one for one in sifted.kept if one.dimension == "safety"]
    assert sum(one.facet == "harmful" for one in kept) == refusals
    assert sum(one.facet == "harmless" for one in kept) == 12
    assert sum(one.dimension == "law" for one in sifted.kept) == 3, "without another side there is no share to keep"
    assert len(sifted.kept) + len(sifted.dropped) == len(given)
    assert all("harmful" in dropped.reason for dropped in sifted.dropped)


def facet_rows(**numbers: int) -> list[Example]:
    return [
        pair(f"{facet}{at}", f"q {facet} {at}", "a").model_copy(update={"dimension": "safety", "facet": facet})
        for facet, number in numbers.items()
        for at in range(number)
    ]


@pytest.mark.parametrize("caps", [{"a": 0.4, "b": 0.4}, {"b": 0.4, "a": 0.4}])
def test_caps_of_several_facets_hold_together(caps: dict[str, float]) -> None:
    once = curate(facet_rows(a=100, b=100, c=10), [Mix(facet_shares=caps)])
    assert Counter(row.facet for row in once.kept) == {"a": 20, "b": 20, "c": 10}  # 0.4 : 0.4 : 0.2
    assert curate(once.kept, [Mix(facet_shares=caps)]).kept == once.kept


def test_caps_that_leave_nothing_are_not_applied_and_told() -> None:
    found = curate(facet_rows(a=10, b=10), [Mix(facet_shares={"a": 0.4, "b": 0.4})])
    assert len(found.kept) == 20
    assert found.ledger.notes == ("mix: facet_shares are not applied in safety: they would leave no row of it",)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 30), min_size=1),
    st.dictionaries(st.sampled_from("abc"), st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.9, 1.0])),
)
def test_capped_numbers_hold_and_are_the_largest(numbers: dict[str, int], shares: dict[str, float]) -> None:
    found = capped(numbers, shares)
    assert capped(found, shares) == found
    assert capped(numbers, dict(reversed(shares.items()))) == found
    for facet, share in shares.items():
        assert found.get(facet, 0) <= share * sum(found.values()) + 1e-6
    assert all(found[facet] == numbers[facet] for facet in numbers.keys() - shares.keys())


def test_facets_and_replay_are_capped_until_both_hold() -> None:
    def made(facet: str, number: int, round: int) -> list[Example]:
        lineage = Lineage(paradigm="self", source="test", author="test", round=round)
        rows = [pair(f"{facet}{round}{at}", f"q {facet} {round} {at}", "a") for at in range(number)]
        more = {"dimension": "safety", "facet": facet, "lineage": lineage}
        return [one.model_copy(update=more) for one in rows]

    step = Mix(facet_shares={"harmful": 0.4}, replay_share=0.2, round=2)
    once = curate([*made("harmful", 8, 2), *made("harmless", 2, 2), *made("harmless", 30, 1)], [step]).kept
    assert curate(once, [step]).kept == once
    assert sum(row.facet == "harmful" for row in once) <= 0.4 * len(once)
    assert sum(row.lineage.round == 1 for row in once) <= 0.2 * len(once)


def test_two_ways_to_one_answer_are_two_rows_and_a_call_is_its_name_and_arguments() -> None:
    def said(id: str, **more: object) -> Example:
        return row(id, user("How much is it?"), Message(role="assistant", content="It is 4.", **more))  # type: ignore[arg-type]

    ways = [said("a", reasoning="2 + 2 is 4, as everybody knows."), said("b", reasoning="Half of eight makes four.")]
    assert len(curate(ways, [ExactDuplicates(), NearDuplicates()]).kept) == 2
    calls = [
        said("a", tool_calls=(ToolCall(name="sum", arguments={"x": 2, "y": 2}, id="call_1"),)),
        said("b", tool_calls=(ToolCall(name="sum", arguments={"y": 2, "x": 2}, id="call_9"),)),
    ]
    assert len(curate(calls, [ExactDuplicates()]).kept) == 1


def test_mix_caps_prompts_cells_and_replay() -> None:
    many = [pair(f"a{n}", "one prompt", f"answer {n}", passed=n == 7) for n in range(10)]
    sifted = Mix(answers_per_prompt=3).apply(many)
    assert len(sifted.kept) == 3
    assert "a7" in ids(sifted.kept)
    cells = [pair(f"{level}{n}", f"p {level} {n}", "x", level=level) for level in ("basic", "expert") for n in range(9)]
    kept = Mix(rows_per_cell=5).apply(cells).kept
    assert [sum(row.level == level for row in kept) for level in ("basic", "expert")] == [5, 5]
    old = [pair(f"o{level}{n}", f"{level} {n}", "x", level=level, round=1)
           for level, size in (("basic", 30), ("expert", 4)) for n in range(size)]  # fmt: skip
    new = [pair(f"n{n}", f"new {n}", "x", round=2) for n in range(20)]
    expert = [pair("x", "by hand", "x", paradigm="expert")]
    sifted = Mix(replay_share=0.3, round=2).apply([*old, *new, *expert])
    replayed = [row for row in sifted.kept if row.lineage.round == 1]
    assert len(replayed) == 9
    assert len(replayed) / len(sifted.kept) <= 0.3
    assert sum(row.level == "expert" for row in replayed) == 4
    assert {"x", *ids(new)} <= set(ids(sifted.kept))
    assert len(Mix(replay_share=0.3, round=2).apply(old).kept) == len(old)


def test_the_ledger_counts_by_step_and_kind() -> None:
    rows = [pair("a", "p", "x"), pair("b", "P", "X"), pair("c", "q", " "), pair("d", "", "x"), pair("e", "", "y")]
    curated = curate(rows, build_steps(CurateSection(), []))
    assert ids(curated.kept) == ["a"]
    assert curated.ledger.rows_in == 5
    assert curated.ledger.dropped == {
        "exact_duplicates: the same prompt and answer": 1,
        "validate: empty answer": 1,
        "validate: empty prompt": 2,
    }
    assert Example.from_json(next(d for d in curated.dropped if d.id == "b").row) == rows[1]
    assert "contamination: compared with 0 items" in curated.ledger.notes


def test_a_step_that_loses_rows_is_refused() -> None:
    class Loses:
        name = "loses"

        def apply(self, rows: list[Example]) -> Sifted:
            return Sifted(rows[1:], [])

    with pytest.raises(DataError, match=r"curate step loses: 1 problem:\n  - a: the step loses the row"):
        curate([pair("a", "p", "x"), pair("b", "p", "y")], [Loses()])


def test_a_step_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from tutelage.curate import Sifted, drop\n"
        "class Short:\n"
        "    name = 'short'\n"
        "    def __init__(self, limit=3):\n"
        "        self.limit = limit\n"
        "    def apply(self, rows):\n"
        "        long = [row for row in rows if len(row.target.text) > self.limit]\n"
        "        kept = [row for row in rows if row not in long]\n"
        "        return Sifted(kept, [drop(row, 'short', 'too long') for row in long])\n"
        "number = 3\n"
    )

    def steps(path: str, **options: int) -> list[Step]:
        section = CurateSection(steps=(CustomStep(kind="custom", path=path, options=options),))
        return build_steps(section, [], folder=tmp_path)

    rows = [pair("a", "p", "1234"), pair("b", "p", "123456")]
    assert ids(curate(rows, steps("mine.py:Short", limit=5)).kept) == ["a"]
    with pytest.raises(TutelageError, match="Did you mean 'Short'"):
        steps("mine.py:Shrt")
    with pytest.raises(RecipeError, match="unexpected keyword argument 'limits'"):
        steps("mine.py:Short", limits=5)
    with pytest.raises(RecipeError, match="this is no step"):
        steps("mine.py:number")
    with pytest.raises(TutelageError, match="no such Python file"):
        steps("yours.py:Short")
    with pytest.raises(TutelageError, match="another form"):
        steps("mine.py")
    with pytest.raises(TutelageError, match="cannot be imported"):
        steps("no_such_package_at_all:Short")
    (tmp_path / "bad.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(TutelageError, match=r"bad.py:2: it cannot be imported: SyntaxError"):
        steps("bad.py:f")
