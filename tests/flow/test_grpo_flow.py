"""Reinforcement learning as a whole on the tiny model: it learns, survives kills with the same answers, and is reached
from the command line and from Python."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tutelage
from support.forked import kill_at
from support.letters import Letters
from tutelage.cli.app import app
from tutelage.errors import InputErrors, RecipeError, RunError, TrainingError
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.asking import asked_items, reward_of
from tutelage.recipe import load_recipe
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, FullMethod, LoraMethod, TuneSection
from tutelage.records import Answer
from tutelage.records.jsonl import read_records
from tutelage.tasks.build import build_tasks
from tutelage.tune import Progress, Started, Step, Summary, train
from tutelage.tune.rollouts import FILE, Sampled
from tutelage.tune.rows import Asked

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OBJECTIVE = GrpoObjective(
    kind="grpo", group=4, max_tokens=12, updates=3, kl=0.1, temperature=0.9, dynamic_sampling=2, truncated="score"
)
SECTION = TuneSection(
    objective=OBJECTIVE,
    method=LoraMethod(kind="lora", r=8, dropout=0.1),
    optimizer=AdamWOptimizer(kind="adamw", lr=2e-2),
    batch_size=2,
    epochs=2,
    checkpoint_every=2,
    max_steps=11,
    micro_batch_tokens=64,
)
SECTIONS = {
    "lora": SECTION,
    "full": SECTION.model_copy(
        update={"method": FullMethod(kind="full"), "optimizer": AdamWOptimizer(kind="adamw", lr=5e-3)}
    ),
}


def rows_of(task: Letters, number: int) -> list[Asked]:
    template = tiny_model().template
    rows = []
    for item in task.items("train", "basic", number, 0):
        ids = np.asarray(template.encode_prompt(item.messages), dtype=np.int32)
        rows.append(Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), item))
    return rows


def follow(folder: Path, section: TuneSection = SECTION, task: Letters | None = None) -> Iterator[Progress]:
    task = task or Letters(silent="abcdef")
    return train(tiny_model(), rows_of(task, 8), section, folder=folder, seed=3, reward=reward_of({task.name: task}))


def finish(folder: Path, section: TuneSection = SECTION, task: Letters | None = None) -> Summary:
    *_, summary = follow(folder, section, task)
    assert isinstance(summary, Summary)
    return summary


def objective(**more: object) -> GrpoObjective:
    return OBJECTIVE.model_copy(update={"updates": 1, "kl": 0.0, "temperature": 1.0, "dynamic_sampling": 0, **more})


def steps_of(folder: Path) -> list[Step]:
    return [Step.from_json(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize(("step", "resumed"), [(1, 0), (5, 4)], ids=["before a checkpoint", "inside a rollout"])
def test_a_killed_run_learns_from_the_same_answers(tmp_path: Path, name: str, step: int, resumed: int) -> None:
    whole = finish(tmp_path / "whole", SECTIONS[name])
    folder = tmp_path / "killed"
    kill_at(step, follow, folder=folder, section=SECTIONS[name])
    paid = (folder / FILE).read_text()
    with (folder / FILE).open("a") as file:  # what a kill inside the writing of a wave leaves
        lines = paid.splitlines()
        file.write(lines[0].replace('"rollout":0', '"rollout":9') + "\n" + lines[1][:40])
    *news, summary = follow(folder, SECTIONS[name])
    assert [item.resumed_from for item in news if isinstance(item, Started)] == [resumed]
    assert isinstance(summary, Summary)
    assert summary.losses == whole.losses
    assert len(set(whole.losses)) == len(whole.losses)
    assert (folder / FILE).read_text() == (tmp_path / "whole" / FILE).read_text()
    assert (folder / FILE).read_text().startswith(paid)
    for ours, theirs in zip(steps_of(folder), steps_of(tmp_path / "whole"), strict=True):
        assert ours.told | {"sampling_s": 0} == theirs.told | {"sampling_s": 0}
    assert summary.reload_difference == 0


def test_answers_are_kept_as_they_were_learned_from(tmp_path: Path) -> None:
    summary = finish(tmp_path)
    answers = read_records(tmp_path / FILE, Sampled)
    assert len(summary.losses) == 11
    assert sorted({one.rollout for one in answers}) == [0, 1, 2, 3]
    by_wave = Counter((one.rollout, one.wave) for one in answers)
    assert {one.of for one in answers if (one.rollout, one.wave) == (0, 0)} == {by_wave[0, 0]} == {8}
    assert {one.run for one in answers} == {summary.fingerprint}
    silent = [one for one in answers if one.reason.startswith("0 of")]
    assert silent
    bundle, items = tiny_model(), {item.id: item for item in Letters().items("train", "basic", 8, 0)}
    for one in answers:
        ended = one.tokens[-1] in bundle.template.end_ids
        assert one.ended == ended
        text = bundle.tokenizer.decode(list(one.tokens[:-1] if ended else one.tokens))
        assert one.answer == text
        (verdict,) = Letters(silent="abcdef").check([items[one.prompt]], [Answer(request_id="a", text=one.answer)])
        assert (verdict.score, verdict.reason) == (one.reward, one.reason)
        assert len(one.tokens) == len(one.sampler) == len(one.trainer) == len(one.old)
    pairs = [(one.rollout, one.prompt, one.seed) for one in answers]
    assert len(set(pairs)) == len(pairs)


def test_prompts_that_tell_nothing_are_replaced(tmp_path: Path) -> None:
    task = Letters(silent="abcdefg")
    dull = {item.id for item in task.items("train", "basic", 8, 0) if item.prompt[-1] in task.silent}
    assert 0 < len(dull) < 8
    section = SECTION.model_copy(update={"objective": objective(dynamic_sampling=3), "max_steps": 4})
    finish(tmp_path, section, task)
    answers = read_records(tmp_path / FILE, Sampled)
    first = {one.prompt for one in answers if (one.rollout, one.wave) == (0, 0)}
    later = {one.prompt for one in answers if one.rollout == 0 and one.wave}
    assert not first & later
    waves = [Counter(one.wave for one in answers if one.rollout == rollout) for rollout in range(4)]
    for rollout, counts in enumerate(waves):
        asked = {one.prompt for one in answers if one.rollout == rollout and one.wave == 0}
        assert counts[1] >= 4 * len(asked & dull)
    assert any(counts[1] for counts in waves)
    told = [step.told for step in steps_of(tmp_path)]
    assert all(
        entry["sampled_tokens"] == sum(len(o.tokens) for o in answers if o.rollout == at)
        for at, entry in enumerate(told)
    )


LEARNING = {
    "grpo": ({}, SECTIONS["full"].method, 1e-2),
    "dr_grpo": ({"advantage": "dr_grpo", "average": "constant"}, SECTIONS["full"].method, 1e-2),
    "rloo": ({"advantage": "rloo", "average": "row"}, SECTIONS["full"].method, 1e-2),
    # The output layer has no adapter, and without it the logits of a model this small hardly move: cold, they count.
    "adapter": ({"temperature": 0.2}, LoraMethod(kind="lora", r=16, alpha=32), 2e-2),
}


@pytest.mark.parametrize("name", LEARNING)
def test_what_is_rewarded_is_learned(tmp_path: Path, name: str) -> None:
    """Letters e: from half of the eight that are wanted to nearly all of them, in twenty steps."""
    more, method, lr = LEARNING[name]
    section = SECTION.model_copy(
        update={
            "objective": objective(group=8, max_tokens=16, **more),
            "method": method,
            "optimizer": AdamWOptimizer(kind="adamw", lr=lr),
            "schedule": ConstantSchedule(kind="constant"),
            "batch_size": 4,
            "epochs": 99,
            "max_steps": 20,
        }
    )
    finish(tmp_path, section, Letters())
    rewards = [step.told["reward"] for step in steps_of(tmp_path)]
    assert np.mean(rewards[:3]) < 0.6
    assert np.mean(rewards[-5:]) > 0.9


@pytest.mark.parametrize(("dtype", "mean", "largest"), [("float32", 1e-5, 1e-4), ("bfloat16", 0.02, 0.2)])
@pytest.mark.parametrize("method", [LoraMethod(kind="lora", r=8), FullMethod(kind="full")], ids=["lora", "full"])
def test_sampler_and_trainer_agree(
    tmp_path: Path, dtype: str, mean: float, largest: float, method: LoraMethod | FullMethod
) -> None:
    """From the first step on, and still when the weights have moved away from the start."""
    section = SECTION.model_copy(update={"dtype": dtype, "method": method, "objective": OBJECTIVE})
    finish(tmp_path, section)
    told = [step.told for step in steps_of(tmp_path)]
    assert max(one["gap"] for one in told) < mean
    assert max(one["gap_max"] for one in told) < largest
    assert all(one["gap_ratio"] == pytest.approx(1, abs=mean) for one in told)
    assert told[0]["kl"] == pytest.approx(0, abs=mean)
    assert told[-1]["kl"] > 1e-4
    assert [one["clipped"] for one in told[::3]] == [0, 0, 0, 0]


def test_what_has_no_score_is_left_out_and_told(tmp_path: Path) -> None:
    task = Letters(unscored="abcdefg")
    section = SECTION.model_copy(update={"objective": objective(), "batch_size": 8, "max_steps": 2})
    finish(tmp_path, section, task)
    answers = read_records(tmp_path / FILE, Sampled)
    unscored = [one for one in answers if one.reward is None]
    assert unscored
    assert {one.reason for one in unscored} == {"Nobody knows."}
    first = [one for one in answers if one.rollout == 0]
    told = steps_of(tmp_path)[0].told
    assert told["unscored"] == pytest.approx(sum(one.reward is None for one in first) / len(first))
    assert told["reward"] == pytest.approx(np.mean([one.reward for one in first if one.reward is not None]))


def test_where_nothing_has_a_score_nothing_is_kept(tmp_path: Path) -> None:
    section = SECTION.model_copy(update={"objective": objective(), "max_steps": 2})
    task = Letters(unscored="abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(TrainingError, match=r"no answer could be scored.*Nobody knows"):
        finish(tmp_path, section, task)
    assert not (tmp_path / FILE).exists()
    with pytest.raises(TrainingError, match="nobody scores the answers"):
        list(train(tiny_model(), rows_of(task, 2), section, folder=tmp_path, seed=0))


def test_a_prompt_that_leaves_no_room_is_dropped(tmp_path: Path) -> None:
    short = min(len(row.prompt) for row in rows_of(Letters(), 8)) - 1
    section = SECTION.model_copy(update={"objective": objective(), "max_tokens": short + 12})
    with pytest.raises(TrainingError, match=f"the longest answer leaves {short}"):
        finish(tmp_path, section)


RECIPE = """
name: letters
model: {id: tiny}
tasks: [{kind: custom, path: letters.py:Letters}]
tune:
  objective: {kind: grpo, prompts: 3, levels: [basic], group: 2, max_tokens: 8}
  batch_size: 2
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "letters.py").write_text((HERE.parent / "support" / "letters.py").read_text())
    (tmp_path / "letters.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_the_command_line(place: Path) -> None:
    done = CliRunner().invoke(app, ["tune", "letters.yaml"])
    said = " ".join(done.output.split())
    assert done.exit_code == 0, done.output
    assert "3 prompts of letters, train split" in said
    assert "reinforcement learning usually wants a tenth of it or less" in said
    assert "reward" in said
    folder = place / "runs" / "letters" / "tune"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["rows"] == 3
    assert {"reward", "reward_std", "silent", "ended", "length", "gap", "gap_max", "clipped"} <= set(summary["told"][0])
    assert len(read_records(folder / FILE, Sampled)) == 6
    assert (folder / "weights" / "adapter_model.safetensors").is_file()
    assert json.loads((folder / "ledger.json").read_text())["kept"] == 3
    again = CliRunner().invoke(app, ["tune", "letters.yaml", "--json"])
    assert json.loads(again.output.splitlines()[-1])["rows"] == 3
    valid = CliRunner().invoke(app, ["recipe", "validate", "letters.yaml"])
    assert "3 prompts of letters" in valid.output


def test_from_python_and_what_is_refused(place: Path) -> None:
    recipe = load_recipe(place / "letters.yaml")
    heard: list[str] = []
    summary = tutelage.tune(out=place / "out", model=recipe, emit=lambda event: heard.append(event.kind))
    assert summary.rows == 3
    assert heard.count("step") == 2
    with pytest.raises(RecipeError, match=r"asks the train split of the recipe's tasks.*make the file a task"):
        tutelage.tune(place / "rows.jsonl", out=place / "other", model=recipe)
    with pytest.raises(RecipeError, match="nothing to learn from"):
        tutelage.tune(out=place / "other", model="tiny")
    with pytest.raises(RecipeError, match="no task of this recipe has this level"):
        tutelage.tune(
            out=place / "other", model=load_recipe(place / "letters.yaml", ["tune.objective.levels=[expert]"])
        )
    for command in (["tune", "letters.yaml", "--round", "1"], ["run", "letters.yaml"]):
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, InputErrors), done.output
    assert not (place / "other").exists()


def test_rows_of_ones_own_with_a_check(place: Path) -> None:
    rows = [
        {"prompt": f"Name a {word}.", "reference": "e", "check": "contains"} for word in ("river", "city", "garden")
    ]
    bare = [{"prompt": "Say why.", "reference": "Because."}]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, *bare]))
    shares = "{train: 1, probe: 0, gate: 0, test: 0}"
    recipe = parse_recipe(
        f"name: a\nmodel: {{id: tiny}}\ntasks: [{{kind: rows, path: {place / 'rows.jsonl'}, shares: {shares}}}]\n"
        "tune: {objective: {kind: grpo, group: 2, max_tokens: 4}}\n"
    )
    assert tutelage.tune(out=place / "out", model=recipe).rows == 3
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in bare))
    with pytest.raises(RecipeError, match="nothing to ask that can be checked"):
        tutelage.tune(out=place / "other", model=recipe)


def test_the_prompts_are_those_of_the_train_split(place: Path) -> None:
    recipe = parse_recipe("name: a\ntasks: [{kind: constraints}, {kind: safety}]\ntune: {objective: {kind: grpo}}\n")
    asked = GrpoObjective(kind="grpo", prompts=5, levels=("basic", "expert"))
    items = asked_items(recipe, asked, build_tasks(recipe.tasks, Path()))
    assert {item.split for item in items} == {"train"}
    cells = Counter((item.task, item.level) for item in items)
    assert set(cells.values()) == {5}
    assert {level for _, level in cells} == {"basic", "expert"}
    assert asked_items(recipe, asked, build_tasks(recipe.tasks, Path())) == items


def test_the_shipped_recipe_runs(tmp_path: Path) -> None:
    small = ["model.id=tiny", "engines.threads=1", "tune.objective.max_tokens=8", "tune.objective.prompts=8"]
    recipe = load_recipe(ROOT / "recipes" / "grpo.yaml", [*small, "tune.epochs=1", "tune.max_tokens=600"])
    summary = tutelage.tune(out=tmp_path / "out", model=recipe)
    assert summary.rows == 8
    assert summary.steps == 1
    answers = read_records(tmp_path / "out" / FILE, Sampled)
    assert {one.wave for one in answers} <= {0, 1}
    assert len({one.prompt for one in answers if not one.wave}) == 8
    assert all(one.reward is not None and one.reason for one in answers)


def test_another_check_is_another_training(place: Path) -> None:
    (place / "checks.py").write_text("def good(prompt, answer, reference, row):\n    return 1.0, 'Good.'\n")
    (place / "rows.jsonl").write_text(json.dumps({"prompt": "Name a river.", "reference": "e"}) + "\n")
    recipe = parse_recipe(
        f"name: a\nmodel: {{id: tiny}}\ntasks: [{{kind: rows, path: {place / 'rows.jsonl'}, "
        f"check: 'path: {place / 'checks.py'}:good', shares: {{train: 1, probe: 0, gate: 0, test: 0}}}}]\n"
        "tune: {objective: {kind: grpo, group: 2, max_tokens: 4}}\n"
    )
    summary = tutelage.tune(out=place / "out", model=recipe)
    assert tutelage.tune(out=place / "out", model=recipe) == summary, "it is finished"
    (place / "checks.py").write_text("def good(prompt, answer, reference, row):\n    return 0.0, 'Bad.'\n")
    with pytest.raises(RunError, match="another tuning run"):
        tutelage.tune(out=place / "out", model=recipe)
