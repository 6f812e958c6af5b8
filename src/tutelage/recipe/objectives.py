"""What is minimized: one section for each objective, told apart by ``kind``."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tutelage.recipe.base import Section
from tutelage.recipe.grpo import GrpoObjective
from tutelage.records.base import RowKind

Average = Literal["token", "square", "row"]


class SftObjective(Section):
    """Supervised fine-tuning: cross-entropy of the assistant's tokens, their end token included."""

    rows: ClassVar[RowKind] = "examples"

    kind: Literal["sft"]

    average: Average = "token"
    """What weighs the same: every token (long answers decide), every row (n tokens weigh 1/n each), or, between them,
    1/√n each."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """ε: the target is learned with weight 1 − ε, and ε is spread over the whole vocabulary (Szegedy et al. 2016)."""

    noise: float = Field(default=0.0, ge=0)
    """α of NEFTune (Jain et al. 2023): uniform noise of up to α/√(L·d) on the embeddings of a row of L tokens and d
    numbers each, while training; 5 to 15 where it is used. Rows then share no computation of what they begin with."""


class DpoObjective(Section):
    """Direct preference optimization (Rafailov et al. 2023, eq. 7): −log σ(β·(r_w − r_l)), where r is the
    log-probability of an answer less that under the model it starts from. Wants a tenth or less of SFT's learning
    rate."""

    rows: ClassVar[RowKind] = "pairs"

    kind: Literal["dpo"]

    beta: float = Field(default=0.1, gt=0)
    """β: how dearly distance from the start is paid for; more stays nearer."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """ε: the share of pairs that are taken to be the wrong way round (conservative DPO, Mitchell 2023)."""


class IpoObjective(Section):
    """Identity preference optimization (Azar et al. 2023, eq. 17): (h − 1/(2τ))², where h is the difference of the two
    answers' log-probability ratios to the start. Ratios are means over an answer's tokens, as the authors advise."""

    rows: ClassVar[RowKind] = "pairs"

    kind: Literal["ipo"]

    tau: float = Field(default=0.1, gt=0)
    """τ: weight of staying near the start; the difference aimed at is 1/(2τ)."""


class KtoObjective(Section):
    """Kahneman-Tversky optimization (Ethayarajh et al. 2024, eq. 8): learns from single answers that are wanted or not.
    λ·(1 − σ(±β·(r − z))), where r is an answer's log-probability ratio to the start and z what such ratios come to for
    answers to other questions of the same step, at least 0."""

    rows: ClassVar[RowKind] = "unpaired"

    kind: Literal["kto"]

    beta: float = Field(default=0.1, gt=0)
    """β: how dearly distance from the start is paid for."""

    wanted: float = Field(default=1.0, gt=0)
    """λ_D: weight of the answers that are wanted. Keep weight times number alike for both, within a third."""

    unwanted: float = Field(default=1.0, gt=0)
    """λ_U: weight of the others."""


class OrpoObjective(Section):
    """Odds ratio preference optimization (Hong et al. 2024, eq. 6): supervised tuning on the chosen answer and
    −λ·log σ(log odds(chosen) − log odds(rejected)) besides, odds of an answer's mean token probability. Needs no model
    to refer to, and takes the place of supervised tuning."""

    rows: ClassVar[RowKind] = "pairs"

    kind: Literal["orpo"]

    weight: float = Field(default=0.1, gt=0)
    """λ: of the odds ratio beside the cross-entropy of the chosen answers."""


class SimpoObjective(Section):
    """Simple preference optimization (Meng et al. 2024, eq. 6): −log σ(β·(mean log p_w − mean log p_l) − γ). Needs no
    model to refer to."""

    rows: ClassVar[RowKind] = "pairs"

    kind: Literal["simpo"]

    beta: float = Field(default=2.0, gt=0)
    """β: scale of the mean log-probabilities."""

    gamma: float = Field(default=1.0, ge=0)
    """γ: the margin that is aimed at; about half of β."""


class RewardObjective(Section):
    """A reward model (Bradley-Terry; Ouyang et al. 2022, eq. 1): −log σ(r_w − r_l − m), where r is one number that a
    new layer makes of the hidden state at the end of an answer. It judges answers, writes none, and is saved as
    transformers' ``AutoModelForSequenceClassification`` with one label."""

    rows: ClassVar[RowKind] = "pairs"

    kind: Literal["reward"]

    margin: float = Field(default=0.0, ge=0)
    """m: by how much the chosen answer's reward is to be higher (Touvron et al. 2023, eq. 2); a row may add a
    ``margin`` of its own."""

    center: float = Field(default=0.0, ge=0)
    """c of a second term c·(r_w + r_l)², which keeps rewards around 0 (Eisenstein et al. 2023); 0.01 where it is
    used."""


class KdObjective(Section):
    """Knowledge distillation: at every target token the student is held to the teacher's whole distribution, not to the
    one token that was written (Hinton et al. 2015; Agarwal et al. 2024). Both must have the same tokenizer."""

    rows: ClassVar[RowKind] = "examples"

    kind: Literal["kd"]

    teacher: str
    """The teacher: a hub id, a folder, a GGUF file or an alias."""

    revision: str | None = None
    """Branch, tag or commit of a hub id."""

    divergence: Literal["forward", "reverse", "jsd"] = "forward"
    """``forward`` is KL(teacher ‖ student) and covers all that the teacher might say; ``reverse`` is
    KL(student ‖ teacher) and keeps to what it would rather say; ``jsd`` stands between."""

    beta: float = Field(default=0.5, gt=0, lt=1)
    """Of ``jsd``: β·KL(teacher ‖ m) + (1 − β)·KL(student ‖ m), m = β·teacher + (1 − β)·student."""

    temperature: float = Field(default=1.0, gt=0)
    """Both distributions are those of logits divided by this; the loss is not multiplied by its square."""

    on_policy: float = Field(default=0.0, ge=0, le=1)
    """λ: share of the rows of a step whose last answer the student writes anew before it, so that it learns where its
    own words lead (GKD, Agarwal et al. 2024); 0: all are learned as they were written. 1 corrects the most."""

    answer_tokens: int = Field(default=128, ge=1)
    """Longest answer of the student; one that does not end there is learned as far as it goes. Prompt and answer
    together fit into ``tune.max_tokens``, which cuts the answer shorter if need be."""

    answer_temperature: float = Field(default=1.0, gt=0)
    """Its answers are drawn from the whole distribution of the logits divided by this; nothing is filtered."""

    top_k: int | None = Field(default=None, ge=1)
    """null: the teacher computes beside the student. A number: it computes once, before the first step, and is then
    freed; its k most likely tokens of each place are kept and all others count as one. ``forward`` only."""

    @model_validator(mode="after")
    def _stored_is_forward(self) -> Self:
        if self.top_k is not None and self.divergence != "forward":
            raise ValueError("top_k: only the forward divergence can be computed from the teacher's most likely tokens")
        return self

    @model_validator(mode="after")
    def _hears_what_is_answered(self) -> Self:
        if self.top_k is not None and self.on_policy:
            raise ValueError(
                "top_k: a teacher that speaks once, before the first step, cannot judge what the student answers later "
                "(on_policy); leave top_k out"
            )
        return self


class KdAnswersObjective(Section):
    """Knowledge distillation from what an endpoint said of the tokens of its own answers, which are learned
    (``construct.distill.top_logprobs``): at each place the student is held to the endpoint's likeliest tokens, all
    others counted as one, by forward KL. Both must have the same tokens."""

    rows: ClassVar[RowKind] = "examples"

    kind: Literal["kd_answers"]

    answers: tuple[str, ...] = ()
    """Logs of answers that the rows come from, such as ``runs/mine/rounds/1/construct/teacher.jsonl``, relative to the
    recipe. A run reads its own, and takes none."""

    top_k: int | None = Field(default=None, ge=1)
    """At most so many of the tokens that were kept; null: all of them."""

    unmatched: Literal["sequence", "drop"] = "sequence"
    """What becomes of the endpoint's answers whose tokens are not the student's, or of which it said nothing:
    ``sequence`` learns them as they are written, ``drop`` leaves them out. Rows of others are learned as written."""


Single = Annotated[
    SftObjective
    | KdObjective
    | KdAnswersObjective
    | DpoObjective
    | IpoObjective
    | KtoObjective
    | OrpoObjective
    | SimpoObjective
    | RewardObjective,
    Field(discriminator="kind"),
]


class Part(Section):
    """One objective of a sum."""

    weight: float = Field(gt=0)
    """What its loss is multiplied by."""

    objective: Single
    """The objective."""


class SumObjective(Section):
    """Several objectives of the same rows, weighted; such as DPO with a tenth of supervised tuning on the chosen
    answers, which keeps their probability from falling (Pang et al. 2024). The model runs once for all of them."""

    kind: Literal["sum"]

    parts: Annotated[tuple[Part, ...], Field(min_length=2)]
    """The objectives and their weights."""

    @property
    def teacher(self) -> KdObjective | None:
        """The part that has a teacher."""
        return next((part.objective for part in self.parts if isinstance(part.objective, KdObjective)), None)

    @property
    def rows(self) -> RowKind:
        """What it learns from: pairs, if one of its parts does."""
        kinds = {part.objective.rows for part in self.parts}
        return next(iter(kinds - {"examples"}), "examples")

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        kinds = [part.objective.kind for part in self.parts]
        if "reward" in kinds:
            raise ValueError("a reward model predicts no tokens: reward stands alone, in no sum")
        if len({part.objective.rows for part in self.parts} - {"examples"}) > 1 or (
            "kto" in kinds and set(kinds) != {"kto"}
        ):
            raise ValueError("its parts learn from different kinds of rows: " + ", ".join(kinds))
        if kinds.count("kd") > 1:
            raise ValueError("one teacher at a time: only one of its parts may be kd")
        if kinds.count("kd_answers") > 1:
            raise ValueError("only one of its parts may be kd_answers")
        if "kd_answers" in kinds and self.rows != "examples":
            raise ValueError(f"kd_answers learns from examples, and its parts from {self.rows}")
        if any(isinstance(part.objective, SftObjective) and part.objective.noise for part in self.parts):
            raise ValueError("noise on the embeddings would reach the other parts too; leave it out")
        return self


Objective = Annotated[
    SftObjective
    | KdObjective
    | KdAnswersObjective
    | DpoObjective
    | IpoObjective
    | KtoObjective
    | OrpoObjective
    | SimpoObjective
    | RewardObjective
    | GrpoObjective
    | SumObjective,
    Field(discriminator="kind"),
]


def teaching_of(objective: Objective) -> KdObjective | None:
    """Return the part of an objective that has a teacher; None if none has."""
    if isinstance(objective, SumObjective):
        return objective.teacher
    return objective if isinstance(objective, KdObjective) else None


def told_by(objective: Objective) -> KdAnswersObjective | None:
    """Return the part of an objective that learns from what an endpoint said; None if none does."""
    parts = [part.objective for part in objective.parts] if isinstance(objective, SumObjective) else [objective]
    return next((part for part in parts if isinstance(part, KdAnswersObjective)), None)
