"""Tuning as a whole on the tiny model: it learns, survives kills and bad input, and leaves nothing half-written."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from support.forked import kill_at
from tutelage.errors import ModelError, RunError, StorageError, TrainingError
from tutelage.models.adapters import add_adapter
from tutelage.models.load import Bundle, load_bundle
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.methods import DoraMethod, LastMethod
from tutelage.recipe.objectives import DpoObjective, KdObjective, KtoObjective, RewardObjective, SftObjective
from tutelage.recipe.tune import AdamWOptimizer, FullMethod, LoraMethod, RetentionSection, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Prepared, Progress, Saved, Started, Step, Summary, train
from tutelage.tune.methods import build_method
from tutelage.tune.objectives import Sft
from tutelage.tune.rows import Pair, Rated, Row
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import Packed, pack
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.step import Batch, accumulate

SECTION = TuneSection(
    method=LoraMethod(kind="lora", r=8, dropout=0.1),
    optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
    batch_size=2,
    epochs=3,
    checkpoint_every=2,
    max_tokens=200,
    micro_batch_tokens=64,
)
SECTIONS = {
    "rows alone": SECTION,
    "with retention": SECTION.model_copy(update={"retention": RetentionSection(texts=5, tokens=20)}),
    "dpo": SECTION.model_copy(update={"objective": DpoObjective(kind="dpo")}),
    "kd": SECTION.model_copy(update={"objective": KdObjective(kind="kd", teacher="tiny", top_k=5)}),
    "kto": SECTION.model_copy(update={"objective": KtoObjective(kind="kto", beta=1.0)}),
    "dora": SECTION.model_copy(update={"method": DoraMethod(kind="dora", r=4, dropout=0.1)}),
    "pissa": SECTION.model_copy(update={"method": LoraMethod(kind="lora", r=4, init="pissa")}),
    "last": SECTION.model_copy(update={"method": LastMethod(kind="last", layers=1)}),
    "reward": SECTION.model_copy(update={"objective": RewardObjective(kind="reward", center=0.01)}),
}
QUESTIONS = ("What is the name?", "Where is the river?", "Is it stated?", "Say thanks.", "Write a title.", "Why?")
ANSWERS = ("It is the river.", "In the garden.", "It is not stated.", "Thanks.", "<<The title>>", "I can not say.")


def rows(bundle: Bundle) -> list[Encoded]:
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return [bundle.template.encode((user(question), assistant(answer))) for question, answer in pairs]


def rows_for(section: TuneSection, bundle: Bundle) -> list[Row]:
    """The rows, as what the objective learns from: each answer is better than the next, and every other one wanted."""
    documents = rows(bundle)
    if section.objective.rows == "examples":
        return list(documents)
    if section.objective.rows == "unpaired":
        return [Rated(document, place % 2 == 0) for place, document in enumerate(documents)]
    others = [bundle.template.encode((user(q), assistant(a))) for q, a in zip(QUESTIONS, ANSWERS[::-1], strict=True)]
    return [Pair(document, other) for document, other in zip(documents, others, strict=True)]


def follow(folder: Path, section: TuneSection = SECTION, seed: int = 3) -> Iterator[Progress]:
    bundle = tiny_model()
    return train(bundle, rows_for(section, bundle), section, folder=folder, seed=seed)


def finish(folder: Path, section: TuneSection = SECTION) -> Summary:
    *_, summary = follow(folder, section)
    assert isinstance(summary, Summary)
    return summary


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", SECTIONS)
def test_a_killed_run_goes_on_and_gives_the_same(tmp_path: Path, name: str) -> None:
    whole = finish(tmp_path / "whole", SECTIONS[name])
    folder = tmp_path / "killed"
    kill_at(5, follow, folder=folder, section=SECTIONS[name])
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 5
    (folder / "checkpoints" / ".000006.abcd.partial").mkdir()  # what a kill inside the writing leaves

    *news, summary = follow(folder, SECTIONS[name])
    assert [item.resumed_from for item in news if isinstance(item, Started)] == [4]
    assert [item.step for item in news if isinstance(item, Step)] == list(range(5, 10))
    assert isinstance(summary, Summary)
    assert summary.losses == whole.losses
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [Step.from_json(line).loss for line in lines] == list(whole.losses)
    (file,) = (path.name for path in (folder / "weights").glob("*.safetensors"))
    weights = [path / "weights" / file for path in (folder, tmp_path / "whole")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_preference_is_learned_and_told(tmp_path: Path) -> None:
    section = SECTION.model_copy(
        update={
            "epochs": 20,
            "method": LoraMethod(kind="lora", r=8),
            "objective": DpoObjective(kind="dpo", beta=1.0),
            "optimizer": AdamWOptimizer(
                kind="adamw", lr=5e-3
            ),  # at more it goes to and fro, and rounding decides where
        }
    )
    *news, summary = follow(tmp_path, section)
    assert isinstance(summary, Summary)
    prepared = [(one.what, one.done, one.total) for one in news if isinstance(one, Prepared)]
    assert prepared[-1] == ("reference", 12, 12)
    assert summary.losses[0] == pytest.approx(np.log(2), rel=1e-5), "the policy is the reference yet"
    assert summary.losses[-1] < 0.3
    first, last = summary.told
    assert last["accuracy"] == 1
    assert last["margin"] > first["margin"]
    assert last["margin"] == pytest.approx(last["chosen"] - last["rejected"], rel=1e-5)


def test_a_folder_of_another_run_keeps_its_reference(tmp_path: Path) -> None:
    section = SECTIONS["dpo"]
    for news in follow(tmp_path, section):
        if isinstance(news, Saved):
            break
    kept = (tmp_path / "reference.json").read_bytes()
    with pytest.raises(RunError, match="this folder holds another tuning run"):
        finish(tmp_path, section.model_copy(update={"objective": DpoObjective(kind="dpo", beta=0.5)}))
    assert (tmp_path / "reference.json").read_bytes() == kept
    finish(tmp_path, section)
    assert not (tmp_path / "reference.json").exists()


def test_rows_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    bundle = tiny_model()
    for objective, section in ((SftObjective(kind="sft"), SECTIONS["dpo"]), (DpoObjective(kind="dpo"), SECTION)):
        wrong = section.model_copy(update={"objective": objective})
        with pytest.raises(TrainingError, match=f"the objective {objective.kind} learns from {objective.rows}"):
            list(train(bundle, rows_for(section, bundle), wrong, folder=tmp_path, seed=0))
    long = rows_for(SECTIONS["dpo"], bundle)
    with pytest.raises(TrainingError, match=r"the first: chosen: \d+ tokens; max_tokens is 5"):
        list(train(bundle, long, SECTIONS["dpo"].model_copy(update={"max_tokens": 5}), folder=tmp_path, seed=0))


def test_it_learns_and_counts(tmp_path: Path) -> None:
    section = SECTION.model_copy(update={"method": FullMethod(kind="full"), "epochs": 30})
    bundle = tiny_model()
    documents = rows(bundle)
    *_, summary = train(bundle, documents, section, folder=tmp_path, seed=0)
    assert isinstance(summary, Summary)
    assert np.mean(summary.losses[:3]) > 4
    assert np.mean(summary.losses[-3:]) < 1
    assert (summary.rows, summary.steps) == (6, 90)
    assert summary.total_tokens == 30 * sum(len(document) for document in documents)
    assert summary.target_tokens == 30 * sum(int(document.targets[1:].sum()) for document in documents)
    assert summary.trainable_parameters == summary.parameters
    assert summary.peak_rss_bytes > 2**27
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "summary.json", "weights"]
    again = load_bundle(str(tmp_path / "weights")).model
    packed = pack(documents, torch.device("cpu"))
    with torch.no_grad(), connect(again) as network:
        best = network.logits(packed).argmax(dim=-1)
    assert (best == packed.targets).float().mean() > 0.8


def test_an_adapter_loads_and_merges(tmp_path: Path) -> None:
    finish(tmp_path)
    ids = torch.arange(30)[None]
    with torch.no_grad():
        start = tiny_model().model(input_ids=ids).logits
        loaded = load_bundle("tiny", adapter=tmp_path / "weights").model(input_ids=ids).logits
        merged = add_adapter(tiny_model().model, tmp_path / "weights", merge=True)(input_ids=ids).logits
    assert (loaded - start).abs().max() > 0.01
    torch.testing.assert_close(loaded, merged, rtol=1e-3, atol=1e-4)


def test_a_finished_run_says_so_again(tmp_path: Path) -> None:
    summary = finish(tmp_path)
    before = (tmp_path / "weights" / "adapter_model.safetensors").stat().st_mtime_ns
    assert list(follow(tmp_path)) == [summary]
    assert (tmp_path / "weights" / "adapter_model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("finished", [True, False])
def test_the_folder_of_another_run_is_refused(tmp_path: Path, finished: bool) -> None:
    news = follow(tmp_path)
    if finished:
        list(news)
    else:
        next(item for item in news if isinstance(item, Saved))
        news.close()
    with pytest.raises(RunError, match="another tuning run"):
        list(follow(tmp_path, seed=4))
    more_often = SECTION.model_copy(update={"checkpoint_every": 1})
    assert isinstance(list(follow(tmp_path, more_often))[-1], Summary)


def test_rows_that_cannot_be_used_are_named_or_refused(tmp_path: Path) -> None:
    bundle = tiny_model()
    documents = rows(bundle)
    longest = max(len(document) for document in documents)
    section = SECTION.model_copy(update={"max_tokens": longest - 1, "epochs": 1})
    started, *_ = list(train(bundle, documents, section, folder=tmp_path / "some", seed=0))
    assert isinstance(started, Started)
    too_long = {
        n: f"{longest} tokens; max_tokens is {longest - 1}" for n, d in enumerate(documents) if len(d) == longest
    }
    assert started.dropped == too_long
    assert started.rows == len(documents) - len(too_long)

    with pytest.raises(TrainingError, match="no rows"):
        list(train(bundle, [], section, folder=tmp_path / "none", seed=0))
    tight = SECTION.model_copy(update={"max_tokens": 4})
    with pytest.raises(TrainingError, match=r"6 rows; the first: .* max_tokens is 4"):
        list(train(bundle, documents, tight, folder=tmp_path / "long", seed=0))


def test_a_loss_that_is_no_number_names_its_rows_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    ruinous = SECTION.model_copy(
        update={
            "method": FullMethod(kind="full"),
            "optimizer": AdamWOptimizer(kind="adamw", lr=1e30),
            "checkpoint_every": 1,
            "clip_norm": 0.0,
        }
    )
    news = follow(tmp_path, ruinous)
    with pytest.raises(TrainingError, match=r"step 2, rows .* is not finite") as caught:
        list(news)
    assert caught.value.exit_code == 7
    assert "learning rate" in str(caught.value)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["000001"]
    assert not (tmp_path / "weights").exists()


@contextmanager
def full_disk(max_bytes: int) -> Iterator[None]:
    """No file may grow beyond ``max_bytes``: the kernel refuses as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_in_words_and_the_run_goes_on_later(tmp_path: Path) -> None:
    whole = finish(tmp_path / "whole")
    folder = tmp_path / "full"
    news = follow(folder)
    assert next(item for item in news if isinstance(item, Saved)).step == 2
    with full_disk(20_000), pytest.raises(StorageError):
        list(news)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["000002"]
    assert finish(folder).losses == whole.losses


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    news = follow(tmp_path)
    next(item for item in news if isinstance(item, Saved))
    news.close()
    state = tmp_path / "checkpoints" / "000002" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(RunError, match="damaged"):
        list(follow(tmp_path))


@pytest.mark.parametrize("method", [LoraMethod(kind="lora", r=2), FullMethod(kind="full")])
def test_bfloat16_learns_as_float32_does(tmp_path: Path, method: LoraMethod | FullMethod) -> None:
    losses = []
    for dtype in ("float32", "bfloat16"):
        rate = AdamWOptimizer(kind="adamw", lr=1e-3)
        section = SECTION.model_copy(update={"dtype": dtype, "method": method, "optimizer": rate})
        losses.append(finish(tmp_path / dtype, section).losses)
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def hungry(network: Network) -> Network:
    """The network on an accelerator whose memory holds 40 tokens."""

    def hidden(packed: Packed, noise: Tensor | None = None) -> Tensor:
        if packed.ids.numel() > 40:
            raise torch.OutOfMemoryError("out of memory")
        return network.hidden(packed, noise)

    return replace(network, hidden=hidden)


def test_too_little_memory_halves_the_micro_batch_and_changes_nothing() -> None:
    bundle = tiny_model()
    documents = rows(bundle)
    assert max(len(document) for document in documents) <= 40 < sum(len(document) for document in documents)
    tuned = build_method(FullMethod(kind="full"))(bundle, 0)
    optimizer = Optimizer(tuned.parameters, AdamWOptimizer(kind="adamw"))
    found = []
    with connect(tuned.model) as network:
        for machine in (network, hungry(network)):
            batch = Batch(1, Sft(), range(6), documents)
            done = accumulate(machine, [batch], optimizer=optimizer, limit=1000, seed=0)
            found.append((done, optimizer.clip(0.0)))
            optimizer.discard()
        long = Encoded(ids=np.zeros(41, dtype=np.int32), targets=np.ones(41, dtype=bool))
        with pytest.raises(TrainingError, match="does not suffice for one row"):
            accumulate(hungry(network), [Batch(1, Sft(), [0], [long])], optimizer=optimizer, limit=1000, seed=0)
    (plain, plain_norm), (tight, tight_norm) = found
    assert (plain.micro_batches, plain.limit) == (1, 1000)
    assert tight.micro_batches > 1
    assert tight.limit < 1000
    assert tight.batches[0].loss == pytest.approx(plain.batches[0].loss, rel=1e-5)
    assert tight_norm == pytest.approx(plain_norm, rel=1e-4)


def test_a_limit_of_steps_cuts_the_last_epoch_and_ends_the_schedule(tmp_path: Path) -> None:
    whole, cut, loose = (
        list(follow(tmp_path / str(most), SECTION.model_copy(update={"max_steps": most}))) for most in (0, 5, 100)
    )
    steps = [[news for news in found if isinstance(news, Step)] for found in (whole, cut, loose)]
    assert [len(found) for found in steps] == [9, 5, 9]
    assert [step.epoch for step in steps[1]] == [1, 1, 1, 2, 2]
    assert [step.loss for step in steps[2]] == [step.loss for step in steps[0]]
    assert steps[1][-1].lr == pytest.approx(steps[0][-1].lr * 9 / 5), "both end one step before zero"


def test_names_of_layers_are_checked(tmp_path: Path) -> None:
    section = SECTION.model_copy(update={"method": LoraMethod(kind="lora", targets=("q_proj", "query"))})
    with pytest.raises(TrainingError, match=r"received query.*Choose among .*q_proj"):
        list(follow(tmp_path, section))


def test_two_runs_in_one_process_start_alike(tmp_path: Path) -> None:
    bundle = tiny_model()
    first = list(train(bundle, rows(bundle), SECTION, folder=tmp_path / "1", seed=3))[-1]
    second = list(train(bundle, rows(bundle), SECTION, folder=tmp_path / "2", seed=3))[-1]
    assert isinstance(first, Summary)
    assert isinstance(second, Summary)
    assert first.losses == second.losses


def test_merging_what_does_not_compute_is_refused(tmp_path: Path) -> None:
    finish(tmp_path)
    model = tiny_model().model
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight.fill_(float("inf"))
    with pytest.raises(ModelError, match="merg"):
        add_adapter(model, tmp_path / "weights", merge=True)
