"""Distillation of logits as a whole on the tiny model: beside the teacher and from what it said before."""

from pathlib import Path

import pytest
import torch

from tutelage.errors import ModelError, RunError
from tutelage.models.load import Bundle
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import KdObjective, Objective, Part, SftObjective, SumObjective
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, FullMethod, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Prepared, Progress, Step, Summary, train

KD = KdObjective(kind="kd", teacher="knowing")
SFT = SftObjective(kind="sft")


def knowing(section: KdObjective) -> Bundle:
    """The tiny model with opinions."""
    assert section.teacher == "knowing"
    bundle = tiny_model()
    with torch.no_grad():
        bundle.model.model.norm.weight.mul_(15)
    return bundle


def section(objective: Objective, steps: int) -> TuneSection:
    return TuneSection(
        objective=objective,
        method=FullMethod(kind="full"),  # the teacher's norm is what differs, and adapters leave norms alone
        optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
        schedule=ConstantSchedule(kind="constant"),
        batch_size=3,
        epochs=99,
        max_steps=steps,
        micro_batch_tokens=48,
    )


def documents(bundle: Bundle) -> list[Encoded]:
    words = ("garden", "river", "name", "passage", "answer", "title")
    return [bundle.template.encode((user(f"Say {word}."), assistant(f"The {word} " * 3))) for word in words]


def follow(folder: Path, objective: Objective, steps: int) -> list[Progress]:
    bundle = tiny_model()
    return list(
        train(bundle, documents(bundle), section(objective, steps), folder=folder, seed=0, open_teacher=knowing)
    )


def losses(news: list[Progress]) -> list[float]:
    return [step.loss for step in news if isinstance(step, Step)]


def plain(divergence: str) -> float:
    """The divergence at the start over all targets of the rows, from full logits."""
    student, teacher = tiny_model(), knowing(KD)
    values = []
    for document in documents(student):
        ids = torch.tensor(document.ids)[None].long()
        with torch.no_grad():
            s, t = (b.model(input_ids=ids).logits[0, :-1].double().log_softmax(-1) for b in (student, teacher))
        at = torch.tensor(document.targets[1:])
        s, t = s[at], t[at]
        m = torch.log((s.exp() + t.exp()) / 2)
        values.append(
            {
                "forward": (t.exp() * (t - s)).sum(-1),
                "reverse": (s.exp() * (s - t)).sum(-1),
                "jsd": ((t.exp() * (t - m)).sum(-1) + (s.exp() * (s - m)).sum(-1)) / 2,
            }[divergence]
        )
    return torch.cat(values).mean().item()


@pytest.mark.parametrize("divergence", ["forward", "reverse", "jsd"])
def test_the_student_comes_nearer(tmp_path: Path, divergence: str) -> None:
    objective = KD.model_copy(update={"divergence": divergence})
    news = follow(tmp_path, objective, steps=60)
    found = losses(news)
    assert sum(found[:2]) / 2 == pytest.approx(plain(divergence), rel=0.2), "two steps are all rows, the second moved"
    assert found[-1] < 0.6 * found[0]


def test_the_first_loss_is_that_of_full_logits(tmp_path: Path) -> None:
    whole = section(KD, 1).model_copy(update={"batch_size": 6})
    bundle = tiny_model()
    *_, summary = train(bundle, documents(bundle), whole, folder=tmp_path, seed=0, open_teacher=knowing)
    assert isinstance(summary, Summary)
    assert summary.losses[0] == pytest.approx(plain("forward"), rel=1e-5)


def test_what_was_stored_is_what_the_teacher_says(tmp_path: Path) -> None:
    vocabulary = len(tiny_model().tokenizer)
    all_but_one = KD.model_copy(update={"top_k": vocabulary - 1})
    news = follow(tmp_path / "stored", all_but_one, steps=6)
    assert losses(news) == pytest.approx(losses(follow(tmp_path / "beside", KD, steps=6)), rel=2e-3)
    told = [(one.what, one.done, one.total) for one in news if isinstance(one, Prepared)]
    assert told == [("teacher", number, 6) for number in range(1, 7)]
    few = losses(follow(tmp_path / "few", KD.model_copy(update={"top_k": 4}), steps=6))
    assert few[0] < losses(news)[0], "a lower bound"


def test_a_teacher_that_has_spoken_is_needed_no_more(tmp_path: Path) -> None:
    stored = KD.model_copy(update={"top_k": 8})
    expected = losses(follow(tmp_path / "whole", stored, steps=6))
    bundle = tiny_model()
    news = train(bundle, documents(bundle), section(stored, 6), folder=tmp_path / "cut", seed=0, open_teacher=knowing)
    assert isinstance(next(one for one in news if isinstance(one, Step)), Step)
    news.close()  # type: ignore[attr-defined]

    def gone(section: KdObjective) -> Bundle:
        raise AssertionError("asked again")

    bundle = tiny_model()
    again = list(
        train(bundle, documents(bundle), section(stored, 6), folder=tmp_path / "cut", seed=0, open_teacher=gone)
    )
    assert losses(again) == expected
    (tmp_path / "cut" / "summary.json").unlink()
    (tmp_path / "cut" / "teacher.safetensors").write_bytes(b"{")
    bundle = tiny_model()
    with pytest.raises(RunError, match="what the teacher said is damaged"):
        list(train(bundle, documents(bundle), section(stored, 6), folder=tmp_path / "cut", seed=0, open_teacher=gone))


def test_a_sum_of_written_tokens_and_of_distributions(tmp_path: Path) -> None:
    both = SumObjective(kind="sum", parts=(Part(weight=0.25, objective=SFT), Part(weight=0.75, objective=KD)))
    found, sft, kd = (
        losses(follow(tmp_path / name, one, steps=1))[0] for name, one in (("sum", both), ("sft", SFT), ("kd", KD))
    )
    assert found == pytest.approx(0.25 * sft + 0.75 * kd, rel=1e-5)


def test_a_teacher_of_other_tokens_is_refused(tmp_path: Path) -> None:
    bundle = tiny_model()

    def other(section: KdObjective) -> Bundle:
        found = tiny_model()
        found.tokenizer.add_tokens(["<new>"])
        return found

    for objective in (KD, KD.model_copy(update={"top_k": 3})):
        with pytest.raises(ModelError, match=r"not the same tokens .*, 1 of which are others"):
            list(train(bundle, documents(bundle), section(objective, 1), folder=tmp_path, seed=0, open_teacher=other))
        bundle = tiny_model()
