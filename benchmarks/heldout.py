"""The loss of tuned weights on held-out rows, by plain transformers and peft: float32, one row at a time.

    python benchmarks/heldout.py MODEL WEIGHTS ROWS

``ROWS`` hold ``messages``, whose last turn is read, or ``prompt``, ``chosen`` and ``rejected``. Prints one JSON object:
``loss``, with ``low`` and ``high``, its 95 % interval over rows, and ``tokens`` of the answers. The loss of messages is
in nats a token of the last turn, its end token included; that of pairs is −log σ(0.1 · (log-ratio of the chosen answer
− that of the rejected)) a pair, against MODEL, or of a reward model −log σ(reward of the chosen − that
of the rejected conversation). ``WEIGHTS`` is a PEFT adapter or a whole model.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import cross_entropy, logsigmoid
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

BETA = 0.1


class Rewards:
    """A reward model and its tokenizer."""

    def __init__(self, model_id: str, weights: str) -> None:
        start = AutoModelForSequenceClassification.from_pretrained(model_id, num_labels=1, dtype=torch.float32)
        self.tuned = PeftModel.from_pretrained(start, weights).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model_id)

    def row(self, row: dict[str, Any]) -> tuple[float, int, int]:
        """The loss of a pair, over how many things it is averaged, and the tokens read."""
        rewards, tokens = [], 0
        for name in ("chosen", "rejected"):
            text = self.tokenizer.apply_chat_template([*row["prompt"], *row[name]], tokenize=False).rstrip("\n")
            ids = torch.tensor([self.tokenizer(text, add_special_tokens=False).input_ids])
            rewards.append(self.tuned(input_ids=ids).logits[0, 0])
            tokens += ids.shape[1]
        return -logsigmoid(rewards[0] - rewards[1]).item(), 1, tokens


class Reader:
    """A tuned model, the model that it was made from, and their tokenizer."""

    def __init__(self, model_id: str, weights: str) -> None:
        self.start = AutoModelForCausalLM.from_pretrained(model_id, dtype=torch.float32).eval()
        adapted = (Path(weights) / "adapter_config.json").is_file()
        again = AutoModelForCausalLM.from_pretrained(model_id if adapted else weights, dtype=torch.float32)
        self.tuned = (PeftModel.from_pretrained(again, weights) if adapted else again).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(model_id)

    def losses(self, model: torch.nn.Module, before: list[Any], answer: list[Any]) -> Tensor:
        """−log p of each token of the answer's turn."""
        prompt = self.tokenizer.apply_chat_template(before, tokenize=False, add_generation_prompt=True)
        whole = self.tokenizer.apply_chat_template([*before, *answer], tokenize=False).rstrip("\n")
        first = len(self.tokenizer(prompt, add_special_tokens=False).input_ids)
        ids = torch.tensor([self.tokenizer(whole, add_special_tokens=False).input_ids])
        return cross_entropy(model(input_ids=ids).logits[0, first - 1 : -1], ids[0, first:], reduction="none")

    def row(self, row: dict[str, Any]) -> tuple[float, int, int]:
        """The sum of a row's losses, over how many things it is averaged, and the tokens read."""
        if "messages" in row:
            losses = self.losses(self.tuned, row["messages"][:-1], row["messages"][-1:])
            return losses.sum().item(), len(losses), len(losses)
        ratios, tokens = [], 0
        for name in ("chosen", "rejected"):
            now, before = (self.losses(model, row["prompt"], row[name]) for model in (self.tuned, self.start))
            ratios.append((before - now).sum())
            tokens += len(now)
        return -logsigmoid(BETA * (ratios[0] - ratios[1])).item(), 1, tokens


@torch.no_grad()
def main() -> None:
    model_id, weights, rows = sys.argv[1:]
    adapter = Path(weights) / "adapter_config.json"
    rewards = adapter.is_file() and json.loads(adapter.read_text(encoding="utf-8"))["task_type"] == "SEQ_CLS"
    reader = Rewards(model_id, weights) if rewards else Reader(model_id, weights)
    lines = Path(rows).read_text(encoding="utf-8").splitlines()
    sums, counts, tokens = zip(*(reader.row(json.loads(line)) for line in lines), strict=True)
    loss = sum(sums) / sum(counts)
    # Ratio estimator: rows are what was drawn, tokens (or pairs) are what is averaged.
    spread = math.sqrt(sum((s - loss * n) ** 2 for s, n in zip(sums, counts, strict=True))) / sum(counts)
    told = {"loss": loss, "tokens": sum(tokens), "low": loss - 1.96 * spread, "high": loss + 1.96 * spread}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
