"""What filters let through has what they promise, whatever a model writes."""

import string
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tutelage.construct.self_improve.bootstrap import bare
from tutelage.construct.self_improve.elimination import MOST_APOLOGETIC, STOP_WORDS, spoils
from tutelage.construct.self_improve.evolving import Line
from tutelage.construct.self_improve.filters import (
    FEWEST_WORDS,
    MOST_WORDS,
    UNSERVED,
    faults_of_instruction,
    sift_instances,
)
from tutelage.construct.self_improve.seeds import Seed
from tutelage.recipe.sources.evolve import OPERATIONS, Operation
from tutelage.records import LEVELS, Level
from tutelage.records.seed_tasks import Instance, SeedTask
from tutelage.text.rouge import units

SHORT = st.text(alphabet="ab: .\n", max_size=4)
INSTANCES = st.lists(st.builds(Instance, input=SHORT, output=SHORT), max_size=8)
TEXTS = st.text(alphabet=string.ascii_letters + string.punctuation + " \nüß字", max_size=60)


@given(INSTANCES, st.integers(1, 5))
def test_kept_instances_are_whole_different_and_few_enough(instances: list[Instance], most: int) -> None:
    sifted = sift_instances(instances, most)
    assert len(sifted) == len(instances), "each is kept or has its reason"
    kept = [one for one, reason in sifted if not reason]
    assert len(kept) <= most
    assert len({one.input for one in kept}) == len(kept)
    for one in kept:
        assert one.output
        assert one.input != one.output
        assert not one.input.endswith(":")
        assert not one.output.endswith(":")
    assert [reason for _, reason in sift_instances(kept, most)] == [""] * len(kept)


@given(INSTANCES)
def test_an_input_with_two_outputs_leaves_nothing_of_its_instruction(instances: list[Instance]) -> None:
    outputs: dict[str, set[str]] = {}
    for one in instances:
        brought, made = one.input.strip(), one.output.strip()
        if brought and made and brought != made and ":" not in (brought[-1], made[-1]):
            outputs.setdefault(brought, set()).add(made)
    kept = [one for one, reason in sift_instances(instances, 8) if not reason]
    if any(len(different) > 1 for different in outputs.values()):
        assert not kept
    else:
        assert {one.input for one in kept} >= outputs.keys()


@given(TEXTS)
def test_an_instruction_without_faults_has_what_filters_promise(text: str) -> None:
    if next(faults_of_instruction(text, "en"), None) is None:
        assert FEWEST_WORDS <= len(units(text)) <= MOST_WORDS
        assert text.strip()[0] not in string.punctuation
        assert text.strip()[0].isascii()


@given(st.sampled_from(UNSERVED), st.booleans())
def test_words_that_text_cannot_serve_are_found_anywhere(word: str, upper: bool) -> None:
    said = word.upper() if upper else word
    for text in (f"Tell me what the {said} is about.", f"{said.title()} it as well as you can."):
        reasons = [reason for reason, _ in faults_of_instruction(text, "en")]
        assert reasons == ["the instruction names what a model of text cannot serve"]
    assert not list(faults_of_instruction(f"Tell me what a{word}o is about.", "en")), "not inside another word"


@given(TEXTS)
def test_taking_off_what_stands_before_an_instruction_keeps_its_words(text: str) -> None:
    line = " ".join(text.split())
    assert line.endswith(bare(text))


@given(st.lists(st.sampled_from([*sorted(STOP_WORDS), "...", "!", "?\n", "(", ")"]), max_size=12), st.randoms())
def test_stop_words_and_punctuation_are_no_answer_and_one_word_more_is(parts: list[str], random: Random) -> None:
    text = " ".join(part.upper() if random.random() < 0.3 else part for part in parts)
    assert spoils(text) == "the answer has punctuation and stop words alone"
    assert spoils(f"{text} kettle") == ""


@given(st.integers(0, 200))
def test_an_answer_is_sorry_by_its_length(number: int) -> None:
    said = spoils("sorry " + "kettle " * number)
    assert bool(said) == (number + 1 < MOST_APOLOGETIC)


@given(st.lists(st.sampled_from(OPERATIONS), max_size=8), st.sampled_from(LEVELS))
def test_levels_never_fall_and_rise_by_one_at_most(operations: list[Operation], level: Level) -> None:
    seed = Seed(SeedTask(id="a", instruction="Say it."), "utility", level)
    before = LEVELS.index(level)
    for number in range(len(operations) + 1):
        found = Line(seed, "", "", tuple(operations[:number])).level
        assert found is not None
        assert LEVELS.index(found) - before in (0, 1)
        before = LEVELS.index(found)
