"""Long rows: what a step will take is said before it, rows beyond the context are dropped by name, and 16k tokens
train."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tutelage.errors import TrainingError
from tutelage.events import Event
from tutelage.models.load import Bundle, save_folder
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.standalone import tune
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.methods import Ia3Method
from tutelage.recipe.model import ModelSection
from tutelage.recipe.objectives import DpoObjective, RewardObjective
from tutelage.recipe.tune import AdafactorOptimizer, FullMethod, LoraMethod, RetentionSection, TuneSection
from tutelage.records import Example, Item, Lineage, assistant, content_id, user
from tutelage.tune import Step, train
from tutelage.tune.doctor.footprint import Meter
from tutelage.tune.estimate import estimate_step
from tutelage.tune.room import largest_micro_batch, memory_words
from tutelage.tune.rows import Asked, Pair, why_unusable
from tutelage.tune.training.memory import _left_to_group, free_bytes

SECTION = TuneSection(method=LoraMethod(kind="lora", r=2), batch_size=2, checkpoint_every=0)


def document(tokens: int, targets: int = 4) -> Encoded:
    learned = np.zeros(tokens, dtype=np.bool_)
    learned[-targets:] = True
    return Encoded((np.arange(tokens, dtype=np.int32) * 7 + 3) % 250, learned)


def example(text: str) -> Example:
    messages = (user("Say it"), assistant(text))
    return Example(
        id=content_id(text),
        messages=messages,
        dimension="utility",
        lineage=Lineage(paradigm="expert", source="examples", author="a"),
    )


def test_the_largest_micro_batch_is_what_a_step_can_hold() -> None:
    rows = [document(100, 10), document(300, 20), document(50, 5)]
    small = SECTION.model_copy(update={"micro_batch_tokens": 120})
    assert largest_micro_batch(rows, small) == (300, 40), "a longer row is computed alone"
    assert largest_micro_batch(rows, SECTION) == (400, 40), "the two longest of a step"
    retained = SECTION.model_copy(update={"retention": RetentionSection(texts_a_step=2, tokens=30)})
    assert largest_micro_batch(rows, retained) == (460, 100)
    assert largest_micro_batch([Pair(rows[0], rows[1])], SECTION) == (400, 60)


def test_the_estimate_is_told_with_what_is_free_and_what_to_lower() -> None:
    bundle, rows = tiny_model(), [document(300, 20), document(100, 10)]
    found = estimate_step(bundle, SECTION, tokens=400, targets=40, longest=300)
    assert found is not None
    heads, copies = 4, 4
    assert found.scores == 4 * copies * (400 * heads * 256), "256 queries at once, float32"
    alone = estimate_step(bundle, SECTION, tokens=400, targets=40)
    assert alone is not None
    assert found.beside_weights - alone.beside_weights == found.scores
    fits = memory_words(bundle, rows, SECTION, free=10**9)
    assert f"about {found.beside_weights / 1e6:,.0f} MB beside the weights" in fits
    assert "for 400 tokens at once" in fits
    assert fits.endswith("; 1,000 MB are free")
    assert "lower tune.micro_batch_tokens (now 1,024)" in memory_words(bundle, rows, SECTION, free=1)
    assert "or set tune.activation_checkpointing: true, which" in memory_words(bundle, rows, SECTION, free=1)
    anew = SECTION.model_copy(update={"activation_checkpointing": True})
    assert "tune.activation_checkpointing" not in memory_words(bundle, rows, anew, free=1)
    single = SECTION.model_copy(update={"micro_batch_tokens": 64})
    assert "the longest row has 300 tokens" in memory_words(bundle, rows, single, free=1)
    full = SECTION.model_copy(update={"method": FullMethod(kind="full"), "max_tokens": 20})
    assert "take lora, which trains far less, or optimizer" in memory_words(bundle, [document(20)], full, free=1)
    light = full.model_copy(update={"optimizer": AdafactorOptimizer(kind="adafactor")})
    assert memory_words(bundle, [document(20)], light, free=1).endswith("take lora, which trains far less")
    deep = SECTION.model_copy(update={"method": LoraMethod(kind="lora", r=64), "max_tokens": 20})
    assert "tune.method.r" in memory_words(bundle, [document(20)], deep, free=1)
    assert memory_words(bundle, [document(2000)], SECTION) == "", "no row is trained on"
    other = SECTION.model_copy(update={"method": Ia3Method(kind="ia3")})
    assert memory_words(bundle, rows, other) == "what a step takes is not estimated for method ia3 on this model"


def test_all_answers_to_a_prompt_are_counted_and_rewards_have_no_logits() -> None:
    objective = GrpoObjective(kind="grpo", group=16, max_tokens=50)
    section = SECTION.model_copy(update={"objective": objective, "max_tokens": 1000, "batch_size": 1})
    asked = Asked(Encoded(np.zeros(40, dtype=np.int32), np.zeros(40, dtype=np.bool_)), Item.model_construct(id="a"))
    assert largest_micro_batch([asked], section) == (840, 800)
    deep = section.model_copy(update={"micro_batch_tokens": 100, "method": LoraMethod(kind="lora", r=1)})
    assert memory_words(tiny_model(), [asked], deep, free=1).endswith("lower tune.objective.group or its max_tokens")
    rewards = SECTION.model_copy(update={"objective": RewardObjective(kind="reward")})
    assert largest_micro_batch([Pair(document(100, 10), document(50, 5))], rewards) == (150, 0)


def test_free_memory_is_less_than_the_machine_has() -> None:
    free = free_bytes(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50


def test_what_is_left_to_a_container_by_hand(tmp_path: Path) -> None:
    assert _left_to_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    assert _left_to_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    assert _left_to_group(tmp_path) == 300
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\nactive_file 50\n")
    assert _left_to_group(tmp_path) == 450


def test_a_prompt_leaves_room_for_its_answer_in_the_context() -> None:
    objective = GrpoObjective(kind="grpo", max_tokens=100)
    section = SECTION.model_copy(update={"objective": objective, "max_tokens": 1000})
    item = Item.model_construct(id="a")
    asked = Asked(Encoded(np.zeros(300, dtype=np.int32), np.zeros(300, dtype=np.bool_)), item)
    assert why_unusable(asked, section, None) == ""
    assert why_unusable(asked, section, 400) == ""
    assert why_unusable(asked, section, 399) == "a prompt of 300 tokens; the longest answer leaves 299"


def with_learned_positions(context: int) -> Bundle:
    """GPT-2, which has no place for a token beyond its context, with the tokenizer of the tiny model."""
    bundle = tiny_model()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(bundle.tokenizer), n_positions=context, n_embd=32, n_layer=1, n_head=2, attn_pdrop=0.0
    )
    bundle.model = GPT2LMHeadModel(config)
    return bundle


def test_rows_beyond_learned_positions_are_dropped_by_name(tmp_path: Path) -> None:
    save_folder(with_learned_positions(48), tmp_path / "gpt2")
    rows = [example("It is said."), example("thanks " * 60), example("No.")]
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    section = SECTION.model_copy(update={"method": FullMethod(kind="full")})
    summary = tune(
        rows, out=tmp_path / "out", model=ModelSection(id=str(tmp_path / "gpt2")), section=section, emit=listen
    )
    assert summary.rows == 2
    assert all(map(math.isfinite, summary.losses))
    dropped = (tmp_path / "out" / "dropped.jsonl").read_text()
    assert "tokens; the model's context is 48" in dropped
    assert '"kept": 2' in (tmp_path / "out" / "ledger.json").read_text()
    with pytest.raises(TrainingError, match="the model's context is 48"):
        tune(rows[1:2], out=tmp_path / "none", model=ModelSection(id=str(tmp_path / "gpt2")), section=section)


def test_a_pair_beyond_the_context_says_which_answer() -> None:
    section = SECTION.model_copy(update={"objective": DpoObjective(kind="dpo")})
    assert why_unusable(Pair(document(10), document(40)), section, 32) == (
        "rejected: 40 tokens; the model's context is 32"
    )


def test_tuning_tells_its_memory(tmp_path: Path) -> None:
    notes: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(str(event.data["text"]))

    tune([example("It is said.")], out=tmp_path, model="tiny", section=SECTION, emit=listen)
    place = next(index for index, text in enumerate(notes) if "weights are trained" in text)
    assert notes[place + 1].startswith("a step takes about ")


def peak_of_a_step(tokens: int, folder: Path) -> int | None:
    """Bytes by which a step on one row of ``tokens`` tokens raises the memory in use; None: nobody tells."""
    bundle = tiny_model()
    bundle.model.config.max_position_embeddings = tokens
    section = SECTION.model_copy(update={"max_tokens": tokens})
    meter = Meter(bundle.model.device)
    news = list(train(bundle, [document(tokens, 64)], section, folder=folder, seed=0))
    losses = [one.loss for one in news if isinstance(one, Step)]
    assert len(losses) == 1
    assert all(map(math.isfinite, losses))
    return meter.peak()


@pytest.mark.slow
def test_a_row_of_16k_tokens_trains_in_memory_that_grows_with_its_length(tmp_path: Path) -> None:
    peak_of_a_step(64, tmp_path / "warm")  # what is allocated once
    half, whole = (peak_of_a_step(tokens, tmp_path / str(tokens)) for tokens in (8192, 16384))
    if half is None or whole is None:
        pytest.skip("this system does not tell the peak of a part of a process's life")
    assert whole < 2.5 * half, f"{half / 1e6:.0f} MB and {whole / 1e6:.0f} MB"
