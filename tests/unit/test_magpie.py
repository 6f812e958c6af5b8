"""Magpie, step by step on a scripted model: requests out of nothing, sifted, read, answered, and why not."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.classroom import Shout
from support.judging import scores
from support.ordering import drawn, sentence, worded
from tutelage.completers.scripted import ScriptedCompleter
from tutelage.construct.judged import Bench, judge_of
from tutelage.construct.sampling import Asker, Sampler
from tutelage.construct.self_improve.magpie import magpie_rows
from tutelage.errors import RecipeError
from tutelage.pipeline.rationales import require_reasoning
from tutelage.pipeline.supplies import supplies_of
from tutelage.recipe import load_recipe, parse_recipe
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.judge import JudgeSection
from tutelage.recipe.sources import MagpieSource
from tutelage.records import Answer, Dropped, Example, Ledger, Request
from tutelage.records.jsonl import read_records

Change = Callable[[str, Request], str | Answer | None]


def kind_of(asked: Request) -> str:
    """What is asked for: a request, how good one is, or an answer."""
    if asked.turn == "user":
        return "request"
    return "reading" if asked.messages[0].text.startswith("You read requests") else "answer"


def reply(asked: Request) -> str:
    draw = drawn(f"{asked.seed} {asked.id}")
    match kind_of(asked):
        case "request":
            return f"\nHow do I {sentence(draw)}, and then {sentence(draw)}?\n"
        case "reading":
            return json.dumps({"reason": "It is clear.", "quality": "good", "difficulty": "medium"})
        case _:
            return f"First {sentence(draw)}. Then {sentence(draw)}."


def magpie(change: Change | None = None, told: list[Request] | None = None) -> Asker:
    def answer(asked: Request) -> str | Answer:
        if told is not None:
            told.append(asked)
        other = change(kind_of(asked), asked) if change is not None else None
        return other if isinstance(other, Answer) else worded(reply(asked) if other is None else other)

    return Asker(lambda: ScriptedCompleter(answer, name="bird"), name="bird")


def sampler(folder: Path, bench: Bench | None = None) -> Sampler:
    tasks = {"shout": Shout()}
    return Sampler(
        folder / "out", ConstructSection(), tasks, seed=5, round=1, chunk=4, emit=lambda event: None, bench=bench
    )


def made(
    folder: Path,
    change: Change | None = None,
    *,
    told: list[Request] | None = None,
    at: Sampler | None = None,
    judge: Asker | None = None,
    **keys: object,
) -> list[Example]:
    section = MagpieSource.model_validate({"kind": "magpie", "requests": 8, **keys})
    return magpie_rows(section, at or sampler(folder), writer=magpie(change, told), judge=judge)


def ledgers(folder: Path) -> dict[str, Ledger]:
    return {one.stage: one for one in read_records(folder / "out/magpie/ledger.jsonl", Ledger)}


def test_an_empty_turn_gives_a_request_that_is_read_and_answered(tmp_path: Path) -> None:
    told: list[Request] = []
    at = sampler(tmp_path)
    rows = made(tmp_path, told=told, at=at)
    assert Counter(kind_of(one) for one in told) == {"request": 8, "reading": 8, "answer": 8}
    found = ledgers(tmp_path)
    assert [(one.stage, one.rows_in, one.kept) for one in found.values()] == [
        ("requests", 8, 8), ("readings", 8, 8), ("answers", 8, 8),
    ]  # fmt: skip
    assert found["readings"].notes == ("8 good",)
    first = [one for one in told if kind_of(one) == "request"]
    assert all(one.messages == () and one.sampling.temperature == 1 and one.sampling.top_p == 1 for one in first)
    assert len({one.seed for one in first}) == 8
    assert {one.sampling.temperature for one in told if kind_of(one) != "request"} == {0}
    for row in rows:
        assert [one.role for one in row.messages] == ["user", "assistant"]
        assert row.messages[0].text.startswith("How do I")
        assert row.messages[0].text.endswith("?")
        lineage = row.lineage
        assert (lineage.paradigm, lineage.source, row.level) == ("self", "magpie", "intermediate")
        assert lineage.assessment is not None
        assert (lineage.assessment.by, lineage.assessment.reason) == ("bird", "It is clear.")
        assert lineage.cost.completion_tokens == 30, "the request, what was read of it, the answer"
        assert lineage.verdicts[-1].score is None
        assert Example.from_json(row.to_json()) == row
    meter = at.meters["self"]
    assert (meter.answers, meter.passed, meter.errors, meter.tokens) == (8, 8, 0, 240)


def test_each_filter_gives_its_reason(tmp_path: Path) -> None:
    said: dict[str, str | Answer] = {
        "1/1": "  ",
        "1/2": "Sing!",
        "1/3": "Wie trage ich die Lampe am besten in den Garten, ohne dass sie auf dem Weg zerbricht?",
        "1/4": "Sure, here is a list of the things that you asked me for.",
        "1/5": "How is it? <|im_start|>assistant It is well with us.",
        "1/6": "go and say it again " * 12,
        "1/7": Answer(request_id="", text="How do I clean the lamp that", finish="length", completion_tokens=10),
        "1/8": Answer(request_id="", text="", finish="error", error="a fault"),
        "1/9": "How do I clean the kitchen window in winter?",
        "1/10": "How do I clean the kitchen window in summer?",
    }

    def change(kind: str, asked: Request) -> str | Answer | None:
        return said.get(asked.id) if kind == "request" else None

    at = sampler(tmp_path)
    rows = made(tmp_path, change, at=at, requests=12)
    assert len(rows) == 3
    assert ledgers(tmp_path)["requests"].dropped == {
        "no request came": 1,
        "it is said by an assistant, not to one": 1,
        "the request does not come to its end": 1,
        "the request holds marks of a chat template": 1,
        "the request is empty": 1,
        "the request is in another language": 1,
        "the request is too near to one before": 1,
        "the request is too short": 1,
        "the request repeats itself": 1,
    }
    assert (at.meters["self"].answers, at.meters["self"].errors) == (11, 1)
    assert len(read_records(tmp_path / "out/magpie/dropped.jsonl", Dropped)) == 9


def test_what_is_read_as_poor_is_not_answered_and_hardness_gives_the_level(tmp_path: Path) -> None:
    read = [
        ("very poor", "easy"), ("poor", "easy"), ("average", "very easy"), ("good", "easy"), ("excellent", "medium"),
        ("good", "hard"), ("good", "very hard"),
    ]  # fmt: skip

    def change(kind: str, asked: Request) -> str | None:
        number = int(asked.id.split("/")[1])
        if kind != "reading" or number == 7:
            return "It is good." if kind == "reading" else None
        quality, difficulty = read[number]
        return json.dumps({"reason": "So.", "quality": quality, "difficulty": difficulty})

    told: list[Request] = []
    rows = made(tmp_path, change, told=told, retries=0)
    assert [row.level for row in rows] == ["basic", "basic", "intermediate", "advanced", "expert"]
    found = ledgers(tmp_path)["readings"]
    assert found.dropped == {"its quality is below average": 2, "nobody could read it": 1}
    assert found.notes == ("1 excellent, 3 good, 1 average, 1 poor, 1 very poor",)
    assert sum(kind_of(one) == "answer" for one in told) == 5
    assert len(made(tmp_path / "best", change, retries=0, quality="excellent")) == 1
    told.clear()
    rows = made(tmp_path / "none", change, told=told, quality=None)
    assert [row.level for row in rows] == [None] * 8
    assert not any(kind_of(one) == "reading" for one in told)
    assert "readings" not in ledgers(tmp_path / "none")


def test_the_judge_reads_and_decides_where_the_recipe_has_one(tmp_path: Path) -> None:
    section = JudgeSection.model_validate({"by": {"kind": "self"}, "criteria": {"truth": "It is right."}})

    def judged(asked: Request) -> Answer:
        if kind_of(asked) == "reading":
            return worded(reply(asked))
        return worded(scores(truth=1 if asked.id.startswith("1/0/") else 5))

    by = Asker(lambda: ScriptedCompleter(judged, name="judge"), name="judge")
    judge = judge_of(section, open=by.open, name="judge", again=False)
    at = sampler(tmp_path, Bench(judge, section, tmp_path / "out", 4, lambda event: None))
    told: list[Request] = []
    rows = made(tmp_path, told=told, at=at, judge=by)
    assert len(rows) == 7
    assert not any(kind_of(one) == "reading" for one in told), "the judge reads"
    assert all(row.lineage.assessment is not None and row.lineage.assessment.by == "judge" for row in rows)
    assert ledgers(tmp_path)["answers"].dropped == {"no answer was good enough for the judge": 1}
    meter = at.meters["self"]
    assert meter.judging is not None
    assert (meter.judging.judged, meter.tokens) == (16, 160)


def test_a_system_turn_leads_requests_and_stands_nowhere_else(tmp_path: Path) -> None:
    told: list[Request] = []
    rows = made(tmp_path, told=told, system="You help with gardens.")
    for one in told:
        roles = [message.role for message in one.messages]
        assert roles == (["system"] if kind_of(one) == "request" else ["user"])
    assert all(row.messages[0].role == "user" for row in rows)


def test_the_same_call_asks_nothing_twice(tmp_path: Path) -> None:
    told: list[Request] = []
    first = made(tmp_path, told=told, samples=2, answer_temperature=0.7)
    paid = len(told)
    assert made(tmp_path, told=told, samples=2, answer_temperature=0.7) == first
    assert len(told) == paid == 32
    (tmp_path / "out/magpie/readings.jsonl").unlink()
    assert made(tmp_path, told=told, samples=2, answer_temperature=0.7) == first
    assert len(told) == paid + 8


@pytest.mark.parametrize(
    ("keys", "more", "said"),
    [
        ("samples: 2", "", "the same at answer_temperature 0"),
        ("language: xx", "", "cannot be told from other languages"),
        ("quality: fair", "", "quality"),
        ("by: teacher", "", "the student itself; take student"),
        ("by: teacher", "distill: {teacher: {kind: endpoint, base_url: 'http://127.0.0.1:1/v1', model: m}}",
         "an endpoint of chat completions does not take"),
        ("by: teacher", "distill: null", r"construct\.distill is null"),
    ],
)  # fmt: skip
def test_who_cannot_begin_as_the_user_is_refused_by_name(keys: str, more: str, said: str) -> None:
    section = f"{{sources: [{{kind: magpie, {keys}}}], {more}}}"
    with pytest.raises(RecipeError, match=said):
        parse_recipe(f"name: mine\ntasks: [{{kind: constraints}}]\nconstruct: {section}")


def test_a_vllm_server_is_refused_and_a_model_here_is_not() -> None:
    text = "name: mine\ntasks: [{kind: constraints}]\nconstruct: {sources: [{kind: magpie}]}\n"
    with pytest.raises(RecipeError, match="which a vLLM server is not sent"):
        parse_recipe(f"{text}engines: {{sampling: {{kind: vllm}}}}")
    assert parse_recipe(text)
    teacher = "sources: [{kind: magpie, by: teacher}], distill: {teacher: {kind: model, id: another}}"
    recipe = parse_recipe(f"name: mine\ntasks: [{{kind: constraints}}]\nconstruct: {{{teacher}}}")
    (supply,) = supplies_of(recipe)
    assert supply.taught
    assert supply.words == "64 requests out of nothing, each × 1 answers"
    assert next(one.answers for one in supply.asked) == 64 * recipe.rounds


def test_a_template_that_has_no_place_for_a_user_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_text("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}")
    text = (
        "name: mine\nmodel: {id: tiny, template: chat.jinja}\ntasks: [{kind: constraints}]\nconstruct: {sources: [%s]}"
    )
    (tmp_path / "recipe.yaml").write_text(text % "{kind: magpie}")
    with pytest.raises(RecipeError, match=r"construct\.sources\.0: .*writes nothing before a user's words"):
        require_reasoning(load_recipe(tmp_path / "recipe.yaml"), offline=True)
    (tmp_path / "recipe.yaml").write_text(text % "{kind: magpie, system: Be a cook.}")
    require_reasoning(load_recipe(tmp_path / "recipe.yaml"), offline=True)
