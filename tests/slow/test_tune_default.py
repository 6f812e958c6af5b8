"""Tuning the default model: packed logits, and a few steps of LoRA in its own arithmetic."""

from pathlib import Path

import pytest
import torch

from tutelage.models.load import Bundle, load_bundle
from tutelage.models.template import Encoded
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Started, Summary, train
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import pack

pytestmark = pytest.mark.slow

PAIRS = (
    ("Name three primary colors.", "The three primary colors are red, yellow and blue."),
    ("Write one sentence about rain, in lower case.", "the rain fell softly on the old roof all night."),
    ("Where does the Danube end?", "It ends in the Black Sea."),
    ("Repeat the word 'well' twelve times.", " ".join(["well"] * 12)),
)


def rows(bundle: Bundle) -> list[Encoded]:
    return [bundle.template.encode((user(question), assistant(answer))) for question, answer in PAIRS]


@pytest.mark.parametrize(("dtype", "largest", "mean"), [("float32", 1e-3, 1e-4), ("bfloat16", 2.0, 0.15)])
def test_packed_logits_are_unpacked_logits(dtype: str, largest: float, mean: float) -> None:
    bundle = load_bundle("default", dtype=dtype, device="cpu")
    packed = pack(rows(bundle), torch.device("cpu"))
    with torch.no_grad():
        alone = []
        for row in rows(bundle):
            one = pack([row], torch.device("cpu"))
            alone.append(bundle.model(input_ids=one.ids).logits[0, one.sources])
        expected = torch.cat(alone).float()
        with connect(bundle.model) as network:
            found = network.logits(packed).float()
    difference = (found - expected).abs()
    print(
        f"{dtype}: largest {difference.max():.3g}, mean {difference.mean():.3g}, logits' deviation {expected.std():.3g}"
    )
    assert (network.backend, network.head is not None) == ("documents", True)
    assert difference.max() <= largest
    assert difference.mean() <= mean


def test_a_few_steps_in_the_models_own_arithmetic(tmp_path: Path) -> None:
    bundle = load_bundle("default", device="cpu")
    section = TuneSection(
        method=LoraMethod(kind="lora", r=8),
        optimizer=AdamWOptimizer(kind="adamw", lr=1e-3),
        batch_size=4,
        epochs=4,
        checkpoint_every=2,
    )
    news = train(bundle, rows(bundle), section, folder=tmp_path, seed=0)
    for _ in range(4):  # started, two steps, saved
        last = next(news)
    news.close()
    assert last.kind == "saved"
    started, *_, summary = train(bundle, rows(bundle), section, folder=tmp_path, seed=0)
    assert isinstance(started, Started)
    assert isinstance(summary, Summary)
    assert started.resumed_from == 2
    assert summary.losses[3] < summary.losses[0] - 0.1
    assert summary.reload_difference == 0.0
    again = load_bundle("default", device="cpu", adapter=tmp_path / "weights")
    packed = pack(rows(bundle), torch.device("cpu"))
    with torch.no_grad(), connect(again.model) as network:
        assert network.predict(packed).token_losses().mean().item() < summary.losses[3] + 0.05
