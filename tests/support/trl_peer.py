"""TRL on the same footing: the start, PEFT's adapter from the same seed, plain settings, the losses of its steps."""

from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from tutelage.models.load import Bundle, load_bundle
from tutelage.models.quiet import quiet
from tutelage.models.tiny import tiny_model
from tutelage.recipe.objectives import Objective
from tutelage.recipe.tune import AdamWOptimizer, ConstantSchedule, LoraMethod, Method, TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune.training.batches import rows_of_step

STEPS, BATCH, SEED, ROWS = 20, 4, 5, 32
RATES = {"full": 1e-4, "lora": 2e-3}
WORDS = ("the", "garden", "river", "name", "passage", "answer", "title", "thanks", "point", "sentence", "city", "place")


def start_of(model: str, folder: Path) -> Bundle:
    """The tiny or the default model in float32, left in ``folder`` for the peer too."""
    bundle = tiny_model() if model == "tiny" else load_bundle("default", dtype="float32", device="cpu")
    with quiet():
        bundle.model.save_pretrained(folder)
        bundle.tokenizer.save_pretrained(folder)
    return bundle


def words(generator: torch.Generator, longest: int) -> str:
    count = int(torch.randint(1, longest, (), generator=generator))
    return " ".join(WORDS[int(at)] for at in torch.randint(len(WORDS), (count,), generator=generator))


def section_of(objective: Objective, method: Method) -> TuneSection:
    return TuneSection(
        objective=objective,
        method=method,
        optimizer=AdamWOptimizer(kind="adamw", lr=RATES[method.kind]),
        schedule=ConstantSchedule(kind="constant"),
        batch_size=BATCH,
        max_steps=STEPS,
        epochs=99,
        checkpoint_every=0,
    )


def order_of_rows() -> list[int]:
    """The rows of all steps, one after another."""
    return [at for step in range(STEPS) for at in rows_of_step(step, rows=ROWS, batch_size=BATCH, seed=SEED)]


def settings_of(folder: Path, method: Method) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "trl"),
        "per_device_train_batch_size": BATCH,
        "max_steps": STEPS,
        "learning_rate": RATES[method.kind],
        "lr_scheduler_type": "constant",
        "max_grad_norm": 1.0,
        "train_sampling_strategy": "sequential",
        "gradient_checkpointing": False,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
    }


def losses_of(
    trainer_class: Any,
    args: Any,
    folder: Path,
    method: Method,
    *,
    first: list[Any],
    data: list[Any] | None = None,
    head: torch.Tensor | None = None,
    **more: Any,
) -> list[float]:
    """The losses of a trainer of TRL on the rows ``first``, or on ``data``, which it takes without preparing it.

    ``head`` (1, H) is what a reward model begins with; None: a language model.
    """
    model: Any
    if head is None:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
        model.score.weight.data.copy_(head)
    if isinstance(method, LoraMethod):
        torch.manual_seed(derive_seed(SEED, "method"))
        config = LoraConfig(
            r=method.r,
            lora_alpha=method.alpha,
            target_modules="all-linear",
            lora_dropout=0.0,
            task_type="CAUSAL_LM" if head is None else "SEQ_CLS",
        )
        model = get_peft_model(model, config)
    trainer = trainer_class(
        model=model,
        args=args,
        train_dataset=datasets.Dataset.from_list(first),
        processing_class=AutoTokenizer.from_pretrained(folder),
        **more,
    )
    if data is not None:
        trainer.train_dataset = datasets.Dataset.from_list(data)
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
