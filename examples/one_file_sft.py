"""Supervised tuning with LoRA in one flat file: what Tutelage's engine does, without its generality.

    python examples/one_file_sft.py MODEL rows.jsonl adapter

MODEL is a folder or a hub id with a chat template; a line of rows.jsonl is
{"messages": [{"role": ..., "content": ...}]}. The adapter loads in plain transformers and peft. Read it from top to
bottom; every part says what it is there for.
"""

import json
import math
import random
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from transformers import AttentionInterface, AutoModelForCausalLM, AutoTokenizer

RANK, ALPHA, RATE, EPOCHS, ROWS_A_STEP, TOKENS_AT_ONCE, CHUNK = 16, 32, 5e-4, 1, 8, 1024, 256


# 1. Rows become token ids and a mask of what is learned: the assistant's turns with their end token, and nothing else.
# A turn is what the text grows by when it is added; where it begins is told by the generation prompt.
def encode(tokenizer, messages):
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    spans = []
    for at, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = tokenizer.apply_chat_template(messages[:at], tokenize=False, add_generation_prompt=True)
        after = tokenizer.apply_chat_template(messages[: at + 1], tokenize=False)
        if not (text.startswith(before) and text.startswith(after)):
            raise SystemExit("this chat template rewrites earlier turns: no exact mask can be made this way")
        spans.append((len(before), len(after.rstrip())))  # what follows the end token is not the assistant's
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    learned = [
        any(start >= first and end <= last for first, last in spans) and end > start
        for start, end in encoded["offset_mapping"]
    ]
    if not any(learned):
        raise SystemExit("a row has nothing to learn: it needs a turn of the assistant")
    return encoded["input_ids"], learned


# 2. Documents lie end to end in one row, without padding. Their positions restart, and attention never crosses a
# border: one scaled-dot-product attention a document, through transformers' own extension point.
def attend(module, query, key, value, attention_mask, *, lengths, scaling=None, **others):
    parts = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True)
        for q, k, v in zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register("one_file", attend)


# 3. A token is predicted from the hidden state before it. Only such states go through the output layer, and in chunks,
# so that logits of all tokens (T × vocabulary, far more than the model itself) never exist. Returns the sum of −log p.
def loss_of(model, documents):
    ids = torch.tensor([token for tokens, _ in documents for token in tokens])
    lengths = [len(tokens) for tokens, _ in documents]
    positions = torch.cat([torch.arange(length) for length in lengths])
    learned = torch.tensor([flag for _, mask in documents for flag in mask])
    learned[positions == 0] = False  # nothing stands before the first token of a document
    at = learned.nonzero()[:, 0]
    states = (
        model.get_base_model()
        .base_model(input_ids=ids[None], position_ids=positions[None], lengths=lengths, use_cache=False)
        .last_hidden_state[0]
    )
    head = model.get_output_embeddings()

    def chunk(places):
        return cross_entropy(head(states[places - 1]).float(), ids[places], reduction="sum")

    parts = [torch.utils.checkpoint.checkpoint(chunk, places, use_reentrant=False) for places in at.split(CHUNK)]
    return torch.stack(parts).sum()


# 4. The mean of a step is over all its target tokens, however they are split: the denominator is known before the first
# micro-batch. Otherwise the loss would change with what the memory allows.
def micro_batches(documents):
    batch, filled = [], 0
    for document in documents:
        if batch and filled + len(document[0]) > TOKENS_AT_ONCE:
            yield batch
            batch, filled = [], 0
        batch.append(document)
        filled += len(document[0])
    yield batch


# 5. A bfloat16 weight has 8 significant bits, so most updates would vanish: the optimizer moves float32 copies, and the
# weights are their rounding.
def step(trained, masters, optimizer, rate):
    for weight, master in zip(trained, masters, strict=True):
        master.grad = weight.grad.float()
        weight.grad = None
    norm = torch.nn.utils.clip_grad_norm_(masters, 1.0)
    optimizer.param_groups[0]["lr"] = rate
    optimizer.step()
    optimizer.zero_grad()
    with torch.no_grad():
        for weight, master in zip(trained, masters, strict=True):
            weight.copy_(master)
    return norm.item()


def main(model_id, rows_file, out):
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(model_id)
    model = AutoModelForCausalLM.from_pretrained(model_id, dtype="auto", attn_implementation="one_file")
    # LoRA: W stays, and (alpha/r)·BA is learned beside it; B begins at zero, so the first step starts from the model.
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config, autocast_adapter_dtype=False)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    masters = [weight.detach().float().clone().requires_grad_() for weight in trained]
    optimizer = torch.optim.AdamW(masters, lr=RATE, weight_decay=0.0)
    lines = Path(rows_file).read_text(encoding="utf-8").splitlines()
    rows = [encode(tokenizer, json.loads(line)["messages"]) for line in lines]
    steps = EPOCHS * math.ceil(len(rows) / ROWS_A_STEP)
    for number in range(steps):
        epoch, within = divmod(number, math.ceil(len(rows) / ROWS_A_STEP))
        order = random.Random(epoch).sample(range(len(rows)), len(rows))
        chosen = [rows[at] for at in order[within * ROWS_A_STEP : (within + 1) * ROWS_A_STEP]]
        targets = sum(sum(mask[1:]) for _, mask in chosen)
        total = 0.0
        for batch in micro_batches(chosen):
            loss = loss_of(model, batch) / targets
            loss.backward()
            total += loss.item()
        norm = step(trained, masters, optimizer, RATE * (1 - number / steps))  # straight down to zero
        print(f"step {number + 1}/{steps}  loss {total:.4f}  gradient {norm:.3f}  {targets} target tokens", flush=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
