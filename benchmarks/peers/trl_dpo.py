"""Direct preference optimization by TRL's DPOTrainer, as one process that ends with the weights on the disk.

    python benchmarks/peers/trl_dpo.py settings.json

``settings.json``: as for ``trl_sft.py``, and ``max_tokens``; ``rows``: JSONL of ``prompt``, ``chosen``, ``rejected``.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

LORA = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(given["threads"])
    rows = [json.loads(line) for line in Path(given["rows"]).read_text(encoding="utf-8").splitlines()]
    model = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.bfloat16)
    peft_config: LoraConfig | None = LORA
    settings: dict[str, Any] = {"per_device_train_batch_size": given["batch_size"]}
    if given["best"]:
        # One pair at a time has little padding, the reference is computed once, no layer is computed twice, and
        # adapters have the arithmetic of the model.
        settings = {
            "per_device_train_batch_size": 1,
            "gradient_accumulation_steps": given["batch_size"],
            "gradient_checkpointing": False,
            "precompute_ref_log_probs": True,
        }
        model, peft_config = get_peft_model(model, LORA, autocast_adapter_dtype=False), None
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(
            output_dir=given["out"],
            learning_rate=given["lr"],
            lr_scheduler_type="constant",
            num_train_epochs=1,
            max_length=given["max_tokens"],
            seed=given["seed"],
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            **settings,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(given["model"]),
        peft_config=peft_config,
    )
    trainer.train()
    trainer.save_model(given["out"])


if __name__ == "__main__":
    main()
