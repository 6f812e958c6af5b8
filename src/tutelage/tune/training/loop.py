"""The one training loop: a generator of progress records.

Objective × method × engine: the loop asks the objective what a row costs, the method which weights move, and knows
neither. Called again with the same arguments after a kill it goes on from the last checkpoint and gives the losses
that an uninterrupted run gives.
"""

import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import takewhile
from pathlib import Path

from torch import Tensor

from tutelage.errors import TrainingError
from tutelage.files import append_line, write_atomic
from tutelage.models.hardware import cast_weights, pick_dtype
from tutelage.models.load import Bundle
from tutelage.models.rewards import with_reward_head
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.objectives import RewardObjective, teaching_of
from tutelage.recipe.tune import TuneSection
from tutelage.seeds import derive_seed
from tutelage.tune.methods import Tuned, build_method, learned_before, require_trained
from tutelage.tune.objectives import build_objective
from tutelage.tune.own_answers import OwnAnswers
from tutelage.tune.policy import Policy, Reward
from tutelage.tune.probing import Probe, prober_of
from tutelage.tune.reference import FILE as REFERENCE_FILE
from tutelage.tune.reference import Reference
from tutelage.tune.rollouts import RolloutLog
from tutelage.tune.rows import KINDS, Row, documents_of, why_unusable
from tutelage.tune.teacher import FILE as TEACHER_FILE
from tutelage.tune.teacher import OpenTeacher, Teacher
from tutelage.tune.training.attention import connect
from tutelage.tune.training.batches import rows_of_step, steps_an_epoch, total_steps
from tutelage.tune.training.checkpoint import (
    Position,
    fingerprint_of,
    load_checkpoint,
    load_summary,
    save_checkpoint,
)
from tutelage.tune.training.memory import peak_device_bytes, peak_rss_bytes
from tutelage.tune.training.network import Network
from tutelage.tune.training.optimizers import Optimizer
from tutelage.tune.training.preparing import let_speak, opened_by, refer, retain
from tutelage.tune.training.processes import ALONE, Processes
from tutelage.tune.training.progress import Progress, Saved, Started, Step, Stopping, Summary
from tutelage.tune.training.saving import save_weights
from tutelage.tune.training.schedules import rate_share
from tutelage.tune.training.sharding import moving, require_shardable
from tutelage.tune.training.step import Accumulated, Batch, accumulate, update
from tutelage.tune.training.stopping import BEST, Looks
from tutelage.tune.training.watchdog import watch

RELOAD_ROWS = 3


def train(
    bundle: Bundle,
    rows: Sequence[Row],
    section: TuneSection,
    *,
    folder: Path,
    seed: int,
    open_teacher: OpenTeacher | None = None,
    reward: Reward | None = None,
    probe: Probe | None = None,
    processes: Processes = ALONE,
) -> Iterator[Progress]:
    """Tune the bundle's model on ``rows``, of the kind that the objective learns from; the weights get to
    ``folder/weights``.

    Yields :class:`Prepared` for what is computed before the first step, :class:`Started`, a :class:`Step` per optimizer
    step, a :class:`Look` where early stopping looks, :class:`Saved` per checkpoint and :class:`Summary` at the end; a
    finished run yields its summary again and does nothing. ``folder`` also gets ``metrics.jsonl`` (the steps),
    ``summary.json`` (written last) and, where the objective refers to the model as it came or to a teacher that speaks
    once, ``reference.json`` or ``teacher.safetensors`` until it is finished. The model is taken over: its weights are
    cast to the arithmetic of the section, LoRA freezes them and takes its adapter out at the end, prefix and prompt
    tuning freeze them, full tuning changes them; a sharded one is whole in the main process alone at the end. For
    rewards its decoder gets a head of its own, drawn from the seed and saved with the weights. ``open_teacher`` gives
    the teacher of distillation; without it, it is loaded to where the model is. ``reward`` scores the model's answers
    where the rows are prompts; its answers stay in ``rollouts.jsonl``, as do those of on-policy distillation.
    ``probe`` is what early stopping asks: its scores stay in ``looks.jsonl``, and the best weights that it saw are
    saved. Several ``processes`` that call it alike make every step together, and the main one writes the files.

    Raises
    ------
    TrainingError: no row can be trained on, loss or gradient are not finite or diverge (``section.watchdog``), memory
        does not suffice for one row, the saved weights do not compute what the trained model computes, or another
        process has ended.
    ModelError: documents packed into one row cannot be kept apart in this model, or its answers cannot be sampled.
    CompletionError: no memory to sample them. RunError: ``folder`` holds another run. StorageError: the disk refuses.
    """
    reference = Reference()
    teaching = teaching_of(section.objective)
    teacher = None if teaching is None else Teacher(teaching)
    policy, answers = _answering(section, processes)
    if section.early_stopping is not None:
        processes.refuse("early stopping", where="tune.early_stopping")
    objective = build_objective(
        section.objective, reference, teacher, longest=section.max_tokens, policy=policy, own=answers
    )
    kept, dropped = _usable(rows, section, bundle.context)
    rows = [rows[name] for name in kept]
    bundle = _taken_over(bundle, section, seed)
    require_shardable(bundle, section, processes)
    model = bundle.model
    scored_by = (reward.identity if reward is not None else "") + (probe.identity if probe is not None else "")
    fingerprint = fingerprint_of(model, rows, section, seed=seed, reward=scored_by)
    # a folder of another run is refused before anything is written
    finished, checkpoint = _found(folder, fingerprint, processes)
    if finished is not None:
        if processes.is_main:
            _clear(folder)  # a kill may have come between summary and removal
        yield finished
        return
    size, updates = section.batch_size, objective.updates
    steps = total_steps(len(rows), batch_size=size, epochs=section.epochs, max_steps=section.max_steps, updates=updates)
    chosen_at = partial(rows_of_step, rows=len(rows), batch_size=size, seed=seed)
    if not reference.load(folder, fingerprint):
        asked = (objective.referred([rows[row] for row in chosen_at(index)]) for index in range(steps))
        yield from refer(bundle, reference, asked, limit=section.micro_batch_tokens, processes=processes)
        if processes.is_main:
            reference.save(folder, fingerprint)
    opened = opened_by(open_teacher, model.device)
    if teacher is not None and teacher.section.top_k is not None:
        yield from let_speak(
            teacher,
            opened,
            bundle,
            objective.taught(rows),
            folder=folder,
            fingerprint=fingerprint,
            limit=section.micro_batch_tokens,
            processes=processes,
        )
    retention = None
    if section.retention is not None:
        retention = yield from retain(bundle, section.retention, seed=seed, processes=processes)
    with ExitStack() as stack:
        tuned = build_method(section.method)(bundle, derive_seed(seed, "method"))
        stack.callback(tuned.release)
        if teacher is not None and teacher.section.top_k is None:
            stack.enter_context(teacher.beside(opened(teacher.section), bundle))
        _begin(policy, answers, bundle, tuned, rows=rows, reward=reward, log=(folder, fingerprint), seed=seed)
        ask = prober_of(section.early_stopping, bundle, tuned, probe)
        fresh = Position(fingerprint=fingerprint, micro_batch_tokens=section.micro_batch_tokens, history=())
        position, state = (fresh, None) if checkpoint is None else checkpoint
        if processes.is_main:
            write_atomic(folder / "metrics.jsonl", "".join(step.to_json() + "\n" for step in position.history))
        made = len(position.history)
        is_well = watch(section.watchdog, position.history)
        looks = Looks(section.early_stopping, folder, fingerprint=fingerprint, steps=steps, made=made, ask=ask)
        learned = learned_before(tuned)
        _require_room(bundle, rows, 0 if learned is None else learned.count)
        with ExitStack() as computing:
            network = computing.enter_context(connect(tuned.model, learned, anew=section.activation_checkpointing))
            started = _started(tuned, network, rows=len(rows), dropped=dropped, steps=steps, made=made)
            network, optimizer = computing.enter_context(moving(tuned, network, section, state, processes=processes))
            checkpoint = state = None  # it may be larger than what this process holds
            yield started
            if not made:
                yield from looks.after(0, optimizer)
            for index in takewhile(looks.go_on, range(made, steps)):
                began = time.perf_counter()
                chosen = chosen_at(index // updates)
                members = [rows[row] for row in chosen]
                model.train(False)  # what is looked at before a step is looked at without dropout
                ready = objective.at(index).before(members, network, position.micro_batch_tokens)
                model.train()
                batch = Batch(index + 1, ready, [kept[row] for row in chosen], members)
                beside = [] if retention is None else [retention.of_step(index)]
                done = accumulate(
                    network,
                    [batch, *beside],
                    optimizer=optimizer,
                    limit=position.micro_batch_tokens,
                    seed=derive_seed(seed, "dropout", index),
                    processes=processes,
                )
                lr = section.optimizer.lr * rate_share(section.schedule, index, steps=steps)
                norm = update(optimizer, batch, lr=lr, clip_norm=section.clip_norm)
                epoch = index // (updates * steps_an_epoch(len(rows), size)) + 1
                seconds = time.perf_counter() - began
                step = _told_of(done, batch, epoch=epoch, lr=lr, norm=norm, seconds=seconds)
                position = position.after(step, limit=done.limit)
                if processes.is_main:
                    append_line(folder / "metrics.jsonl", step.to_json())
                yield step
                every = section.checkpoint_every if is_well(step) else 0  # none replaces the last good one
                yield from looks.after(step.step, optimizer)
                if every and (step.step % every == 0 or not looks.go_on(step.step)):
                    _keep(folder, position, optimizer, processes)
                    yield Saved(step=step.step)
            optimizer.require_same(processes)
        stopped = looks.put_back(optimizer, len(position.history))
        documents = [document for row in rows[:RELOAD_ROWS] for document in documents_of(row).values()]
        difference = processes.from_main(partial(save_weights, tuned, documents, target=folder / "weights"))
        summary = _summary(started, position, reload_difference=difference, stopping=stopped)
        if processes.is_main:
            write_atomic(folder / "summary.json", summary.model_dump_json(indent=2) + "\n")
            _clear(folder)
    yield summary


def _taken_over(bundle: Bundle, section: TuneSection, seed: int) -> Bundle:
    """The bundle in the arithmetic of the section, with a head for rewards if these are learned."""
    require_trained(bundle, section.method)
    if bundle.virtual is not None:
        remedy = "load the base model"
        raise TrainingError("virtual tokens stand before the texts of the model already", remedy=remedy)
    if isinstance(section.objective, RewardObjective):
        bundle = with_reward_head(bundle, seed=derive_seed(seed, "head"))
    if section.dtype != "auto":
        cast_weights(bundle.model, pick_dtype(section.dtype, bundle.model.device))
    return bundle


def _answering(section: TuneSection, processes: Processes) -> tuple[Policy | None, OwnAnswers | None]:
    """Who samples the model's own answers, in one process alone: groups that are scored, or answers for rows."""
    teaching = teaching_of(section.objective)
    if isinstance(section.objective, GrpoObjective):
        processes.refuse("reinforcement learning", where="tune.objective")
        return Policy(section.objective), None
    if teaching is not None and teaching.on_policy:
        processes.refuse("distillation on the student's own answers", where="tune.objective")
        return None, OwnAnswers(teaching, section.max_tokens)
    return None, None


def _begin(
    policy: Policy | None,
    answers: OwnAnswers | None,
    bundle: Bundle,
    tuned: Tuned,
    *,
    rows: Sequence[Row],
    reward: Reward | None,
    log: tuple[Path, str],
    seed: int,
) -> None:
    """Give the model to whoever samples its answers; ``log``: the folder of the run, and its fingerprint."""
    seed = derive_seed(seed, "answers")
    if answers is not None:
        answers.begin(bundle, tuned, log=RolloutLog(*log), seed=seed)
    if policy is not None:
        policy.begin(bundle, tuned, rows, reward=reward, log=RolloutLog(*log), seed=seed)


def _found(
    folder: Path, fingerprint: str, processes: Processes
) -> tuple[Summary | None, tuple[Position, dict[str, Tensor]] | None]:
    """What there is of the run: the summary of a finished one, else the newest checkpoint; the same for everybody."""
    finished = load_summary(folder, fingerprint)
    checkpoint = load_checkpoint(folder, fingerprint) if finished is None else None
    made = 0 if checkpoint is None else len(checkpoint[0].history)
    processes.require_same(lambda: (fingerprint, finished is None, made), "model, settings, rows or checkpoint")
    return finished, checkpoint


def _keep(folder: Path, position: Position, optimizer: Optimizer, processes: Processes) -> None:
    """Make a checkpoint of weights that are the same in all processes."""
    optimizer.require_same(processes)
    state = optimizer.state()  # every process gives its part
    processes.from_main(lambda: save_checkpoint(folder, position, state=state))


def _clear(folder: Path) -> None:
    """Remove what only an unfinished run needs."""
    for place in ("checkpoints", BEST):
        shutil.rmtree(folder / place, ignore_errors=True)
    for file in (REFERENCE_FILE, TEACHER_FILE):
        (folder / file).unlink(missing_ok=True)


def _usable(rows: Sequence[Row], section: TuneSection, context: int | None) -> tuple[list[int], dict[int, str]]:
    if not rows:
        raise TrainingError("there are no rows to train on", remedy="look at the ledger: where did they go?")
    wanted = KINDS[section.objective.rows]
    if other := next((row for row in rows if not isinstance(row, wanted)), None):
        raise TrainingError(
            f"the objective {section.objective.kind} learns from {section.objective.rows}",
            received=next(kind for kind, type_ in KINDS.items() if isinstance(other, type_)),
            remedy="give it such rows, or take another objective",
        )
    reasons = {name: why_unusable(row, section, context) for name, row in enumerate(rows)}
    kept = [name for name, reason in reasons.items() if not reason]
    dropped = {name: reason for name, reason in reasons.items() if reason}
    if not kept:
        reason = next(iter(dropped.values()))
        raise TrainingError(
            "no row can be trained on",
            received=f"{len(dropped)} rows; the first: {reason}",
            remedy="raise max_tokens, or look at the loss mask of such conversations with: tutelage preview",
        )
    return kept, dropped


def _require_room(bundle: Bundle, rows: Sequence[Row], virtual: int) -> None:
    """Refuse rows that do not fit the model's context behind virtual tokens."""
    context = bundle.context
    longest = max(len(document) for row in rows for document in documents_of(row).values())
    if virtual and context and longest + virtual > context:
        raise TrainingError(
            "the longest row does not fit the model's context behind the virtual tokens",
            where="tune.method.tokens",
            received=f"{longest} tokens and {virtual}; the context is {context}",
            remedy=f"lower max_tokens to {context - virtual}, or take fewer virtual tokens",
        )


def _started(tuned: Tuned, network: Network, *, rows: int, dropped: dict[int, str], steps: int, made: int) -> Started:
    return Started(
        rows=rows,
        dropped=dropped,
        steps=steps,
        resumed_from=made,
        trainable_parameters=sum(parameter.numel() for parameter in tuned.parameters.values()),
        parameters=sum(parameter.numel() for parameter in tuned.model.parameters()),
        dtype=str(tuned.model.dtype).removeprefix("torch."),
        backend=network.backend,
        head=network.reads,
    )


def _told_of(done: Accumulated, batch: Batch[Row], *, epoch: int, lr: float, norm: float, seconds: float) -> Step:
    """What is told of a step; beside its rows there is the penalty on forgetting, or nothing."""
    learned, *beside = done.batches
    return Step(
        step=batch.step,
        epoch=epoch,
        loss=learned.loss,
        told=dict(learned.told),
        retention=beside[0].loss if beside else None,
        lr=lr,
        grad_norm=norm,
        rows=len(batch.rows),
        tokens=sum(part.tokens for part in done.batches),
        target_tokens=learned.target_tokens,
        micro_batches=done.micro_batches,
        seconds=seconds,
    )


def _summary(started: Started, position: Position, *, reload_difference: float, stopping: Stopping | None) -> Summary:
    history = position.history
    tokens, seconds = sum(step.tokens for step in history), sum(step.seconds for step in history)
    return Summary(
        fingerprint=position.fingerprint,
        rows=started.rows,
        dropped=started.dropped,
        steps=len(history),
        total_tokens=tokens,
        target_tokens=sum(step.target_tokens for step in history),
        seconds=seconds,
        tokens_per_second=tokens / seconds,
        peak_rss_bytes=peak_rss_bytes(),
        peak_device_bytes=peak_device_bytes(),
        trainable_parameters=started.trainable_parameters,
        parameters=started.parameters,
        dtype=started.dtype,
        backend=started.backend,
        head=started.head,
        micro_batch_tokens=position.micro_batch_tokens,
        reload_difference=reload_difference,
        losses=tuple(step.loss for step in history),
        told=_told(history),
        stopping=stopping,
    )


def _told(history: Sequence[Step]) -> tuple[dict[str, float], ...]:
    """Means over the first and over the last tenth of the steps of what the objective told; nothing if it is silent."""
    tenth = math.ceil(len(history) / 10)
    names = history[0].told
    return tuple(
        {name: sum(step.told[name] for step in part) / tenth for name in names}
        for part in (history[:tenth], history[-tenth:])
        if names
    )
