"""Rehearsal: which prompts a round takes, which answers are kept, what they cost."""

from pathlib import Path

from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.rehearsal import rehearsal_prompts, rehearse
from tutelage.construct.sampling import Asker, Sampler
from tutelage.evaluate.utility import general_prompts
from tutelage.events import silent
from tutelage.recipe.construct import ConstructSection, RehearsalSection
from tutelage.records import Answer, Example, Request
from tutelage.text.words import ngrams, normalize

LOOP = "again and again and again and again and again and again"


def rehearsed(folder: Path, answers: list[tuple[str, bool]], *, prompts: int = 5, round: int = 1) -> list[Example]:
    """Rows of a round in which sample k of every prompt is ``answers[k]``: its text, and whether it ended."""

    def reply(request: Request) -> Answer:
        text, ended = answers[int(request.id.rsplit("/", 1)[1])]
        return Answer(
            request_id=request.id,
            text=text,
            finish="stop" if ended else "length",
            completion_tokens=7,
            prompt_tokens=3,
            seed=request.seed,
        )

    sampler = Sampler(folder, ConstructSection(), {}, seed=11 + round, round=round, chunk=4, emit=silent)
    section = RehearsalSection(prompts=prompts, samples=len(answers))
    rows = rehearse(section, sampler, start=Asker(lambda: ScriptedCompleter(reply), "the start"), seed=1)
    meter = sampler.meters["rehearsal"]
    assert (meter.answers, meter.tokens) == (prompts * len(answers), 7 * prompts * len(answers))
    return rows


def test_the_first_answer_that_ends_and_repeats_nothing_becomes_the_row(tmp_path: Path) -> None:
    answers = [
        ("Never mind the cut", False),
        (LOOP, True),
        ("So", True),
        ("This one is fine.", True),
        ("Too late.", True),
    ]
    rows = rehearsed(tmp_path, answers)
    assert [row.target.text for row in rows] == ["This one is fine."] * 5
    assert {(row.lineage.paradigm, row.lineage.author, row.dimension) for row in rows} == {
        ("rehearsal", "the start", "utility")
    }
    assert rows[0].lineage.cost.completion_tokens == 35, "the answers that were thrown away for it count"
    assert rehearsed(tmp_path / "none", answers[:3]) == []


def test_rounds_take_other_prompts_until_all_were_asked(tmp_path: Path) -> None:
    number = len(rehearsal_prompts())
    seen: list[str] = []
    for round in range(1, 4):
        rows = rehearsed(tmp_path / str(round), [("Fine by me.", True)], prompts=number // 3, round=round)
        seen += [row.prompt[0].text for row in rows]
    assert len(seen) == len(set(seen)) == number // 3 * 3


def test_prompts_are_many_different_and_not_those_of_the_guards() -> None:
    prompts = rehearsal_prompts()
    assert len(set(map(normalize, prompts))) == len(prompts) >= 300
    guarded = {gram for prompt in general_prompts() for gram in ngrams(normalize(prompt).split(), 5)}
    ours = {gram for prompt in prompts for gram in ngrams(normalize(prompt).split(), 5)}
    assert not ours & guarded
