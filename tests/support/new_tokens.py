"""Base models without ChatML's tokens, with tied and with untied embeddings, and what anyone would do to add them."""

from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from tutelage.models.load import Bundle, load_bundle, save_folder
from tutelage.models.quiet import quiet
from tutelage.models.template import Encoded
from tutelage.models.template_file import CHATML
from tutelage.models.tiny import tiny_model
from tutelage.records import assistant, user

NEW = ("<|im_start|>", "<|im_end|>")


def base_folder(path: Path, *, tied: bool, padding: int = 0) -> Path:
    """A folder of the tiny model whose tokenizer writes ChatML's tokens in pieces; ``padding`` rows beyond its own."""
    bundle = tiny_model()
    text = bundle.tokenizer.backend_tokenizer.to_str()
    text = text.replace(NEW[0], "<turn>").replace(NEW[1], "</s>")
    bundle.tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(text), bos_token="<s>", eos_token="</s>", pad_token="<|pad|>"
    )
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        more = {"tie_word_embeddings": tied, "num_key_value_heads": 2, "vocab_size": len(bundle.tokenizer) + padding}
        bundle.model = LlamaForCausalLM(LlamaConfig(**{**bundle.model.config.to_dict(), **more})).train(False)
    with torch.no_grad():  # or else no adapter could make one of its logits much larger than the others
        for weight in {bundle.model.get_input_embeddings().weight, bundle.model.get_output_embeddings().weight}:
            weight.mul_(10)
    save_folder(bundle, path)
    return path


def grown(folder: Path) -> Bundle:
    """The model of such a folder with ChatML and its tokens."""
    return load_bundle(str(folder), template=CHATML, new_tokens=NEW, dtype="float32")


def plain_grown(folder: Path) -> tuple[PreTrainedModel, list[int]]:
    """The same by transformers alone, and the ids of the new tokens; the mean is written out."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    pieces = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in NEW]
    tokenizer.add_special_tokens({"additional_special_tokens": list(NEW)})
    ids = tokenizer.convert_tokens_to_ids(list(NEW))
    with quiet(), torch.random.fork_rng(devices=[]):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        model.resize_token_embeddings(max(len(tokenizer), model.config.vocab_size), mean_resizing=False)
    for weight in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
        with torch.no_grad():
            for index, parts in zip(ids, pieces, strict=True):
                weight[index] = sum(weight[piece] for piece in parts) / len(parts)
    return model.train(False), ids


def chats(bundle: Bundle, count: int = 16) -> list[Encoded]:
    """Encoded conversations of unlike length, each with both new tokens several times."""
    words = ("the garden", "a river", "two sentences", "the title of the passage", "it")
    talks = [
        (
            user(f"Tell me of {words[n % 5]}" + " please" * (n % 3)),
            assistant(f"Here is {words[(n + 2) % 5]}. " * (n % 4 + 1)),
        )
        for n in range(count)
    ]
    return [bundle.template.encode(talk) for talk in talks]
