"""The operations that are foretold are those of the products that are called."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from support.trl_peer import words
from tutelage.models.tiny import tiny_model
from tutelage.recipe.methods import LastMethod
from tutelage.recipe.objectives import DpoObjective, KdObjective, RewardObjective, SftObjective
from tutelage.recipe.tune import FullMethod, LoraMethod, RetentionSection, TuneSection
from tutelage.records import assistant, user
from tutelage.tune import Started, Step, duration, train
from tutelage.tune.estimate import trained_weights
from tutelage.tune.rows import Pair, Row

OBJECTIVES = {
    "sft": SftObjective(kind="sft"),
    "dpo": DpoObjective(kind="dpo"),
    "reward": RewardObjective(kind="reward"),
}


def rows_of(kind: str) -> list[Row]:
    generator = torch.Generator().manual_seed(0)
    template = tiny_model().template

    def document(question: str) -> Any:
        return template.encode((user(question), assistant(words(generator, 12))), last=True)

    questions = [words(generator, 12) for _ in range(6)]
    return [document(one) if kind == "sft" else Pair(document(one), document(one)) for one in questions]


class Products(TorchDispatchMode):
    """Counts the operations of matrix products, batched ones (attention) apart, as they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = {torch.ops.aten.mm: 0, torch.ops.aten.addmm: 1, torch.ops.aten.addmm_: 1}.get(func.overloadpacket)
        if made is not None:
            (rows, inner), (_, columns) = args[made].shape, args[made + 1].shape
            self.total += 2 * rows * inner * columns
        return out


@pytest.mark.parametrize("anew", [False, True], ids=["kept", "anew"])
@pytest.mark.parametrize("method", [FullMethod(kind="full"), LoraMethod(kind="lora", r=4)], ids=["full", "lora"])
@pytest.mark.parametrize("kind", ["sft", "dpo", "reward"])
def test_operations_are_those_that_are_made(tmp_path: Path, kind: str, method: Any, anew: bool) -> None:
    objective = OBJECTIVES[kind]
    section = TuneSection(
        objective=objective, method=method, batch_size=1, max_steps=9, epochs=2, activation_checkpointing=anew
    )
    bundle, rows = tiny_model(), rows_of(kind)
    said = duration.operations_of(bundle, rows, section)
    news = train(bundle, rows, section, folder=tmp_path, seed=0)
    made = 0
    for one in news:
        if isinstance(one, Started):
            break
    for _ in range(9):
        with Products() as counter:
            assert isinstance(next(news), Step)
        made += counter.total
    news.close()
    # The first of two layers needs no gradient of what comes in, which is nothing beside thirty.
    assert said == pytest.approx(made, rel=0.12)


def test_a_part_of_many_rows_tells_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, rows = tiny_model(), rows_of("dpo")
    section = TuneSection(objective=DpoObjective(kind="dpo"), method=FullMethod(kind="full"), batch_size=2)
    whole = duration.operations_of(bundle, rows * 4, section)
    assert whole is not None
    assert whole == pytest.approx(4 * (duration.operations_of(bundle, rows, section) or 0))
    monkeypatch.setattr(duration, "READ", 12)  # every second one
    assert duration.operations_of(bundle, [row for row in rows for _ in (0, 1)] * 2, section) == pytest.approx(whole)


def test_what_is_over_in_a_moment_is_not_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, rows, section = tiny_model(), rows_of("sft"), TuneSection()
    assert duration.estimate_duration(bundle, rows, section) is None
    monkeypatch.setattr(duration, "WORTH_TELLING", 1.0)
    found = duration.estimate_duration(bundle, rows, section)
    assert found is not None
    assert found.operations == duration.operations_of(bundle, rows, section)
    assert 1e6 < found.second < 1e16
    assert found.seconds == found.operations / found.second
    last = TuneSection(method=LastMethod(kind="last"))
    assert duration.estimate_duration(bundle, rows, last) is None


def test_what_a_teacher_reads_or_a_student_writes_is_not_foretold() -> None:
    bundle, rows = tiny_model(), rows_of("sft")
    beside, stored = (KdObjective(kind="kd", teacher="tiny", top_k=top_k) for top_k in (None, 5))
    assert duration.operations_of(bundle, rows, TuneSection(objective=beside)) is None
    assert duration.operations_of(bundle, rows, TuneSection(objective=stored)) is not None


def test_texts_of_the_penalty_on_forgetting_are_counted() -> None:
    bundle, rows = tiny_model(), rows_of("sft")
    plain, held = (
        TuneSection(batch_size=2, retention=one) for one in (None, RetentionSection(texts_a_step=3, tokens=20))
    )
    more = (duration.operations_of(bundle, rows, held) or 0) - (duration.operations_of(bundle, rows, plain) or 0)
    per_token = 4 * 81920 + 6 * (trained_weights(bundle, plain) or 0) + 6 * 31104
    assert more == pytest.approx(plain.epochs * 3 * 3 * 20 * per_token)
