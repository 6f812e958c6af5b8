"""Prefix and prompt tuning as a whole on the tiny model: every objective, kills, and the way to scores and answers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from tests.support.soft_peer import logits_of, losses_of, peft_from
from typer.testing import CliRunner

from support.forked import kill_at
from tutelage.cli.app import app
from tutelage.errors import RecipeError, TrainingError
from tutelage.evaluate.general_texts import general_documents
from tutelage.evaluate.utility import document_nll
from tutelage.events import silent
from tutelage.models.load import load_bundle, load_tuned
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.run import run
from tutelage.recipe import Recipe
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.model import CTranslate2Engine
from tutelage.recipe.objectives import (
    DpoObjective,
    IpoObjective,
    KdObjective,
    KtoObjective,
    Objective,
    OrpoObjective,
    Part,
    SftObjective,
    SimpoObjective,
    SumObjective,
)
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdamWOptimizer, RetentionSection, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import OpenTeacher, Progress, Started, Summary, train
from tutelage.tune.rows import Pair, Rated, Row

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning"),
]
QUESTIONS = ("What is the name?", "Where is the river?", "Is it stated?", "Say thanks.", "Write a title.", "Why?")
ANSWERS = ("It is the river.", "In the garden.", "It is not stated.", "Thanks.", "<<The title>>", "I can not say.")
METHODS = {
    "prompt": PromptMethod(kind="prompt", tokens=4, init="text", text="the garden"),
    "prefix": PrefixMethod(kind="prefix", tokens=4),
    "prefix of a projection": PrefixMethod(kind="prefix", tokens=4, projection=16),
}
OBJECTIVES: dict[str, Objective] = {
    "sft": SftObjective(kind="sft"),
    "sft with noise": SftObjective(kind="sft", noise=5.0, average="square", label_smoothing=0.1),
    "kd beside": KdObjective(kind="kd", teacher="tiny"),
    "kd before": KdObjective(kind="kd", teacher="tiny", top_k=5),
    "dpo": DpoObjective(kind="dpo"),
    "ipo": IpoObjective(kind="ipo"),
    "kto": KtoObjective(kind="kto", beta=1.0),
    "orpo": OrpoObjective(kind="orpo"),
    "simpo": SimpoObjective(kind="simpo"),
    "sum": SumObjective(
        kind="sum",
        parts=(
            Part(weight=1.0, objective=DpoObjective(kind="dpo")),
            Part(weight=0.1, objective=SftObjective(kind="sft")),
        ),
    ),
}


def section_of(method: str, objective: Objective, **more: object) -> TuneSection:
    section = TuneSection(
        method=METHODS[method],
        objective=objective,
        optimizer=AdamWOptimizer(kind="adamw", lr=2e-2),
        batch_size=2,
        epochs=2,
        checkpoint_every=2,
        max_tokens=200,
        micro_batch_tokens=64,
    )
    return section.model_copy(update=more)


def rows(answers: Sequence[str] = ANSWERS) -> list[Encoded]:
    template = tiny_model().template
    return [template.encode((user(q), assistant(a))) for q, a in zip(QUESTIONS, answers, strict=True)]


def rows_for(section: TuneSection) -> list[Row]:
    """The rows, as what the objective learns from: each answer is better than another, every other one is wanted."""
    match section.objective.rows:
        case "pairs":
            return [Pair(chosen, rejected) for chosen, rejected in zip(rows(), rows(ANSWERS[::-1]), strict=True)]
        case "unpaired":
            return [Rated(row, place % 2 == 0) for place, row in enumerate(rows())]
        case "examples":
            return list(rows())


def follow(folder: Path, section: TuneSection, open_teacher: OpenTeacher | None = None) -> Iterator[Progress]:
    return train(tiny_model(), rows_for(section), section, folder=folder, seed=3, open_teacher=open_teacher)


def finish(folder: Path, section: TuneSection, open_teacher: OpenTeacher | None = None) -> Summary:
    *_, summary = follow(folder, section, open_teacher)
    assert isinstance(summary, Summary)
    return summary


SECTIONS = {
    "prompt": section_of("prompt", OBJECTIVES["sft with noise"], retention=RetentionSection(texts=3, tokens=20)),
    "prefix": section_of("prefix", OBJECTIVES["kto"]),
    "prefix of a projection": section_of("prefix of a projection", OBJECTIVES["dpo"]),
}


@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_learns_it_and_plain_peft_reads_it(tmp_path: Path, method: str, objective: str) -> None:
    bundle = tiny_model()
    summary = finish(tmp_path, section_of(method, OBJECTIVES[objective]))
    assert summary.reload_difference < 1e-4
    assert summary.trainable_parameters == (4 * 64 if method == "prompt" else 4 * 2 * 2 * 64)
    found = load_bundle("tiny", adapter=tmp_path / "weights")
    peft = peft_from(tiny_model().model, tmp_path / "weights")
    assert found.virtual is not None
    for row in rows()[:2]:
        ids = torch.from_numpy(row.ids).long()[None]
        with torch.no_grad():
            expected = logits_of(peft, row)
            ours = found.model(input_ids=ids, past_key_values=found.virtual.cache()).logits[0]
            start = bundle.model(input_ids=ids).logits[0]
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
        assert (ours - start).abs().max() > 1e-3, "the model itself is as it came"


@pytest.mark.parametrize("method", METHODS)
def test_references_are_of_the_model_as_it_came(tmp_path: Path, method: str) -> None:
    """At the first step the rewards are the log-ratios of PEFT's model, before any step, to the bare one."""
    section = section_of(method, OBJECTIVES["dpo"], batch_size=6, max_steps=1, optimizer=STILL)
    told = finish(tmp_path, section).told[0]
    peft = peft_from(tiny_model().model, tmp_path / "weights")
    rewards = []
    for pair in rows_for(section):
        assert isinstance(pair, Pair)
        with torch.no_grad():
            bare = losses_of_model(pair.chosen)
            rewards.append(0.1 * (bare - losses_of(peft, pair.chosen).sum().item()))
    assert told["chosen"] == pytest.approx(sum(rewards) / len(rewards), rel=1e-3, abs=1e-4)


STILL = AdamWOptimizer(kind="adamw", lr=1e-12)


def losses_of_model(document: Encoded) -> float:
    ids, targets = torch.from_numpy(document.ids).long(), torch.from_numpy(document.targets)
    logprobs = tiny_model().model(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)
    return -logprobs.gather(1, ids[1:, None])[:, 0][targets[1:]].sum().item()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", SECTIONS)
def test_a_killed_run_goes_on_and_gives_the_same(tmp_path: Path, name: str) -> None:
    whole = finish(tmp_path / "whole", SECTIONS[name])
    folder = tmp_path / "killed"
    kill_at(5, follow, folder=folder, section=SECTIONS[name])
    *news, summary = follow(folder, SECTIONS[name])
    assert [item.resumed_from for item in news if isinstance(item, Started)] == [4]
    assert isinstance(summary, Summary)
    assert summary.losses == whole.losses
    files = [path / "weights" / "adapter_model.safetensors" for path in (tmp_path / "whole", folder)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("objective", ["kd beside", "kd before"])
def test_a_student_that_begins_as_its_teacher_does_has_nothing_to_learn(tmp_path: Path, objective: str) -> None:
    words = PrefixMethod(kind="prefix", tokens=4, init="text", text="the garden")
    still = section_of("prefix", OBJECTIVES["sft"], optimizer=STILL, max_steps=1)
    section = still.model_copy(update={"method": words})
    finish(tmp_path / "teacher", section)
    taught = section.model_copy(update={"objective": OBJECTIVES[objective]})
    losses = []
    for teacher in (tmp_path / "teacher" / "weights", None):
        folder = tmp_path / ("same" if teacher else "bare")
        losses += finish(folder, taught, lambda _, of=teacher: load_tuned("tiny", of)).losses  # type: ignore[misc]
    assert abs(losses[0]) < 1e-6
    assert losses[1] > 1e-5


def test_rows_that_do_not_fit_behind_virtual_tokens_are_refused_before_the_first_step(tmp_path: Path) -> None:
    bundle = tiny_model()
    longest = max(len(row) for row in rows())
    bundle.model.config.max_position_embeddings = longest + 3
    with pytest.raises(TrainingError, match=rf"{longest} tokens and 4; the context is {longest + 3}.*to {longest - 1}"):
        list(train(bundle, rows(), section_of("prompt", OBJECTIVES["sft"]), folder=tmp_path, seed=0))


def recipe_of(method: str) -> Recipe:
    """Two rounds of the whole loop, as small as they can be."""
    written = """
name: soft
model: {id: tiny}
rounds: 2
tasks: [{kind: constraints}, {kind: safety}]
engines: {threads: 1, reference_batch: 16}
construct: {prompts: 8, max_tokens: 8, expert: {per_cell: 2}, distill: null}
evaluate: {probe: 2, gate: 2, test: 2, max_tokens: 6, general_prompts: 1}
reflect: {gate: {resamples: 1000}}
controls: {few_shot: false, expert_only: false, placebo: false}
"""
    tune = f"tune: {{method: {{kind: {method}, tokens: 4}}, optimizer: {{kind: adamw, lr: 0.02}}, max_steps: 4}}\n"
    return parse_recipe(written + tune)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_the_whole_loop_runs_with_it(tmp_path: Path, method: str) -> None:
    outcome = run(recipe_of(method), tmp_path / "run", emit=silent)
    assert len(outcome.verdicts) == 2
    weights = tmp_path / "run" / "rounds" / "1" / "tune" / "weights"
    assert json.loads((weights / "adapter_config.json").read_text())["peft_type"].startswith(method.upper())
    tuned, start = (load_bundle("tiny", adapter=adapter) for adapter in (weights, None))
    measured = json.loads((tmp_path / "run/rounds/1/gate/after/utility.json").read_text())
    texts = general_documents()[:2]
    expected = document_nll(tuned, texts, emit=silent)
    assert measured["nll"][:2] == pytest.approx(expected, rel=1e-5)
    assert document_nll(start, texts, emit=silent) != pytest.approx(expected, rel=1e-4)


def test_a_loop_whose_sampling_engine_cannot_take_it_is_refused_before_it_begins() -> None:
    recipe = recipe_of("prefix")
    fast = recipe.engines.model_copy(update={"sampling": CTranslate2Engine(kind="ctranslate2")})
    with pytest.raises(RecipeError, match=r"engines.sampling.kind.*prefix tuning learns before a text"):
        preflight(recipe.model_copy(update={"engines": fast}))
    preflight(recipe.model_copy(update={"engines": fast, "rounds": 1}))


def test_tune_evaluate_and_chat_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("garden", "river", "name", "passage", "answer", "title", "point", "sentence")
    lines = [json.dumps({"prompt": f"Name a {word}.", "completion": f"The {word}."}) for word in words]
    Path("rows.jsonl").write_text("\n".join(lines))
    Path("soft.yaml").write_text(
        "name: soft\nmodel: {id: tiny}\ntasks: [{kind: safety}]\nevaluate: {max_tokens: 6}\n"
        "tune: {data: {path: rows.jsonl}, method: {kind: prefix, tokens: 4}, batch_size: 4}\n"
    )
    done = CliRunner().invoke(app, ["tune", "soft.yaml"])
    assert done.exit_code == 0, done.output
    weights = "runs/soft/tune/weights"
    asked = ["evaluate", "soft.yaml", "--adapter", weights, "--per-cell", "1"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "+ adapter" in done.output
    talk = CliRunner().invoke(app, ["chat", "tiny", "--adapter", weights, "--max-tokens", "5"], input="Hello\n/exit\n")
    assert talk.exit_code == 0, talk.output
    assert f"tiny with {weights}" in talk.output
