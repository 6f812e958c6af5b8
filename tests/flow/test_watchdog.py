"""The watchdog: it stops what diverges, keeps the checkpoint from before, and changes no step of what does not."""

from pathlib import Path

import pytest

from tutelage.errors import TrainingError
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, FullMethod, TuneSection
from tutelage.recipe.watchdog import WatchdogSection
from tutelage.records import assistant, user
from tutelage.tune import Saved, Step, Summary, train
from tutelage.tune.training.watchdog import Watchdog

News = Step | Saved | Summary
WORDS = ("It is the river.", "In the garden.", "It is not stated.", "Thanks.", "The title.", "I can not say.")
WATCHED = WatchdogSection(rise=1.0, window=3, patience=4)
RUINOUS = TuneSection(
    method=FullMethod(kind="full"),
    optimizer=AdamWOptimizer(kind="adamw", lr=1.0),
    schedule=ConstantSchedule(kind="constant", warmup_share=0.5),
    batch_size=2,
    epochs=30,
    checkpoint_every=1,
    watchdog=WATCHED,
)
SOUND = RUINOUS.model_copy(update={"optimizer": AdamWOptimizer(kind="adamw", lr=1e-3), "epochs": 4})


def step(number: int, loss: float, norm: float = 1.0) -> Step:
    sizes = {"rows": 1, "tokens": 1, "target_tokens": 1, "micro_batches": 1}
    return Step(step=number, epoch=1, loss=loss, lr=1e-3, grad_norm=norm, seconds=0.1, **sizes)


def judged(losses: list[float], norms: list[float] | None = None, section: WatchdogSection = WATCHED) -> list[bool]:
    watchdog = Watchdog(section)
    pairs = zip(losses, norms or [1.0] * len(losses), strict=True)
    return [watchdog.look(step(number, *pair)) for number, pair in enumerate(pairs, start=1)]


def test_the_running_mean_is_held_to_its_best() -> None:
    # Means of three: 2, 2, 2 at best, then 2.7, 3.3 (more than 1 above), 3.7 and 2.7 again.
    calm = judged([2, 2, 2, 2, 2, 4, 4, 3, 1])
    assert calm == [True] * 6 + [False, False, True]


def test_noise_and_a_rising_loss_below_the_limit_are_no_divergence() -> None:
    assert all(judged([2, 4] * 30))
    assert all(judged([2 + 0.9 * (n / 60) for n in range(60)]))


def test_patience_ends_in_words() -> None:
    with pytest.raises(TrainingError, match=r"step 8: the training diverges: the loss .* is 9, and was 2 at best"):
        judged([2] * 4 + [9] * 20)
    with pytest.raises(TrainingError, match=r"norm is 500, 500 times .*up to step 6 is kept"):
        judged([2] * 20, [1.0] * 6 + [500.0] * 14)


def test_a_single_huge_gradient_is_left_to_clipping() -> None:
    norms = [1.0] * 6 + [1e6] * 3 + [1.0] * 6
    assert judged([2] * 15, norms) == [True] * 6 + [False] * 3 + [True] * 6


def follow(folder: Path, section: TuneSection, found: list[News] | None = None) -> list[News]:
    bundle = tiny_model()
    rows = [bundle.template.encode((user("Say it"), assistant(word))) for word in WORDS]
    found = [] if found is None else found
    for news in train(bundle, rows, section, folder=folder, seed=3):
        if isinstance(news, Step | Saved | Summary):
            found.append(news)
    return found


def test_a_ruinous_rate_is_stopped_with_the_checkpoint_from_before(tmp_path: Path) -> None:
    news: list[News] = []
    with pytest.raises(TrainingError, match=r"diverges.*tune\.optimizer\.lr"):
        follow(tmp_path, RUINOUS, news)
    assert not any(isinstance(one, Summary) for one in news), "it was stopped"
    steps = [one for one in news if isinstance(one, Step)]
    assert len(steps) < 90
    saved = [one.step for one in news if isinstance(one, Saved)]
    assert saved[-1] == len(steps) - WATCHED.patience
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"{saved[-1]:06d}"]
    assert not (tmp_path / "weights").exists()
    again: list[News] = []
    with pytest.raises(TrainingError, match="diverges"):
        follow(tmp_path, RUINOUS, again)
    assert [one.loss for one in again if isinstance(one, Step)] == [one.loss for one in steps[saved[-1] :]]


def test_it_changes_no_step_and_may_be_set_later(tmp_path: Path) -> None:
    alone = SOUND.model_copy(update={"watchdog": None})
    plain, watched = follow(tmp_path / "plain", alone), follow(tmp_path / "watched", SOUND)
    losses = [[one.loss for one in news if isinstance(one, Step)] for news in (plain, watched)]
    assert losses[0] == losses[1]
    assert isinstance(plain[-1], Summary)
    assert follow(tmp_path / "plain", SOUND) == [plain[-1]], "the same training, whoever watches"
