"""How the model is tuned: objective × method × optimizer, and the size of a step."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from tutelage.recipe.base import Section, is_number
from tutelage.recipe.data import DataSection as DataSection
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.methods import FullMethod as FullMethod
from tutelage.recipe.methods import LoraMethod as LoraMethod
from tutelage.recipe.methods import Method as Method
from tutelage.recipe.methods import QloraMethod, begins_at_zero, trains_reward_heads
from tutelage.recipe.objectives import Objective, RewardObjective, SftObjective, teaching_of
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.stopping import EarlyStoppingSection
from tutelage.recipe.watchdog import WatchdogSection


class AdamWOptimizer(Section):
    """AdamW (Loshchilov & Hutter 2019) on float32 copies of the weights; only matrices decay."""

    kind: Literal["adamw"]

    lr: float = Field(default=5e-4, gt=0)
    """Peak learning rate."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of matrices; biases, norms and factors never decay."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay rates of the two moments."""


class AdafactorOptimizer(Section):
    """Adafactor (Shazeer & Stern 2018) as torch has it: of the second moment of a matrix only row and column means are
    kept, and the first is not, so that full tuning needs far less memory. Weights move in proportion to their size: it
    is not for adapters that begin at zero."""

    kind: Literal["adafactor"]

    lr: float = Field(default=1e-3, gt=0)
    """Most that a step may change, relative to the size of the weights."""

    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of matrices; biases, norms and factors never decay."""

    beta2_decay: float = Field(default=-0.8, le=0)
    """Exponent c of the second moment's decay rate 1 − tᶜ."""


class TorchOptimizer(Section):
    """Any other optimizer of ``torch.optim``, on float32 copies of the weights."""

    kind: Literal["torch"]

    name: str
    """Its class, such as SGD, NAdam, RAdam or Adamax."""

    lr: float = Field(default=1e-3, gt=0)
    """Peak learning rate."""

    options: dict[str, JsonValue] = Field(default_factory=dict)
    """What else its class takes, such as {momentum: 0.9}; ``weight_decay`` applies to matrices alone."""

    @field_validator("options")
    @classmethod
    def _numbers(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """1e-7 is a text to YAML 1.1 and a number to people."""
        return {
            key: float(value) if isinstance(value, str) and is_number(value) else value
            for key, value in options.items()
        }


ELEMENTWISE = ("SGD", "ASGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adadelta", "Adagrad", "RMSprop")
"""Optimizers of torch that move every number of a weight by itself, so that they move a part of it as the whole."""


Optimizer = Annotated[AdamWOptimizer | AdafactorOptimizer | TorchOptimizer, Field(discriminator="kind")]


class ConstantSchedule(Section):
    """The peak rate after warmup."""

    kind: Literal["constant"]

    warmup_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly to its peak."""


class LinearSchedule(Section):
    """From the peak rate straight down to zero after warmup."""

    kind: Literal["linear"]

    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly to its peak."""


class CosineSchedule(Section):
    """From the peak rate down to zero along half a cosine after warmup (Loshchilov & Hutter 2017)."""

    kind: Literal["cosine"]

    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly to its peak."""


class WsdSchedule(Section):
    """Warmup, stable, decay (Hu et al. 2024, MiniCPM): the peak rate for most of the steps, then straight down to
    zero."""

    kind: Literal["wsd"]

    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly to its peak."""

    decay_share: float = Field(default=0.2, gt=0, le=1)
    """Share of the steps over which it falls again."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.warmup_share + self.decay_share > 1:
            raise ValueError("warmup_share and decay_share are more than all steps together")
        return self


Schedule = Annotated[ConstantSchedule | LinearSchedule | CosineSchedule | WsdSchedule, Field(discriminator="kind")]


class RetentionSection(Section):
    """A penalty on forgetting: on texts that the model wrote freely before it was tuned, its predictions are held to
    what they were (learning without forgetting, Li & Hoiem 2016)."""

    weight: float = Field(default=1.0, gt=0)
    """Of the penalty (nats a token) beside the loss of the rows. More keeps more and learns slower."""

    texts: int = Field(default=128, ge=1)
    """How many texts are drawn from the model before the first step."""

    tokens: int = Field(default=128, ge=2)
    """Length of each."""

    texts_a_step: int = Field(default=2, ge=1)
    """How many of them stand beside the rows of an optimizer step."""

    candidates: int = Field(default=128, ge=1)
    """How many of the most likely tokens are held at each place; all others count as one."""


class TuneSection(Section):
    """One tuning run: what is minimized, which weights move, and how the step is computed."""

    data: DataSection | None = None
    """What ``tutelage tune`` learns from; null: the curated rows of a round of the run."""

    objective: Objective = SftObjective(kind="sft")
    """What is minimized."""

    method: Method = LoraMethod(kind="lora")
    """Which weights move."""

    optimizer: Optimizer = AdamWOptimizer(kind="adamw")
    """How they move."""

    schedule: Schedule = LinearSchedule(kind="linear")
    """How the learning rate changes over the steps."""

    retention: RetentionSection | None = None
    """What holds the model to what it could do before; null: nothing but the rows."""

    epochs: int = Field(default=1, ge=1)
    """How often each row is seen."""

    max_steps: int = Field(default=0, ge=0)
    """Most optimizer steps, where ``epochs`` would be more; 0 = no limit. What a model forgets grows with its steps, so
    later rounds, which hold more rows, need not take more."""

    batch_size: int = Field(default=16, ge=1)
    """Rows an optimizer step."""

    max_tokens: int = Field(default=1024, ge=2)
    """Longest row. A longer one is dropped into the ledger, never truncated."""

    micro_batch_tokens: int = Field(default=1024, ge=2)
    """Tokens computed at once: bounds the memory and changes no result. A longer row is computed alone."""

    activation_checkpointing: bool = False
    """Whether each layer is computed a second time on the way back instead of keeping what it computed: far less memory
    for a third more work, and no other result."""

    sharding: Literal["none", "full"] = "none"
    """How several processes (torchrun) hold the model: ``none``, each all of it; ``full``: each holds its share of
    every weight, of its float32 copy, gradient and moments, and the others' only while a layer computes (FSDP2).
    Changes no result; one process alone holds all in either case."""

    clip_norm: float = Field(default=1.0, ge=0)
    """Longest gradient (Euclidean norm over all trained weights); 0 = never clipped."""

    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """Arithmetic of the model while training; ``auto`` is the one it was loaded in (section ``model``)."""

    checkpoint_every: int = Field(default=20, ge=0)
    """Steps between checkpoints; 0 = never."""

    watchdog: WatchdogSection | None = None
    """What stops a training that diverges; null: only what is not a number does."""

    early_stopping: EarlyStoppingSection | None = None
    """What ends a training whose answers get no better and keeps its best weights; null: it makes all its steps, and
    the last weights are kept."""

    @model_validator(mode="after")
    def _has_others_to_compare(self) -> Self:
        if self.objective.rows == "unpaired" and self.batch_size < 2:
            raise ValueError(
                "objective: kto compares the rows of a step with one another; take a batch_size of 2 or more"
            )
        return self

    @property
    def row_tokens(self) -> int:
        """Longest row: ``max_tokens``, less what the answer to a prompt may take."""
        return self.max_tokens - (self.objective.max_tokens if isinstance(self.objective, GrpoObjective) else 0)

    @model_validator(mode="after")
    def _asks_what_it_can_answer(self) -> Self:
        if self.objective.rows == "prompts" and self.data is not None:
            raise ValueError(
                "data: grpo asks the train split of the recipe's tasks; leave it out, or make the file a task "
                "({kind: rows, path: ..., check: ...})"
            )
        if self.row_tokens < 2:
            raise ValueError(
                f"max_tokens: prompt and answer together are at most {self.max_tokens} tokens, and "
                "objective.max_tokens leaves none of them to the prompt"
            )
        return self

    @model_validator(mode="after")
    def _samples_what_it_trains(self) -> Self:
        teaching = teaching_of(self.objective)
        on_policy = "kd with on_policy" if teaching is not None and teaching.on_policy else ""
        samples = "grpo" if isinstance(self.objective, GrpoObjective) else on_policy
        if not samples and self.early_stopping is not None:
            samples = "early_stopping"
        if samples and self.method.kind in ("prefix", "prompt"):
            raise ValueError(
                f"method: {self.method.kind} is in no weight of the model that {samples} samples from; take lora or "
                "another"
            )
        return self

    @model_validator(mode="after")
    def _trains_the_head_of_rewards(self) -> Self:
        if isinstance(self.objective, RewardObjective) and not trains_reward_heads(self.method):
            raise ValueError(
                f"method: {self.method.kind} trains no head for rewards; take lora (init: default), dora, ia3 or full"
            )
        return self

    @model_validator(mode="after")
    def _writes_answers_to_look_at(self) -> Self:
        if self.early_stopping is not None and isinstance(self.objective, RewardObjective):
            raise ValueError("early_stopping: a reward model writes no answers that could be scored; leave it out")
        return self

    @model_validator(mode="after")
    def _has_tokens_to_retain(self) -> Self:
        if self.retention is not None and isinstance(self.objective, RewardObjective):
            raise ValueError("retention: a reward model predicts no tokens that it could be held to; leave it out")
        return self

    @model_validator(mode="after")
    def _moves_what_begins_at_zero(self) -> Self:
        if isinstance(self.optimizer, AdafactorOptimizer) and begins_at_zero(self.method):
            raise ValueError(
                "optimizer: adafactor moves weights in proportion to their size, and these adapters begin at zero; "
                "take adamw, or method: {kind: full}"
            )
        return self

    @model_validator(mode="after")
    def _can_be_sharded(self) -> Self:
        if self.sharding == "none":
            return self
        if fault := _unsharded_method(self.method) or _unsharded_optimizer(self.optimizer):
            raise ValueError(f"sharding: {fault}, or leave sharding out")
        teaching = teaching_of(self.objective)
        if isinstance(self.objective, GrpoObjective) or (teaching is not None and teaching.on_policy):
            raise ValueError(
                f"sharding: {self.objective.kind} samples the model's own answers, which one process does with the "
                "whole model; leave sharding out"
            )
        return self


def _unsharded_method(method: Method) -> str:
    """Say why the weights that a method moves cannot be sharded, and what to take; "": they can."""
    if isinstance(method, QloraMethod):
        return "the weights of qlora are packed 4-bit numbers, which are not cut; take lora"
    if isinstance(method, PrefixMethod | PromptMethod):
        return f"what {method.kind} learns is in no layer of the model that could be cut; take lora"
    if isinstance(method, LoraMethod) and method.init != "default":
        return (
            f"adapters that begin at a part of the weights ({method.init}) stand beside the model; take init: default"
        )
    return ""


def _unsharded_optimizer(optimizer: Optimizer) -> str:
    """Say why an optimizer cannot move a part of a weight as the whole, and what to take; "": it can."""
    if isinstance(optimizer, AdafactorOptimizer):
        return "adafactor moves a weight by means over all of its rows and columns; take adamw"
    if isinstance(optimizer, TorchOptimizer) and optimizer.name not in ELEMENTWISE:
        return f"it is not known that {optimizer.name} moves every number by itself; take {', '.join(ELEMENTWISE)}"
    return ""
