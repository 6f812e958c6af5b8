"""Every objective with every method on the tiny model: it trains, is saved, read again by plain PEFT or transformers,
merged, and answers."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from support.letters import Letters
from tutelage.completers.local import LocalCompleter
from tutelage.models.load import Bundle, load_reward, load_tuned
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.pipeline.asking import reward_of
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.methods import (
    DoraMethod,
    FullMethod,
    Ia3Method,
    LastMethod,
    LoraMethod,
    Method,
    saves_whole_model,
)
from tutelage.recipe.objectives import (
    DpoObjective,
    IpoObjective,
    KdAnswersObjective,
    KdObjective,
    KtoObjective,
    Objective,
    OrpoObjective,
    Part,
    RewardObjective,
    SftObjective,
    SimpoObjective,
    SumObjective,
)
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tune import AdamWOptimizer, TuneSection
from tutelage.records import Request, Sampling, assistant, user
from tutelage.tune import Step, Summary, train
from tutelage.tune.rows import Asked, Pair, Rated, Row

# PEFT asks transformers for an attribute that transformers has since renamed.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

METHODS: dict[str, Method] = {
    "lora": LoraMethod(kind="lora", r=4),
    "rslora": LoraMethod(kind="lora", r=4, rslora=True, dropout=0.1),
    "pissa": LoraMethod(kind="lora", r=4, init="pissa"),
    "olora": LoraMethod(kind="lora", r=4, init="olora", rslora=True),
    "dora": DoraMethod(kind="dora", r=4, dropout=0.1),
    "ia3": Ia3Method(kind="ia3"),
    "last": LastMethod(kind="last", layers=1),
    "full": FullMethod(kind="full"),
}
OBJECTIVES: dict[str, Objective] = {
    "sft": SftObjective(kind="sft"),
    "kd": KdObjective(kind="kd", teacher="other"),
    "kd_answers": KdAnswersObjective(kind="kd_answers"),
    "dpo": DpoObjective(kind="dpo"),
    "ipo": IpoObjective(kind="ipo"),
    "kto": KtoObjective(kind="kto"),
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
IDS = torch.arange(5, 45)[None]


def other(section: KdObjective) -> Bundle:
    return tiny_model(seed=1)


def rows_for(objective: Objective, bundle: Bundle) -> list[Row]:
    words = ("garden", "river", "name", "passage")
    good = [bundle.template.encode((user(f"Name a {word}."), assistant(f"The {word}."))) for word in words]
    bad = [bundle.template.encode((user(f"Name a {word}."), assistant("I can not help with it."))) for word in words]
    match objective.rows:
        case "examples":
            return list(good)
        case "pairs":
            return [Pair(chosen, rejected) for chosen, rejected in zip(good, bad, strict=True)]
        case _:
            return [Rated(good[0], True), Rated(bad[1], False), Rated(good[2], True), Rated(bad[3], False)]


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model.train(False)(input_ids=IDS).logits[0]


def test_none_is_left_out() -> None:
    for union, cases in ((Method, METHODS), (Objective, OBJECTIVES)):
        kinds = {get_args(section.model_fields["kind"].annotation)[0] for section in get_args(get_args(union)[0])}
        # one needs bitsandbytes (test_qlora.py), two are in no weight (test_soft_flow.py), of two objectives below
        others = {"qlora", "prefix", "prompt", "reward", "grpo"}
        assert kinds - others == {case.kind for case in cases.values()}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_trains_saves_and_comes_back(tmp_path: Path, objective: str, method: str) -> None:
    bundle = tiny_model()
    section = TuneSection(
        objective=OBJECTIVES[objective],
        method=METHODS[method],
        optimizer=AdamWOptimizer(kind="adamw", lr=1e-2 if method == "ia3" else 2e-3),
        batch_size=4,
        epochs=3,
        checkpoint_every=0,
    )
    rows = rows_for(section.objective, bundle)
    *news, summary = train(bundle, rows, section, folder=tmp_path, seed=0, open_teacher=other)
    assert isinstance(summary, Summary)
    assert len([step for step in news if isinstance(step, Step)]) == 3
    assert summary.losses[-1] != summary.losses[0]
    assert summary.reload_difference == 0.0
    weights, start = tmp_path / "weights", logits(tiny_model().model)
    if saves_whole_model(section.method):
        expected = logits(AutoModelForCausalLM.from_pretrained(weights))
        assert torch.equal(expected, logits(bundle.model))
    else:
        assert torch.equal(logits(bundle.model), start), "the base is as it came"
        with quiet():
            expected = logits(PeftModel.from_pretrained(tiny_model().model, str(weights)))
    assert (expected - start).abs().max() > 1e-4, "something was learned"
    for merge in (False, True):
        found = logits(load_tuned("tiny", weights, merge=merge).model)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


REWARDED = ("lora", "rslora", "dora", "ia3", "full")


@pytest.mark.parametrize("method", REWARDED)
def test_a_reward_model_comes_back_with_its_head(tmp_path: Path, method: str) -> None:
    objective = RewardObjective(kind="reward")
    section = TuneSection(
        objective=objective,
        method=METHODS[method],
        optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
        batch_size=4,
        epochs=8,
        checkpoint_every=0,
    )
    bundle = tiny_model()
    rows = rows_for(objective, bundle)
    *_, summary = train(bundle, rows, section, folder=tmp_path, seed=0)
    assert isinstance(summary, Summary)
    assert summary.reload_difference == 0.0
    assert summary.losses[-1] < summary.losses[0]
    judge = load_reward(tmp_path / "weights", "tiny").model
    for row in rows:
        assert isinstance(row, Pair)
        chosen, rejected = (
            judge(input_ids=torch.as_tensor(document.ids, dtype=torch.int64)[None]).logits.item()
            for document in (row.chosen, row.rejected)
        )
        assert chosen > rejected


@pytest.mark.parametrize("method", sorted(METHODS.keys() - set(REWARDED)))
def test_a_method_without_a_head_is_refused_by_name(method: str) -> None:
    with pytest.raises(ValidationError, match=f"method: {METHODS[method].kind} trains no head for rewards"):
        TuneSection(objective=RewardObjective(kind="reward"), method=METHODS[method])


@pytest.mark.parametrize("method", METHODS)
def test_answers_are_sampled_from_what_is_trained(tmp_path: Path, method: str) -> None:
    bundle, task = tiny_model(), Letters()
    section = TuneSection(
        objective=GrpoObjective(kind="grpo", group=4, max_tokens=8, kl=0.05),
        method=METHODS[method],
        optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
        batch_size=2,
        max_steps=3,
        checkpoint_every=0,
    )
    rows = []
    for item in task.items("train", "basic", 6, 0):
        ids = np.asarray(bundle.template.encode_prompt(item.messages), dtype=np.int32)
        rows.append(Asked(Encoded(ids, np.zeros(len(ids), dtype=np.bool_)), item))
    *news, summary = train(bundle, rows, section, folder=tmp_path, seed=0, reward=reward_of({task.name: task}))
    assert isinstance(summary, Summary)
    assert summary.reload_difference == 0.0
    steps = [step for step in news if isinstance(step, Step)]
    assert len(steps) == 3
    assert all(step.told["gap"] < 1e-5 for step in steps), "sampler and trainer are one model"
    assert steps[0].told["kl"] == pytest.approx(0, abs=1e-6)
    assert steps[2].told["kl"] > steps[0].told["kl"], "the model has moved"


@pytest.mark.parametrize("method", [PrefixMethod(kind="prefix"), PromptMethod(kind="prompt")])
def test_virtual_tokens_are_not_sampled_with(method: Method) -> None:
    with pytest.raises(ValidationError, match=f"method: {method.kind} is in no weight"):
        TuneSection(objective=GrpoObjective(kind="grpo"), method=method)


@pytest.mark.parametrize("method", METHODS)
def test_the_engine_that_scores_answers_as_plain_transformers_does(tmp_path: Path, method: str) -> None:
    bundle = tiny_model()
    question = (user("Name a river."),)
    section = TuneSection(
        method=METHODS[method],
        optimizer=AdamWOptimizer(kind="adamw", lr=0.1 if method == "ia3" else 1e-2),
        batch_size=1,
        epochs=30,
        checkpoint_every=0,
    )
    document = bundle.template.encode((*question, assistant("The garden of the answer.")))
    *_, summary = train(bundle, [document], section, folder=tmp_path, seed=0)
    assert isinstance(summary, Summary)
    assert summary.losses[-1] < summary.losses[0] - 0.2
    request = Request(id="one", messages=question, sampling=Sampling(temperature=0.0, max_tokens=12))
    with LocalCompleter(load_tuned("tiny", tmp_path / "weights", merge=True)) as completer:
        (found,) = completer.complete([request])
    with quiet():
        if saves_whole_model(section.method):
            plain = AutoModelForCausalLM.from_pretrained(tmp_path / "weights")
        else:
            plain = PeftModel.from_pretrained(tiny_model().model, str(tmp_path / "weights"))
        begun = torch.as_tensor(document.ids[: int(document.targets.argmax())], dtype=torch.int64)[None]
        ids = plain.eval().generate(input_ids=begun, max_new_tokens=12, do_sample=False)[0, begun.shape[1] :]
    assert found.text == bundle.tokenizer.decode(ids, skip_special_tokens=True)
    assert found.text
