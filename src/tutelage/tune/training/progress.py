"""What the loop says of itself: typed records, one after another, the summary last."""

from typing import Literal

from pydantic import Field

from tutelage.records import Record


class Prepared(Record):
    """Before the first step: ``done`` of ``total`` texts are computed. ``free texts`` are drawn from the model as it
    came and read (``tune.retention``); ``reference``: answers of which its log-probability is computed; ``teacher``:
    rows that a teacher reads."""

    kind: Literal["prepared"] = "prepared"
    what: Literal["free texts", "reference", "teacher"]
    done: int
    total: int


class Started(Record):
    """Before the first step. ``dropped`` maps the index of a row that is not trained on to the reason.

    ``backend`` names how attention is kept inside documents and ``head`` how the loss reads the output layer
    (``chunked``, ``model``, or ``reward``: one number a document), both as verified on this model; ``resumed_from`` is
    the number of steps that a checkpoint brought along.
    """

    kind: Literal["started"] = "started"
    rows: int
    dropped: dict[int, str]
    steps: int
    resumed_from: int
    trainable_parameters: int
    parameters: int
    dtype: str
    backend: str
    head: str


class Step(Record):
    """One optimizer step, counted from 1. ``loss`` is Σ loss / Σ weight over the rows of the step (for SFT: nats a
    target token), ``retention`` the mean divergence from the start in nats a token, without its weight (None: no
    penalty), ``told`` what the objective tells of its rows besides, as means over them (of pairs: ``accuracy``, the
    share whose chosen answer has the higher reward, ``margin`` between both, ``chosen`` and ``rejected``; of answers
    to prompts: ``tutelage.tune.policy.facts_of``, the share of ``clipped`` tokens and the ``kl`` divergence; of a
    student's own answers: ``tutelage.tune.own_answers.facts_of``);
    ``grad_norm`` is the norm before clipping; ``tokens`` counts all tokens, those of the penalty too,
    ``target_tokens`` the learned ones of the rows."""

    kind: Literal["step"] = "step"
    step: int
    epoch: int
    loss: float
    told: dict[str, float] = Field(default_factory=dict)
    retention: float | None = None
    lr: float
    grad_norm: float
    rows: int
    tokens: int
    target_tokens: int
    micro_batches: int
    seconds: float


class Saved(Record):
    """A checkpoint after ``step`` steps is safe on disk."""

    kind: Literal["saved"] = "saved"
    step: int


class Look(Record):
    """What the weights after ``step`` steps (0: those that the training began with) answered to the probe items, for
    early stopping. ``run`` is the fingerprint of the tuning. ``score`` is the mean over cells of the mean score of
    the answers that have one; of all ``answers`` so many are ``unscored``, and ``ended`` is the share that was not cut
    off. ``best`` is the step of the highest score so far, whose weights are kept."""

    kind: Literal["look"] = "look"
    run: str
    step: int
    score: float
    answers: int
    unscored: int
    ended: float
    best: int
    seconds: float


class Stopping(Record):
    """How early stopping ended a training that was to make ``planned`` steps: the weights after ``kept`` steps (0:
    those that it began with) were saved, whose answers had ``score``. ``why``: no rise for the looks of ``patience``,
    or all ``steps`` were made."""

    kept: int
    score: float
    planned: int
    why: Literal["patience", "steps"]
    looks: tuple[Look, ...]


class Summary(Record):
    """The whole run. Tokens count every time they were trained on; ``seconds`` is the time inside steps.

    ``peak_rss_bytes`` is the peak of the whole process so far, ``peak_device_bytes`` that of the accelerator (0 on a
    CPU). ``reload_difference`` is the largest difference of logits (of a reward model: of rewards) between the trained
    model and what was reloaded. ``told`` are the means of what the objective told over the first and over the last
    tenth of the steps. With early stopping ``stopping`` says which weights were saved; ``steps`` and ``losses`` are
    those of all steps that were made.
    """

    kind: Literal["summary"] = "summary"
    fingerprint: str
    rows: int
    dropped: dict[int, str]
    steps: int
    total_tokens: int
    target_tokens: int
    seconds: float
    tokens_per_second: float
    peak_rss_bytes: int
    peak_device_bytes: int
    trainable_parameters: int
    parameters: int
    dtype: str
    backend: str
    head: str
    micro_batch_tokens: int
    reload_difference: float
    losses: tuple[float, ...]
    told: tuple[dict[str, float], ...] = ()
    stopping: Stopping | None = None


Progress = Prepared | Started | Step | Look | Saved | Summary
