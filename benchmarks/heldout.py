"""The loss of tuned weights on rows of ``messages``, by plain transformers and peft: float32, one row at a time.

    python benchmarks/heldout.py MODEL WEIGHTS ROWS

Prints one JSON object: ``loss`` (nats a token of the last turn, its end token included), ``tokens``, and ``low`` and
``high``, the 95 % interval of the loss over rows. ``WEIGHTS`` is a PEFT adapter or a whole model.
"""

import json
import math
import sys
from pathlib import Path

import torch
from peft import PeftModel
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer


@torch.no_grad()
def main() -> None:
    model_id, weights, rows = sys.argv[1:]
    adapted = (Path(weights) / "adapter_config.json").is_file()
    model = AutoModelForCausalLM.from_pretrained(model_id if adapted else weights, dtype=torch.float32)
    if adapted:
        model = PeftModel.from_pretrained(model, weights)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(model_id)
    sums, counts = [], []
    for line in Path(rows).read_text(encoding="utf-8").splitlines():
        turns = json.loads(line)["messages"]
        before = tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(turns, tokenize=False).rstrip("\n")
        start = len(tokenizer(before, add_special_tokens=False).input_ids)
        ids = torch.tensor([tokenizer(whole, add_special_tokens=False).input_ids])
        losses = cross_entropy(model(input_ids=ids).logits[0, start - 1 : -1], ids[0, start:], reduction="none")
        sums.append(losses.sum().item())
        counts.append(len(losses))
    loss = sum(sums) / sum(counts)
    # Ratio estimator: rows are what was drawn, tokens are what is averaged.
    spread = math.sqrt(sum((s - loss * n) ** 2 for s, n in zip(sums, counts, strict=True))) / sum(counts)
    told = {"loss": loss, "tokens": sum(counts), "low": loss - 1.96 * spread, "high": loss + 1.96 * spread}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
