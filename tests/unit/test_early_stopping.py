"""When a training ends and which of its weights are kept: the rule by hand and beside a peer, the log, refusals."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from transformers import EarlyStoppingCallback, TrainerControl, TrainerState, TrainingArguments

from support.letters import Letters
from tutelage.errors import RunError, TrainingError
from tutelage.models.tiny import tiny_model
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.recipe.tune import AdamWOptimizer, LoraMethod, TuneSection
from tutelage.records import Answer, Item, Verdict, assistant, user
from tutelage.records.jsonl import read_records
from tutelage.seeds import stream
from tutelage.tune import Look, Probe, Reward, Stopping, train
from tutelage.tune.methods import build_method
from tutelage.tune.probing import Prober, Scores
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.processes import Processes
from tutelage.tune.training.stopping import FILE, Looks, Patience


def heard(scores: Sequence[float], *, patience: int, min_delta: float = 0.0) -> tuple[int, int]:
    """After how many scores it is over, and which is the best of them."""
    rule = Patience(patience, min_delta)
    for number, score in enumerate(scores, start=1):
        rule.hear(score)
        if rule.is_over:
            return number, rule.best
    return len(scores), rule.best


@pytest.mark.parametrize(
    ("scores", "patience", "min_delta", "ends", "best"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, 0.0, 4, 3),  # it rises to the end
        ([0.5, 0.4, 0.3, 0.2], 2, 0.0, 3, 0),  # the start was best
        ([0.1, 0.4, 0.4, 0.4, 0.4], 3, 0.0, 5, 1),  # an equal score is no rise, and the earliest is kept
        ([0.1, 0.4, 0.3, 0.5, 0.3, 0.2, 0.9], 2, 0.0, 6, 3),  # a rise begins the count anew; 0.9 is never seen
        ([0.5, 0.6, 0.7, 0.8], 1, 0.1, 4, 3),  # just enough, though 0.6 - 0.5 < 0.1 in floating point
        ([0.50, 0.54, 0.58, 0.62, 0.63], 3, 0.1, 5, 4),  # slow, and counted once it is 0.1 above the last that was
        ([0.50, 0.54, 0.58, 0.59, 0.9], 3, 0.1, 4, 3),  # too slow; the highest is kept although it did not count
        ([0.0, 0.0], 1, 0.0, 2, 0),  # a first score of 0 is one
    ],
)
def test_the_rule(scores: list[float], patience: int, min_delta: float, ends: int, best: int) -> None:
    assert heard(scores, patience=patience, min_delta=min_delta) == (ends, best)


def test_any_rise_counts_as_it_does_in_transformers(tmp_path: Path) -> None:
    """Its callback compares with the best of all, which is ours where any rise counts."""
    arguments = TrainingArguments(
        output_dir=str(tmp_path), eval_strategy="steps", metric_for_best_model="score", greater_is_better=True
    )
    arguments.load_best_model_at_end = True  # what the callback asks for; nothing is trained
    draw = stream(5, "scores")
    for _ in range(200):
        patience, scores = draw.randint(1, 4), [draw.randint(0, 6) / 6 for _ in range(12)]
        peer, control, state = EarlyStoppingCallback(patience), TrainerControl(), TrainerState()
        ends, best = len(scores), None
        for number, score in enumerate(scores, start=1):
            peer.on_evaluate(arguments, state, control, {"eval_score": score})
            if state.best_metric is None or score > state.best_metric:
                state.best_metric, best = score, number - 1
            if control.should_training_stop:
                ends = number
                break
        assert heard(scores, patience=patience) == (ends, best)


class Weights:
    """A weight that counts the steps, and the looks at it."""

    def __init__(self, folder: Path, scores: Sequence[float], *, run: str = "run") -> None:
        self.folder, self.scores, self.run = folder, scores, run
        self.weight = nn.Parameter(torch.zeros(3, 2))
        self.optimizer = Optimizer({"weight": self.weight}, AdamWOptimizer(kind="adamw"))
        self.asked = 0

    def looks(self, made: int = 0, *, steps: int = 10, patience: int = 9) -> Looks:
        section = EarlyStoppingSection(every=2, patience=patience)
        self.to(made)
        return Looks(section, self.folder, fingerprint=self.run, steps=steps, made=made, ask=self._ask)

    def to(self, step: int) -> None:
        self.optimizer.take({"weight": torch.full((3, 2), float(step))})

    def follow(self, looks: Looks, *steps: int) -> list[Look]:
        found: list[Look] = []
        for step in steps:
            self.to(step)
            found += looks.after(step, self.optimizer)
        return found

    @property
    def places(self) -> list[str]:
        return sorted(place.name for place in (self.folder / "best").glob("*"))

    def _ask(self) -> Scores:
        self.asked += 1
        score = self.scores[int(self.weight[0, 0].item())]
        return Scores(score=score, answers=4, unscored=1, ended=0.5, seconds=0.25)


SCORES = [0.2, 0.0, 0.6, 0.0, 0.4, 0.0, 0.6, 0.0, 0.9, 0.1, 0.3]


def test_looks_are_logged_and_the_best_weights_are_kept(tmp_path: Path) -> None:
    weights = Weights(tmp_path, SCORES)
    looks = weights.looks(steps=9)
    found = weights.follow(looks, *range(10))
    assert [look.step for look in found] == [0, 2, 4, 6, 8, 9], "every second step, the start and the last one"
    assert [look.best for look in found] == [0, 2, 2, 2, 8, 8]
    assert [look.score for look in found] == [0.2, 0.6, 0.4, 0.6, 0.9, 0.1]
    assert read_records(tmp_path / FILE, Look) == found
    assert weights.places == ["000008-run"]
    stopping = looks.put_back(weights.optimizer, 9)
    assert stopping == Stopping(kept=8, score=0.9, planned=9, why="steps", looks=tuple(found))
    assert weights.weight.tolist() == [[8.0, 8.0]] * 3


@pytest.mark.parametrize("made", [0, 1, 3, 5, 7])
def test_what_was_seen_before_a_kill_is_not_asked_again(tmp_path: Path, made: int) -> None:
    first = Weights(tmp_path, SCORES)
    before = first.follow(first.looks(), *range(9))
    again = Weights(tmp_path, [score / 2 for score in SCORES])  # would be told apart
    again.scores = [*again.scores[:10], 1.0]
    looks = again.looks(made)
    assert again.places == ["000008-run"], "the weights of the log's best look, not of the checkpoint's"
    after = again.follow(looks, *range(made + 1 if made else 0, 10))
    assert after == [look for look in before if look.step > made or not made]
    assert again.asked == 0
    assert again.places == ["000008-run"]
    again.follow(looks, 10)
    assert again.asked == 1
    stopping = looks.put_back(again.optimizer, 10)
    assert stopping is not None
    assert (stopping.kept, stopping.score) == (10, 1.0)
    assert stopping.looks[:-1] == tuple(before)


def test_weights_whose_look_was_cut_off_are_made_anew(tmp_path: Path) -> None:
    """A kill between the weights and the line of the log: both places are there, and one look."""
    first = Weights(tmp_path, SCORES)
    looks = first.looks()
    first.follow(looks, 0)
    shutil.copytree(tmp_path / "best" / "000000-run", tmp_path / "aside")
    first.follow(looks, 1, 2)
    lines = (tmp_path / FILE).read_text().splitlines(keepends=True)
    (tmp_path / FILE).write_text(lines[0] + lines[1][:30])
    shutil.copytree(tmp_path / "aside", tmp_path / "best" / "000000-run")
    (tmp_path / "best" / ".000004-run.12345678.partial").mkdir()
    again = Weights(tmp_path, SCORES)
    looks = again.looks(1)
    assert again.places == ["000000-run"]
    assert [look.best for look in again.follow(looks, 2)] == [2]
    assert again.places == ["000002-run"]
    assert (tmp_path / FILE).read_text() == "".join(lines)


def test_what_is_not_there_is_missed_before_the_first_step(tmp_path: Path) -> None:
    weights = Weights(tmp_path, SCORES)
    weights.follow(weights.looks(), 0, 1, 2, 3, 4)
    (tmp_path / "best" / "000002-run" / "weights.safetensors").write_bytes(b"torn")
    looks = weights.looks(4)
    with pytest.raises(RunError, match="the best weights are damaged"):
        looks.put_back(weights.optimizer, 4)
    (tmp_path / "best" / "000002-run" / "weights.safetensors").unlink()
    (tmp_path / "best" / "000002-run").rmdir()
    with pytest.raises(RunError, match="the best weights are gone"):
        weights.looks(4)
    (tmp_path / FILE).unlink()
    with pytest.raises(RunError, match="a look from before the checkpoint is not there"):
        weights.looks(4)


def test_weights_of_another_training_are_not_taken_for_ones_own(tmp_path: Path) -> None:
    other = Weights(tmp_path, [0.9] * 11, run="other")
    other.follow(other.looks(), 0)
    own = Weights(tmp_path, SCORES)
    own.follow(own.looks(), 0)
    assert own.places == ["000000-run"]
    assert [look.run for look in read_records(tmp_path / FILE, Look)] == ["run"]


def test_the_loop_is_told_when_to_end(tmp_path: Path) -> None:
    weights = Weights(tmp_path, [0.5, 0, 0.4, 0, 0.3, 0, 0.9, 0, 0, 0, 0])
    looks = weights.looks(patience=2)
    weights.follow(looks, 0, 1, 2, 3)
    assert looks.go_on(3)
    weights.follow(looks, 4)
    assert not looks.go_on(4)
    assert looks.put_back(weights.optimizer, 4) == Stopping(
        kept=0, score=0.5, planned=10, why="patience", looks=tuple(read_records(tmp_path / FILE, Look))
    )
    assert weights.weight.tolist() == [[0.0, 0.0]] * 3
    alone = Looks(None, tmp_path, fingerprint="run", steps=3, made=0, ask=None)
    assert [alone.go_on(step) for step in range(4)] == [True, True, True, False]
    assert list(alone.after(0, weights.optimizer)) == []
    assert alone.put_back(weights.optimizer, 3) is None


Answers = Callable[[Sequence[Item], Sequence[Answer]], Sequence[Verdict]]


def prober(score: Answers, items: Sequence[Item], **section: int) -> Prober:
    bundle = tiny_model()
    tuned = build_method(LoraMethod(kind="lora"))(bundle, 0)
    probe = Probe(items, Reward(score))
    return Prober(bundle, tuned, probe, EarlyStoppingSection(**section))


def test_the_score_is_the_mean_over_cells_of_what_has_a_score() -> None:
    basic = Letters().items("probe", "basic", 3, 0)
    hard = [item.model_copy(update={"id": f"hard {item.id}", "level": "expert"}) for item in basic[:2]]
    given = [1.0, 0.5, None, 0.0, None]

    def score(items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        assert [answer.request_id for answer in answers] == [item.id for item in items]
        return [Verdict(score=value, reason="So it is.") for value in given]

    found = prober(score, [*basic, *hard], max_tokens=3)()
    assert found.score == pytest.approx((0.75 + 0.0) / 2)
    assert (found.answers, found.unscored) == (5, 2)


def test_answers_are_greedy_and_those_of_the_engine_that_scores() -> None:
    """The same texts as plain greedy decoding by the model's own forward pass."""
    items, seen = Letters().items("probe", "basic", 3, 0), []

    def score(items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        seen.append([answer.text for answer in answers])
        return [Verdict(score=1.0)] * len(items)

    ask = prober(score, items, max_tokens=6, answers_at_once=2)
    ask()
    ask()
    bundle = tiny_model()
    expected = []
    for item in items:
        ids = bundle.template.encode_prompt(item.messages)
        written: list[int] = []
        with torch.no_grad():
            while len(written) < 6:
                token = int(bundle.model(input_ids=torch.tensor([ids + written])).logits[0, -1].argmax())
                if token in bundle.template.end_ids:
                    break
                written.append(token)
        expected.append(bundle.tokenizer.decode(written))
    assert seen == [expected, expected]


def test_where_nothing_has_a_score_there_is_none() -> None:
    def score(items: Sequence[Item], answers: Sequence[Answer]) -> list[Verdict]:
        return [Verdict(score=None, reason="The judge is ill.")] * len(items)

    ask = prober(score, Letters().items("probe", "basic", 2, 0), max_tokens=2)
    with pytest.raises(TrainingError, match=r"no answer to the probe items could be scored.*The judge is ill"):
        ask()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"objective": {"kind": "reward"}}, "a reward model writes no answers"),
        ({"method": {"kind": "prefix"}}, "prefix is in no weight of the model that early_stopping samples from"),
        ({"method": {"kind": "prompt"}}, "prompt is in no weight of the model that early_stopping samples from"),
        ({"early_stopping": {"patience": 0}}, "greater than or equal to 1"),
        ({"early_stopping": {"every": 0}}, "greater than or equal to 1"),
        ({"early_stopping": {"min_delta": 2}}, "less than or equal to 1"),
        ({"early_stopping": {"levels": []}}, "at least 1 item"),
    ],
)
def test_what_a_section_cannot_ask_for(more: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TuneSection.model_validate({"early_stopping": {}, **more})


def test_what_train_refuses(tmp_path: Path) -> None:
    bundle = tiny_model()
    rows = [bundle.template.encode((user("Say it"), assistant(word))) for word in ("Yes.", "No.")]
    section = TuneSection(early_stopping=EarlyStoppingSection())
    with pytest.raises(TrainingError, match="nothing is there to ask the model while it is tuned"):
        list(train(bundle, rows, section, folder=tmp_path, seed=0))
    with pytest.raises(TrainingError, match="early stopping runs in one process"):
        list(train(bundle, rows, section, folder=tmp_path, seed=0, processes=Processes(0, 2)))
    assert list(tmp_path.iterdir()) == []
