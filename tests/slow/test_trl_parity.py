"""Twenty steps of supervised tuning give the losses of TRL's SFTTrainer, in float32, full and LoRA.

Same weights, rows, order, optimizer and adapters. TRL pads its batches and masks; here documents are packed, what they
begin with alike is computed once, and only target rows reach the output layer: nothing of that may show in the loss.
"""

from pathlib import Path

import datasets
import pytest
import torch
import trl
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from tutelage.models.load import Bundle, load_bundle
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.tiny import tiny_model
from tutelage.recipe.tune import (
    AdamWOptimizer,
    ConstantSchedule,
    FullMethod,
    LoraMethod,
    Method,
    SftObjective,
    TuneSection,
)
from tutelage.records import assistant, user
from tutelage.seeds import derive_seed
from tutelage.tune import Step, train
from tutelage.tune.training.batches import rows_of_step

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # the peer warns of its own settings


STEPS, BATCH, SEED, ROWS = 20, 4, 5, 32
WORDS = ("the", "garden", "river", "name", "passage", "answer", "title", "thanks", "point", "sentence", "city", "place")


def documents(bundle: Bundle) -> list[Encoded]:
    generator = torch.Generator().manual_seed(0)

    def text(longest: int) -> str:
        count = int(torch.randint(1, longest, (), generator=generator))
        return " ".join(WORDS[int(at)] for at in torch.randint(len(WORDS), (count,), generator=generator))

    return [bundle.template.encode((user(text(30)), assistant(text(20)))) for _ in range(ROWS)]


def theirs(folder: Path, rows: list[Encoded], method: Method, *, lr: float) -> list[float]:
    order = [at for step in range(STEPS) for at in rows_of_step(step, rows=ROWS, batch_size=BATCH, seed=SEED)]
    data = [
        {"input_ids": rows[at].ids.tolist(), "completion_mask": rows[at].targets.astype(int).tolist()} for at in order
    ]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if isinstance(method, LoraMethod):
        torch.manual_seed(derive_seed(SEED, "method"))
        config = LoraConfig(
            r=method.r, lora_alpha=method.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
        )
        model = get_peft_model(model, config)
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(
            output_dir=str(folder / "trl"),
            per_device_train_batch_size=BATCH,
            max_steps=STEPS,
            learning_rate=lr,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            max_length=None,
            completion_only_loss=True,
            train_sampling_strategy="sequential",
            gradient_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
        ),
        train_dataset=datasets.Dataset.from_list(data),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


FULL, LORA = FullMethod(kind="full"), LoraMethod(kind="lora", r=4)


@pytest.mark.parametrize(
    ("model", "method"),
    [("tiny", FULL), ("tiny", LORA), ("default", LORA)],
    ids=["tiny-full", "tiny-lora", "default-lora"],
)
def test_twenty_steps(tmp_path: Path, model: str, method: Method) -> None:
    lr = {"full": 1e-4, "lora": 2e-3}[method.kind]
    bundle = tiny_model() if model == "tiny" else load_bundle("default", dtype="float32", device="cpu")
    rows = documents(bundle)
    with quiet():
        bundle.model.save_pretrained(tmp_path / "start")
        bundle.tokenizer.save_pretrained(tmp_path / "start")
    section = TuneSection(
        objective=SftObjective(kind="sft"),
        method=method,
        optimizer=AdamWOptimizer(kind="adamw", lr=lr),
        schedule=ConstantSchedule(kind="constant"),
        batch_size=BATCH,
        max_steps=STEPS,
        epochs=99,
        checkpoint_every=0,
    )
    news = train(bundle, rows, section, folder=tmp_path / "ours", seed=SEED)
    ours = [step.loss for step in news if isinstance(step, Step)]
    expected = theirs(tmp_path / "start", rows, method, lr=lr)
    assert len(ours) == STEPS
    assert ours[-1] < ours[0]
    assert ours == pytest.approx(expected, rel=1e-4)
