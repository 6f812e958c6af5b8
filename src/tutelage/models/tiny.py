"""A whole model in memory with random weights, for tests and trials of a recipe: same interfaces, no files."""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tutelage.models.bundle import Bundle, ModelSource
from tutelage.models.quiet import quiet
from tutelage.models.template import ChatTemplate

VOCABULARY = 512
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content %}{{ message.content }}{% endif %}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ("<|pad|>", "<s>", "<|im_start|>", "<|im_end|>")
# Enough English for a few hundred merges, so that tokens are longer than bytes and borders between them matter.
_CORPUS = (
    "You are a helpful assistant. Answer the question from the passage in a few words.",
    "If the passage does not say it, answer that it is not stated there.",
    "Write three bullet points about the garden in lower case and use no commas.",
    "The answer should have at most two sentences and end with the word thanks.",
    "I can not help with that, because it could hurt somebody. Here is what I can do instead.",
    "What is the name of the river that flows through the city of which the reader was told before?",
    "Please write the title between double angle brackets, then repeat the request word for word.",
)


def tiny_model(seed: int = 0, *, hidden: int = 64, layers: int = 2, vocabulary: int = VOCABULARY) -> Bundle:
    """Return a Llama with random float32 weights drawn from ``seed``, a byte-level BPE tokenizer and a ChatML template.

    ``hidden`` is the width (a multiple of 16: heads of 16), ``layers`` the depth, ``vocabulary`` the largest number of
    tokens (at least 260: bytes and special tokens). Equal arguments give equal weights; the global random state stays.
    """
    tokenizer = _tokenizer(vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 16,
        num_key_value_heads=hidden // 16,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.train(False)
    model.generation_config = GenerationConfig.from_model_config(config)
    source = ModelSource(id="tiny", kind="tiny", revision=f"seed {seed}, {hidden} x {layers}", license="Apache-2.0")
    return Bundle(model=model, tokenizer=tokenizer, template=ChatTemplate(tokenizer), source=source)


def _tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in _SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=1,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        name_or_path="tiny",
        bos_token="<s>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
