"""Supervised tuning by TRL's SFTTrainer, as one process that ends with the weights on the disk.

    python benchmarks/peers/trl_sft.py settings.json

``settings.json``: ``model`` (a folder), ``rows`` (JSONL of ``messages``), ``out``, ``method`` (lora or full), ``best``
(false: the trainer's defaults; true: the fastest settings found), ``batch_size``, ``lr``, ``seed``, ``threads``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

LORA = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(given["threads"])
    rows = [json.loads(line)["messages"] for line in Path(given["rows"]).read_text(encoding="utf-8").splitlines()]
    model = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.bfloat16)
    peft_config = LORA if given["method"] == "lora" else None
    settings: dict[str, Any] = {"per_device_train_batch_size": given["batch_size"]}
    if given["best"]:
        # One row at a time has no padding, no layer is computed twice, and adapters have the arithmetic of the model.
        settings = {
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": given["batch_size"],
            "gradient_checkpointing": False,
        }
        if peft_config is not None:
            model, peft_config = get_peft_model(model, peft_config, autocast_adapter_dtype=False), None
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=given["out"],
            learning_rate=given["lr"],
            lr_scheduler_type="constant",
            num_train_epochs=1,
            max_length=None,
            seed=given["seed"],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            **settings,
        ),
        train_dataset=Dataset.from_list([{"prompt": turns[:-1], "completion": turns[-1:]} for turns in rows]),
        processing_class=AutoTokenizer.from_pretrained(given["model"]),
        peft_config=peft_config,
    )
    trainer.train()
    trainer.save_model(given["out"])


if __name__ == "__main__":
    main()
