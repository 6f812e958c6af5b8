"""Whether a step will fit, said before the first one: its estimated memory beside what is free.

Not counted beside what the estimate leaves out: a teacher that reads along, the cache in which answers are drawn, and
the layer of a sharded model that is gathered at the moment.
"""

from collections.abc import Sequence

from tutelage.launch import place
from tutelage.models.bundle import Bundle
from tutelage.recipe.grpo import GrpoObjective
from tutelage.recipe.objectives import RewardObjective, teaching_of
from tutelage.recipe.tune import AdafactorOptimizer, TuneSection
from tutelage.tune.estimate import StepMemory, estimate_step
from tutelage.tune.rows import Asked, Row, documents_of, why_unusable
from tutelage.tune.training.batches import target_count
from tutelage.tune.training.memory import free_bytes

MB = 1e6


def largest_micro_batch(rows: Sequence[Row], section: TuneSection) -> tuple[int, int]:
    """Return tokens and learned tokens of the largest micro-batch that a step of ``rows`` can have.

    A row stands whole in one (of a pair both answers), so one that is longer than ``micro_batch_tokens`` decides; else
    it is what the longest rows of a step come to, with the texts of the penalty on forgetting.
    """
    sizes = sorted((_size(row, section) for row in rows), reverse=True)[: section.batch_size]
    beside = 0 if section.retention is None else section.retention.texts_a_step * section.retention.tokens
    together = sum(tokens for tokens, _ in sizes) + beside
    tokens = max(sizes[0][0], min(section.micro_batch_tokens, together))
    return tokens, min(tokens, max(targets for _, targets in sizes) * section.batch_size + beside)


def memory_words(bundle: Bundle, rows: Sequence[Row], section: TuneSection, *, free: int | None = None) -> str:
    """Return in words what a step is estimated to take, how that is known, and whether it fits; "" where no row can be
    trained on.

    ``free``: bytes that may still be taken; default: what the device of the model has. The model must have no adapter
    in it yet.
    """
    usable = [row for row in rows if not why_unusable(row, section, bundle.context)]
    if not usable:
        return ""
    tokens, targets = largest_micro_batch(usable, section)
    longest = max(_longest(row, section) for row in usable)
    memory = estimate_step(bundle, section, tokens=tokens, targets=targets, longest=longest)
    if memory is None:
        return f"what a step takes is not estimated for method {section.method.kind} on this model"
    holders = place().count if section.sharding == "full" else 1
    memory = memory.model_copy(update={"training": memory.training // holders})
    shared = f" (a share: {holders} processes hold it together)" if holders > 1 else ""
    said = (
        f"a step takes about {_mb(memory.beside_weights)} beside the weights' {_mb(memory.weights)}, as estimated from "
        f"the sizes of the layers: {_mb(memory.training)} for what is trained{shared}, {_mb(memory.activations)} for "
        f"{tokens:,} tokens at once, {_mb(memory.logits)} for their logits"
        + (f", {_mb(memory.scores)} for scores of attention" if memory.scores else "")
    )
    left = free if free is not None else free_bytes(bundle.model.device)
    if left is None:
        return said
    if memory.beside_weights <= left:
        return f"{said}; {_mb(left)} are free"
    return f"{said}. That is more than the {_mb(left)} that are free: {_remedy(memory, tokens, section)}"


def _size(row: Row, section: TuneSection) -> tuple[int, int]:
    """Tokens and learned tokens of a row; of a prompt, with the longest of all answers to it, computed together."""
    if isinstance(row, Asked) and isinstance(section.objective, GrpoObjective):
        answers = section.objective.group * section.objective.max_tokens
        return len(row.prompt) + answers, answers
    documents = documents_of(row).values()
    tokens = sum(map(len, documents))
    targets = 0 if isinstance(section.objective, RewardObjective) else sum(map(target_count, documents))
    teaching = teaching_of(section.objective)
    if teaching is None or not teaching.on_policy:
        return tokens, targets
    return min(section.max_tokens, tokens + teaching.answer_tokens), max(targets, teaching.answer_tokens)


def _longest(row: Row, section: TuneSection) -> int:
    """Tokens of a row's longest document."""
    return _size(row, section)[0] if isinstance(row, Asked) else max(map(len, documents_of(row).values()))


def _remedy(memory: StepMemory, tokens: int, section: TuneSection) -> str:
    """What to lower: that which takes the most."""
    if memory.training > memory.activations + memory.logits + memory.scores:
        if section.method.kind != "full":
            return "lower the rank of the adapters (tune.method.r)"
        kept = isinstance(section.optimizer, AdafactorOptimizer) or section.sharding == "full"
        return "take lora, which trains far less" + ("" if kept else ", or optimizer: {kind: adafactor}")
    if tokens > section.micro_batch_tokens and isinstance(section.objective, GrpoObjective):
        return "the answers to a prompt are computed together; lower tune.objective.group or its max_tokens"
    anew = memory.activations > memory.logits and not section.activation_checkpointing
    other = ", or set tune.activation_checkpointing: true" if anew else ""
    if tokens > section.micro_batch_tokens:
        alone = f"the longest row has {tokens:,} tokens and is computed alone"
        return f"{alone}; lower tune.max_tokens to drop such rows{other}"
    return f"lower tune.micro_batch_tokens (now {section.micro_batch_tokens:,}){other}, which changes no result"


def _mb(size: int) -> str:
    return f"{size / MB:,.0f} MB"
