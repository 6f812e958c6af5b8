"""Which model is tuned, and which engines answer."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from tutelage.recipe.base import Section
from tutelage.recipe.vllm import VllmEngine


class ModelSection(Section):
    """The starting model."""

    id: str = "default"
    """A hub id, a folder, a GGUF file, or an alias: ``default`` (SmolLM2-135M-Instruct), ``tiny`` (random weights)."""

    revision: str | None = None
    """The revision of a hub id; other ids have none."""

    template: Literal["own", "chatml"] | Path = "own"
    """How chats are written. ``own``: by the tokenizer's own chat template. ``chatml``: in ChatML, for base models
    that have none but know its tokens <|im_start|> and <|im_end|> (Qwen, SmolLM) or get them (``new_tokens``). Else a
    file of a chat template (Jinja), relative to the recipe."""

    new_tokens: tuple[str, ...] = ()
    """What the template writes and the tokenizer does not know as one token, such as ["<|im_start|>", "<|im_end|>"]: it
    becomes a special token whose embeddings begin as the mean of those that spelled it, and are trained with the rest.
    Methods: lora, dora, full."""

    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Arithmetic of the weights; ``auto`` takes bfloat16 where the processor has it."""

    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``cuda:N``."""

    @field_validator("template", mode="before")
    @classmethod
    def _nothing_is_its_own(cls, value: object) -> object:
        """Null in recipes that runs have kept."""
        return "own" if value is None else value

    @field_validator("new_tokens")
    @classmethod
    def _are_tokens(cls, tokens: tuple[str, ...]) -> tuple[str, ...]:
        for token in tokens:
            if not token or token != token.strip():
                raise ValueError(f"a token is a text without blanks around it, not {token!r}")
            if tokens.count(token) > 1:
                raise ValueError(f"{token} is given more than once")
        return tokens


class TransformersEngine(Section):
    """Our batched decoding over the transformers model, in the model's own arithmetic. Where JSON is asked for, nothing
    else can be written."""

    kind: Literal["transformers"]

    batch_size: int = Field(default=128, ge=1)
    """Rows decoded together; part of the identity of every answer."""


class CTranslate2Engine(Section):
    """CTranslate2 with int8 weights on the CPU (extra ``cpu``); makes training data, never scores. JSON is asked for in
    words alone: only the transformers engine and servers hold answers to a form."""

    kind: Literal["ctranslate2"]

    workers: int = Field(default=2, ge=1)
    """Single-threaded workers; one a core."""


SamplingEngine = Annotated[TransformersEngine | CTranslate2Engine | VllmEngine, Field(discriminator="kind")]


class EnginesSection(Section):
    """Who answers: one engine samples training data, the reference engine answers for every score."""

    sampling: SamplingEngine = TransformersEngine(kind="transformers")
    """The engine of the construct stage."""

    reference_batch: int = Field(default=128, ge=1)
    """Fixed batch of the reference engine (transformers) that probe, gate and test are answered with."""

    chunk: int = Field(default=512, ge=1)
    """Requests sampled as one unit with one seed; a resumed run replays whole chunks."""

    threads: int = Field(default=0, ge=0)
    """Threads of matrix products; 0 takes the cores that the process may use."""
