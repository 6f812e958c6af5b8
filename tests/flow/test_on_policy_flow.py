"""On-policy distillation as a whole on the tiny model: it learns from its own answers, and these are kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from support.forked import kill_at
from tutelage.errors import RecipeError, TrainingError
from tutelage.models.load import Bundle
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.load import parse_recipe
from tutelage.recipe.objectives import KdObjective, Objective, Part, SftObjective, SumObjective
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, FullMethod, LoraMethod, TuneSection
from tutelage.records import assistant, user
from tutelage.records.jsonl import read_records
from tutelage.tune import Progress, Started, Step, Summary, train
from tutelage.tune.own_answers import prompt_of
from tutelage.tune.reference import key_of
from tutelage.tune.rollouts import FILE, Sampled
from tutelage.tune.sampling import behind
from tutelage.tune.training.processes import Processes

KD = KdObjective(kind="kd", teacher="knowing", on_policy=1.0, answer_tokens=12)
WORDS = ("garden", "river", "name", "passage", "answer", "title")
SECTION = TuneSection(
    objective=KD,
    method=FullMethod(kind="full"),
    optimizer=AdamWOptimizer(kind="adamw", lr=1e-2),
    schedule=ConstantSchedule(kind="constant"),
    batch_size=3,
    epochs=99,
    max_steps=7,
    micro_batch_tokens=48,
    checkpoint_every=2,
)


def with_kd(steps: int = 1, method: FullMethod | LoraMethod | None = None, **more: object) -> TuneSection:
    changed = {"objective": KD.model_copy(update=more), "max_steps": steps, "method": method or SECTION.method}
    return SECTION.model_copy(update=changed)


KILLED_SECTIONS = {
    "full": with_kd(7, on_policy=0.6, answer_temperature=0.8),
    "lora": with_kd(7, LoraMethod(kind="lora", r=4, dropout=0.1), on_policy=0.6),
}


def knowing(section: KdObjective) -> Bundle:
    """The tiny model with opinions."""
    bundle = tiny_model()
    with torch.no_grad():
        bundle.model.model.norm.weight.mul_(4)
    return bundle


def documents(words: tuple[str, ...] = WORDS) -> list[Encoded]:
    template = tiny_model().template
    return [template.encode((user(f"Say {word}."), assistant(f"The {word} " * 3))) for word in words]


def follow(folder: Path, section: TuneSection = SECTION, rows: list[Encoded] | None = None) -> Iterator[Progress]:
    return train(tiny_model(), rows or documents(), section, folder=folder, seed=3, open_teacher=knowing)


def finish(folder: Path, section: TuneSection = SECTION) -> Summary:
    *_, summary = follow(folder, section)
    assert isinstance(summary, Summary)
    return summary


def steps_of(folder: Path) -> list[Step]:
    return [Step.from_json(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def plain(student: Bundle, rows: list[Encoded], divergence: str = "forward") -> float:
    """The divergence to the teacher over all targets of ``rows``, from full logits in float64; β of jsd is 0.3."""
    teacher, values = knowing(KD), []
    for row in rows:
        ids = torch.tensor(row.ids)[None].long()
        with torch.no_grad():
            s, t = (b.model(input_ids=ids).logits[0, :-1].double().log_softmax(-1) for b in (student, teacher))
        at = torch.tensor(row.targets[1:])
        s, t = s[at], t[at]
        m = torch.log(0.3 * t.exp() + 0.7 * s.exp())
        found = {
            "forward": (t.exp() * (t - s)).sum(-1),
            "reverse": (s.exp() * (s - t)).sum(-1),
            "jsd": 0.3 * (t.exp() * (t - m)).sum(-1) + 0.7 * (s.exp() * (s - m)).sum(-1),
        }
        values.append(found[divergence])
    return torch.cat(values).mean().item()


def learned(folder: Path, rollout: int = 0) -> list[Encoded]:
    """What a step of all rows learned from: the student's answers, and the rows that it did not answer."""
    own = {one.prompt: one for one in read_records(folder / FILE, Sampled) if one.rollout == rollout}
    return [behind(prompt_of(row), own[key_of(row)].tokens) if key_of(row) in own else row for row in documents()]


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("divergence", ["forward", "reverse", "jsd"])
def test_the_loss_is_the_divergence_at_the_sampled_tokens(tmp_path: Path, divergence: str, share: float) -> None:
    section = with_kd(divergence=divergence, beta=0.3, on_policy=share).model_copy(update={"batch_size": 6})
    summary = finish(tmp_path, section)
    answers = read_records(tmp_path / FILE, Sampled)
    rows = learned(tmp_path)
    assert summary.losses[0] == pytest.approx(plain(tiny_model(), rows, divergence), rel=1e-5)
    assert summary.losses[0] != pytest.approx(plain(tiny_model(), documents(), divergence), rel=1e-3)
    assert len(answers) == 6 if share == 1 else 0 < len(answers) < 6
    (step,) = steps_of(tmp_path)
    assert step.target_tokens == sum(int(row.targets.sum()) for row in rows)
    assert step.told["sampled"] == pytest.approx(len(answers) / 6)
    assert step.told["cut_off"] == pytest.approx(sum(not one.ended for one in answers) / 6)
    assert step.told["sampled_tokens"] == sum(len(one.tokens) for one in answers)
    assert step.told["gap_max"] < 1e-4
    assert all(one.reward is None and len(one.tokens) <= 12 for one in answers)


def test_where_nothing_is_sampled_it_is_plain_distillation_to_the_bit(tmp_path: Path) -> None:
    off = finish(tmp_path / "off", with_kd(5, on_policy=0.0))
    never = finish(tmp_path / "never", with_kd(5, on_policy=1e-12))
    assert never.losses == off.losses
    assert [step.grad_norm for step in steps_of(tmp_path / "never")] == [
        step.grad_norm for step in steps_of(tmp_path / "off")
    ]
    assert [step.told for step in steps_of(tmp_path / "off")] == [{}] * 5
    assert not (tmp_path / "never" / FILE).exists()
    weights = [(tmp_path / name / "weights" / "model.safetensors").read_bytes() for name in ("off", "never")]
    assert weights[0] == weights[1]


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", KILLED_SECTIONS)
def test_a_killed_run_learns_from_the_same_answers(tmp_path: Path, name: str) -> None:
    whole = finish(tmp_path / "whole", KILLED_SECTIONS[name])
    folder = tmp_path / "killed"
    kill_at(5, follow, folder=folder, section=KILLED_SECTIONS[name])
    paid = (folder / FILE).read_text()
    with (folder / FILE).open("a") as file:  # what a kill inside the writing of a step's answers leaves
        file.write(paid.splitlines()[0][:40])
    *news, summary = follow(folder, KILLED_SECTIONS[name])
    assert [item.resumed_from for item in news if isinstance(item, Started)] == [4]
    assert isinstance(summary, Summary)
    assert summary.losses == whole.losses
    text = (folder / FILE).read_text()
    assert text == (tmp_path / "whole" / FILE).read_text()
    assert text.startswith(paid)
    pairs = [(one.rollout, one.prompt) for one in read_records(folder / FILE, Sampled)]
    assert 0 < len(set(pairs)) == len(pairs) < 21
    assert summary.reload_difference == 0


def test_the_student_comes_nearer_on_prompts_that_it_did_not_see(tmp_path: Path) -> None:
    """On-policy alone: on the answers of the start to other prompts, which nobody learned from."""
    others = documents(("window", "letter", "story", "number"))
    section = with_kd(1).model_copy(update={"batch_size": 4})
    list(follow(tmp_path / "others", section, others))
    own = {one.prompt: one.tokens for one in read_records(tmp_path / "others" / FILE, Sampled)}
    held_out = [behind(prompt_of(row), own[key_of(row)]) for row in others]
    bundle = tiny_model()
    before = plain(bundle, held_out)
    section = with_kd(30).model_copy(update={"optimizer": AdamWOptimizer(kind="adamw", lr=3e-3)})
    list(train(bundle, documents(), section, folder=tmp_path / "run", seed=3, open_teacher=knowing))
    assert plain(bundle, held_out) < 0.5 * before


def test_beside_other_objectives(tmp_path: Path) -> None:
    def loss(name: str, objective: Objective) -> float:
        section = SECTION.model_copy(update={"objective": objective, "max_steps": 1, "batch_size": 6})
        return finish(tmp_path / name, section).losses[0]

    sft = SftObjective(kind="sft")
    both = SumObjective(kind="sum", parts=(Part(weight=0.25, objective=sft), Part(weight=0.75, objective=KD)))
    assert loss("both", both) == pytest.approx(0.25 * loss("sft", sft) + 0.75 * loss("kd", KD), rel=1e-5)
    assert len(read_records(tmp_path / "both" / FILE, Sampled)) == 6


def test_prompt_and_answer_fit_into_max_tokens(tmp_path: Path) -> None:
    longest = max(map(len, documents()))
    finish(tmp_path, with_kd(2, answer_tokens=500).model_copy(update={"max_tokens": longest, "batch_size": 6}))
    sizes = [len(row) for step in (0, 1) for row in learned(tmp_path, step)]
    assert max(sizes) == longest
    assert min(int(row.targets.sum()) for row in learned(tmp_path)) >= 1


def test_the_prompt_is_all_before_the_last_answer() -> None:
    template = tiny_model().template
    before = (user("One?"), assistant("Two."), user("Three?"))
    row = template.encode((*before, assistant("Four.")))
    assert prompt_of(row).ids.tolist() == template.encode_prompt(before)
    assert not prompt_of(row).targets.any()


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="distillation on the student's own answers runs in one process"):
        next(
            train(
                tiny_model(),
                documents(),
                SECTION,
                folder=tmp_path,
                seed=0,
                open_teacher=knowing,
                processes=Processes(0, 2),
            )
        )
    for kind in ("prefix", "prompt"):
        with pytest.raises(
            ValidationError, match=f"{kind} is in no weight of the model that kd with on_policy samples"
        ):
            TuneSection.model_validate({"objective": KD.model_dump(), "method": {"kind": kind}})
        TuneSection.model_validate({"objective": {"kind": "kd", "teacher": "a"}, "method": {"kind": kind}})
    for key in ("answer_tokens: 9", "answer_temperature: 0.5"):
        text = f"name: a\ntasks: [{{kind: safety}}]\ntune: {{objective: {{kind: kd, teacher: a, {key}}}}}\n"
        with pytest.raises(RecipeError, match="the student writes no answers, on_policy is 0"):
            parse_recipe(text)
        parse_recipe(text.replace(key, f"{key}, on_policy: 1"))
