"""Methods that leave every weight as it is and learn virtual tokens before each text."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.base import Section

Init = Literal["vocabulary", "random", "text"]


class PromptMethod(Section):
    """Prompt tuning (Lester et al. 2021): the embeddings of virtual tokens before each text are learned. Wants twenty
    to two hundred times LoRA's learning rate, 1e-2 to 1e-1. Saved as PEFT's ``PROMPT_TUNING``; it cannot be merged."""

    kind: Literal["prompt"]

    tokens: int = Field(default=20, ge=1)
    """Virtual tokens; they come on top of ``max_tokens``."""

    init: Init = "vocabulary"
    """What they are before the first step: embeddings of tokens drawn from the ``vocabulary``, ``random`` numbers
    (normal, standard deviation 1), or the embeddings of a ``text``."""

    text: str | None = Field(default=None, min_length=1)
    """Of ``init: text``: repeated or cut to as many tokens."""

    @model_validator(mode="after")
    def _has_its_text(self) -> Self:
        _require_text(self.init, self.text)
        return self


class PrefixMethod(Section):
    """Prefix tuning (Li & Liang 2021): of virtual tokens before each text the keys and values of every layer are
    learned. Wants some twenty times LoRA's learning rate, about 1e-2; with a projection a tenth of that, 1e-3 or
    less. Saved as PEFT's ``PREFIX_TUNING``; it cannot be merged."""

    kind: Literal["prefix"]

    tokens: int = Field(default=20, ge=1)
    """Virtual tokens; they come on top of ``max_tokens``."""

    projection: int | None = Field(default=None, ge=1)
    """null: keys and values themselves are learned. A number: an embedding a virtual token and two layers, of this
    width between them, that make keys and values of it while training; what they make is saved."""

    init: Init | None = None
    """What they are before the first step: what the model makes of tokens drawn from its ``vocabulary`` or of a
    ``text``, or ``random`` numbers (normal, standard deviation 1; of a projection, those its layers make). null:
    ``vocabulary``, with a projection ``random``."""

    text: str | None = Field(default=None, min_length=1)
    """Of ``init: text``: repeated or cut to as many tokens."""

    @model_validator(mode="after")
    def _begins_as_it_can(self) -> Self:
        _require_text(self.init, self.text)
        if self.projection is not None and self.init not in (None, "random"):
            raise ValueError(f"init: a projection begins at random, and {self.init} needs keys and values of their own")
        return self


def _require_text(init: Init | None, text: str | None) -> None:
    if init == "text" and text is None:
        raise ValueError("text: init is text, and there is none")
    if init != "text" and text is not None:
        raise ValueError("text: it belongs to init: text")
