"""Pairs from a file to a reward model that any program loads, and to how often it agrees with people."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from typer.testing import CliRunner

import tutelage
from tutelage.cli.app import app
from tutelage.errors import DataError, ModelError, RecipeError, RunError
from tutelage.models.load import load_bundle, load_reward, load_tuned
from tutelage.models.quiet import quiet
from tutelage.models.rewards import reward_head
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.export import Wanted, export
from tutelage.pipeline.preflight import preflight
from tutelage.pipeline.rewards import RewardAccuracy, reward_accuracy
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.objectives import RewardObjective
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod, Method, TuneSection
from tutelage.records import user
from tutelage.records.importers import import_examples, import_preferences
from tutelage.statistics import wilson
from tutelage.tune import Summary

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
WORDS = ("garden", "river", "name", "passage", "answer", "title", "point", "sentence")
NEW = ("city", "place", "word", "reader", "request")
METHODS: dict[str, Method] = {"lora": LoraMethod(kind="lora", r=4), "full": FullMethod(kind="full")}
RATES = {"lora": 1e-2, "full": 2e-3}
RECIPE = """
name: judge
model: {id: tiny}
tune:
  data: {path: pairs.jsonl}
  objective: {kind: reward, margin: 0.1, center: 0.01}
  optimizer: {kind: adamw, lr: 1e-2}
  batch_size: 4
  epochs: 10
"""


def write(path: Path, words: tuple[str, ...]) -> Path:
    rows = [
        {"prompt": f"Name a {word}.", "chosen": f"The {word}.", "rejected": f"No {word} " * 3, "margin": at % 2}
        for at, word in enumerate(words)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def learn(folder: Path, method: Method) -> Summary:
    section = TuneSection(
        objective=RewardObjective(kind="reward"),
        method=method,
        optimizer=AdamWOptimizer(kind="adamw", lr=RATES[method.kind]),
        batch_size=4,
        epochs=10,
    )
    return tutelage.tune(write(folder / "pairs.jsonl", WORDS), out=folder / "out", model="tiny", section=section)


def elsewhere(folder: Path, method: Method) -> PreTrainedModel:
    """The reward model as a program that knows transformers and PEFT alone loads it."""
    weights = folder / "out" / "weights"
    with quiet():
        if method.kind == "full":
            return AutoModelForSequenceClassification.from_pretrained(weights)
        tiny_model().model.save_pretrained(folder / "base")
        base = AutoModelForSequenceClassification.from_pretrained(folder / "base", num_labels=1)
        return PeftModel.from_pretrained(base, str(weights)).eval()


@pytest.mark.parametrize("kind", METHODS)
def test_it_learns_is_loaded_anywhere_and_agrees_with_held_out_pairs(tmp_path: Path, kind: str) -> None:
    method = METHODS[kind]
    summary = learn(tmp_path, method)
    assert (summary.head, summary.reload_difference) == ("reward", 0.0)
    first, last = summary.told
    assert summary.losses[-1] < 0.1
    assert last["accuracy"] == 1
    assert last["margin"] > first["margin"] + 1
    assert last["margin"] == pytest.approx(last["chosen"] - last["rejected"], rel=1e-5)

    held_out = write(tmp_path / "held_out.jsonl", NEW)
    found = reward_accuracy(held_out, tmp_path / "out" / "weights", model="tiny")
    template = tiny_model().template
    again = elsewhere(tmp_path, method)
    rewards = []
    for pair in import_preferences(held_out, author="a"):
        for answer in (pair.chosen, pair.rejected):
            ids = torch.tensor(template.encode((*pair.prompt, answer)).ids)[None].long()
            with torch.no_grad():
                rewards.append(again(input_ids=ids).logits.item())
    won, lost = rewards[::2], rewards[1::2]
    correct = sum(a > b for a, b in zip(won, lost, strict=True))
    assert (found.n, found.accuracy, found.unscored) == (5, correct / 5, {})
    assert (found.low, found.high) == (wilson(correct, 5).low, wilson(correct, 5).high)
    assert found.chosen == pytest.approx(sum(won) / 5, rel=1e-5)
    assert found.rejected == pytest.approx(sum(lost) / 5, rel=1e-5)
    assert found.margin == pytest.approx(found.chosen - found.rejected, rel=1e-5)


def test_a_whole_model_scores_padded_batches_as_single_answers(tmp_path: Path) -> None:
    learn(tmp_path, METHODS["full"])
    weights = tmp_path / "out" / "weights"
    model, tokenizer = elsewhere(tmp_path, METHODS["full"]), AutoTokenizer.from_pretrained(weights)
    texts = [tokenizer.apply_chat_template([{"role": "user", "content": "a " * n}], tokenize=False) for n in (1, 9)]
    with torch.no_grad():
        together = model(**tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=False)).logits
        alone = [model(**tokenizer([one], return_tensors="pt", add_special_tokens=False)).logits for one in texts]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_bfloat16_comes_back_the_same(tmp_path: Path) -> None:
    for kind, method in METHODS.items():
        section = TuneSection(objective=RewardObjective(kind="reward"), method=method, dtype="bfloat16", batch_size=4)
        pairs = write(tmp_path / "pairs.jsonl", WORDS)
        summary = tutelage.tune(pairs, out=tmp_path / kind, model="tiny", section=section)
        assert (summary.dtype, summary.reload_difference) == ("bfloat16", 0.0)
        assert load_reward(tmp_path / kind / "weights", "tiny", dtype="bfloat16").model.dtype == torch.bfloat16


def test_from_a_recipe_and_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("pairs.jsonl"), WORDS)
    write(Path("new.jsonl"), NEW)
    Path("judge.yaml").write_text(RECIPE)
    done = CliRunner().invoke(app, ["tune", "judge.yaml"])
    assert done.exit_code == 0, done.output
    assert "pairs of answers" in done.output
    assert "preferences usually want" not in done.output
    following = "tutelage score HELD_OUT_PAIRS --reward runs/judge/tune/weights --model judge.yaml"
    assert following in " ".join(done.output.split())
    command = ["score", "new.jsonl", *following.split()[3:]]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    found = RewardAccuracy.from_json(CliRunner().invoke(app, [*command, "--json"]).output.splitlines()[-1])
    assert found == reward_accuracy("new.jsonl", Path("runs/judge/tune/weights"), model="tiny")
    assert f"{found.accuracy:.1%} of 5 pairs" in said.output
    assert f"95 % interval: {found.low:.1%} to {found.high:.1%}" in said.output
    assert CliRunner().invoke(app, [*command, "--quiet"]).output == ""


def test_what_the_template_cannot_take_is_counted_apart(tmp_path: Path) -> None:
    learn(tmp_path, METHODS["lora"])
    weights, pairs = tmp_path / "out" / "weights", import_preferences(tmp_path / "pairs.jsonl", author="a")
    whole = reward_accuracy(pairs, weights, model="tiny")
    broken = pairs[0].model_copy(update={"prompt": (user("<s>"), *pairs[0].prompt)})
    broken = broken.model_copy(update={"chosen": user("no answer")})
    found = reward_accuracy([*pairs, broken], weights, model="tiny")
    assert sum(found.unscored.values()) == 1
    assert found.model_copy(update={"unscored": {}}) == whole
    with pytest.raises(DataError, match="these are no pairs of answers"):
        reward_accuracy([], weights, model="tiny")
    examples = tmp_path / "examples.jsonl"
    examples.write_text(json.dumps({"prompt": "a", "completion": "b"}) + "\n")
    with pytest.raises(DataError, match="these are no pairs of answers"):
        reward_accuracy(import_examples(examples, author="a"), weights, model="tiny")


def test_the_loop_makes_no_reward_models() -> None:
    recipe = parse_recipe("name: a\nmodel: {id: tiny}\ntasks: [{kind: safety}]\ntune: {objective: {kind: reward}}\n")
    with pytest.raises(RecipeError, match=r"tune.objective.*reward.*tutelage tune"):
        preflight(recipe)


@pytest.mark.parametrize("kind", METHODS)
def test_it_is_not_exported_without_its_head(tmp_path: Path, kind: str) -> None:
    learn(tmp_path, METHODS[kind])
    for wanted in (Wanted(), Wanted(merged=True)):
        with pytest.raises(RunError, match=r"a reward model is not exported.*tutelage score"):
            export(tmp_path / "out", tmp_path / "exported", wanted)
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize("kind", METHODS)
def test_it_is_no_language_model_to_anything_else(tmp_path: Path, kind: str) -> None:
    """It would answer with what is left of the base, without a word."""
    learn(tmp_path, METHODS[kind])
    weights = tmp_path / "out" / "weights"
    with pytest.raises(ModelError, match=r"reward.*tutelage score"):
        load_tuned("tiny", weights)
    with pytest.raises(ModelError, match=r"reward.*tutelage score"):
        tutelage.evaluate("tiny", adapter=weights, per_cell=1)
    if kind == "lora":
        for merge in (False, True):
            with pytest.raises(ModelError, match=r"reward.*tutelage score"):
                load_bundle("tiny", adapter=weights, merge=merge)
    else:
        with pytest.raises(ModelError, match=r"reward.*tutelage score"):
            load_bundle(str(weights))
    assert reward_head(load_reward(weights, "tiny").model) is not None
