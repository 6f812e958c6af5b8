"""A language model as a reward model: its own decoder, and a layer that makes one number of a hidden state.

It is what transformers' ``AutoModelForSequenceClassification`` with ``num_labels=1`` is: the reward of a document is
that of its last token, padding at the end not counted.
"""

import copy
from dataclasses import replace

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from tutelage.errors import ModelError
from tutelage.models.bundle import Bundle
from tutelage.models.faults import InWords
from tutelage.models.quiet import quiet

HEAD = "score"
"""transformers' name for the layer."""
DEVIATION = 0.02
"""Standard deviation of new weights where the model's configuration says nothing, as transformers has it."""


def reward_head(model: PreTrainedModel) -> nn.Module | None:
    """Return the layer that makes a reward of a hidden state, (n, H) → (n, 1); None: the model predicts tokens."""
    return dict(model.named_children()).get(HEAD)


def with_reward_head(bundle: Bundle, *, seed: int) -> Bundle:
    """Return a bundle whose model has the decoder of ``bundle`` (the same object) and a new head instead of logits.

    The head is drawn from ``seed``: normal, of the deviation ``initializer_range`` with which the model itself began,
    as transformers and TRL begin it; no bias. The configuration is a copy, and so is the tokenizer, with one padding
    token for both: the model's own, or else a token that no answer ends with, since transformers reads a reward before
    the padding.

    Raises
    ------
    ModelError: transformers has no such model for this decoder, or it is more than one layer on its hidden states.
    """
    model = bundle.model
    config = copy.deepcopy(model.config)
    config.num_labels = 1
    text = config.get_text_config()
    text.pad_token_id = _padding(bundle, text.pad_token_id)
    with quiet(), InWords(lambda reason: _unfit(bundle, reason)), torch.device("meta"):
        made: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    prefix = made.base_model_prefix
    decoder = model.base_model
    others = [name for name, _ in made.named_parameters() if not name.startswith(f"{prefix}.")]
    if others != [f"{HEAD}.weight"] or type(made.base_model) is not type(decoder):
        raise _unfit(bundle, f"{type(made).__name__} with {', '.join(others)}")
    deviation = text.to_dict().get("initializer_range") or DEVIATION
    drawn = torch.empty(made.get_parameter(*others).shape)
    drawn.normal_(0, deviation, generator=torch.Generator().manual_seed(seed))
    setattr(made, prefix, decoder)
    made.get_submodule(HEAD).register_parameter("weight", nn.Parameter(drawn.to(model.device, model.dtype)))
    made.train(model.training)
    tokenizer = copy.deepcopy(bundle.tokenizer)
    if text.pad_token_id is not None and text.pad_token_id < len(tokenizer):
        tokenizer.pad_token_id = text.pad_token_id
    return replace(bundle, model=made, tokenizer=tokenizer)


def _padding(bundle: Bundle, own: int | None) -> int | None:
    """The model's own padding token, else one of the tokenizer's that no answer ends with; None: there is none."""
    if own is not None and own >= 0:  # some configurations say -1 for none
        return own
    tokenizer = bundle.tokenizer
    known = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id)
    return next((token for token in known if token is not None and token not in bundle.template.end_ids), None)


def _unfit(bundle: Bundle, received: str) -> ModelError:
    return ModelError(
        "this model cannot be made a reward model",
        where=bundle.source.id,
        received=received,
        remedy="take a decoder of which transformers has a ...ForSequenceClassification with one layer, score",
    )


def no_language_model(where: str, received: str) -> ModelError:
    """Return the error for a reward model in the place of a language model, which would lose its head unseen."""
    return ModelError(
        "this is a reward model, or another classifier, and no language model",
        where=where,
        received=received,
        remedy="score pairs with it: tutelage score --reward; elsewhere give what another objective left",
    )
