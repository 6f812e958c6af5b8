"""Tuning by TRL, as one process that ends with the weights on the disk.

    python benchmarks/peers/trl_peer.py settings.json

``settings.json``: ``objective`` (sft, dpo, kd or reward), ``model`` and ``teacher`` (folders; one for kd), ``rows``
(JSONL of ``messages``, or of ``prompt``, ``chosen`` and ``rejected``), ``out``, ``method`` (lora or full), ``dtype`` of
the weights, ``best`` (false: the trainer's defaults; true: the fastest settings found), ``batch_size``, ``lr``,
``seed``, ``threads``, ``max_tokens``.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

with warnings.catch_warnings(action="ignore"):  # of being experimental
    from trl.experimental.gkd import GKDConfig, GKDTrainer

TRAINERS: dict[str, tuple[Any, Any]] = {
    "sft": (SFTTrainer, SFTConfig),
    "dpo": (DPOTrainer, DPOConfig),
    "kd": (GKDTrainer, GKDConfig),
    "reward": (RewardTrainer, RewardConfig),
}


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(given["threads"])
    objective, dtype = given["objective"], getattr(torch, given["dtype"])
    trainer_class, config_class = TRAINERS[objective]
    model = opened(given["model"], dtype, reward=objective == "reward")
    settings: dict[str, Any] = {"per_device_train_batch_size": given["batch_size"]}
    more: dict[str, Any] = {}
    if objective == "kd":
        settings |= {"lmbda": 0.0, "beta": 0.0}  # on the written answers, forward divergence
        more["teacher_model"] = opened(given["teacher"], dtype)
    peft_config = None
    if given["method"] == "lora":
        task = "SEQ_CLS" if objective == "reward" else "CAUSAL_LM"
        peft_config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type=task)
    if given["best"]:
        settings |= best(objective, given["batch_size"])
        if peft_config is not None:  # adapters have the arithmetic of the model
            model, peft_config = get_peft_model(model, peft_config, autocast_adapter_dtype=False), None
    if peft_config is not None:
        more["peft_config"] = peft_config
    trainer = trainer_class(
        model=model,
        args=config_class(
            output_dir=given["out"],
            learning_rate=given["lr"],
            lr_scheduler_type="constant",
            num_train_epochs=1,
            max_length=None if objective == "sft" else given["max_tokens"],
            seed=given["seed"],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=dtype is torch.bfloat16,
            **settings,
        ),
        train_dataset=Dataset.from_list(rows_of(objective, Path(given["rows"]))),
        processing_class=AutoTokenizer.from_pretrained(given["model"]),
        **more,
    )
    trainer.train()
    trainer.save_model(given["out"])


def opened(folder: str, dtype: torch.dtype, *, reward: bool = False) -> Any:
    """The model of a folder, with a head for rewards if asked for."""
    if reward:
        return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=dtype)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def best(objective: str, batch_size: int) -> dict[str, Any]:
    """One row at a time has no padding (a pair little), no layer is computed twice, nor is the reference."""
    found: dict[str, Any] = {
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": batch_size,
        "gradient_checkpointing": False,
    }
    return found | ({"precompute_ref_log_probs": True} if objective == "dpo" else {})


def rows_of(objective: str, file: Path) -> list[dict[str, Any]]:
    """Rows as the trainer of the objective takes them."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if objective == "sft":
        return [{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]} for row in rows]
    return rows


if __name__ == "__main__":
    main()
