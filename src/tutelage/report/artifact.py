"""What a model card says of the folder it lies in: what it holds, how it was proved, what it may be used for, how."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tutelage.recipe.methods import (
    DoraMethod,
    FullMethod,
    Ia3Method,
    LastMethod,
    LoraMethod,
    Method,
    QloraMethod,
)
from tutelage.recipe.model import ModelSection
from tutelage.recipe.objectives import KdObjective
from tutelage.recipe.soft_methods import PrefixMethod, PromptMethod
from tutelage.recipe.tasks import TaskSection
from tutelage.recipe.tune import TuneSection
from tutelage.records import Example
from tutelage.records.scores import GateVerdict
from tutelage.report.names import PARADIGMS, guard
from tutelage.report.numbers import plural

UNKNOWN_LICENSE = "not stated by its files: look at the page of the model"
OWN_KINDS = {"rows", "custom"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """An exported folder: the model of a run (``label``), a PEFT adapter or a whole model.

    ``license`` is that of the base model (empty: unknown), ``identity`` the base's name and digest, ``proof`` and
    ``rounding`` are sentences, ``lines`` what loads or serves the folder: what for, and the code.
    """

    label: str
    is_adapter: bool
    dtype: str
    identity: str
    license: str
    proof: str
    rounding: str
    lines: tuple[tuple[str, str], ...]
    not_run: str

    @property
    def holds(self) -> str:
        """What the folder holds."""
        if self.is_adapter:
            return "This folder holds a PEFT adapter, tokenizer, chat template and the tokens that end an answer."
        return f"This folder holds a model in {self.dtype}, tokenizer, chat template and the tokens that end an answer."


def facts(base: str, artifact: Artifact | None, *, adapter: bool) -> dict[str, object]:
    """Return what hubs read at the top of a card."""
    found: dict[str, object] = {"base_model": base, "tags": ["instruction-tuning", "tutelage"]}
    if adapter:
        found["library_name"] = "peft"
    elif artifact is not None:
        found["library_name"] = "transformers"
    if artifact is not None:
        found |= {"license": artifact.license.lower()} if artifact.license else {}
        found["pipeline_tag"] = "text-generation"
    return found


def use(artifact: Artifact) -> list[str]:
    """Return the section on loading and serving, and the one on how the folder was proved."""
    code = [f"{what}:\n\n```{_language(text)}\n{text}\n```" for what, text in artifact.lines]
    proof = [artifact.proof, artifact.rounding] if artifact.rounding else [artifact.proof]
    return ["## Load or serve it\n", *code, artifact.not_run, "## How this folder was proved\n", *proof]


def licenses(model: ModelSection, artifact: Artifact, tasks: Sequence[TaskSection], *, data: str = "") -> list[str]:
    """Return the section on whose work this is made of."""
    lines = [f"- Base model: `{model.id}` ({artifact.identity}), license: {artifact.license or UNKNOWN_LICENSE}."]
    made = [task.kind for task in tasks if task.kind not in OWN_KINDS]
    own = [task.kind for task in tasks if task.kind in OWN_KINDS]
    if made:
        lines.append(f"- Items and demonstrations of {', '.join(made)}: made by tutelage, Apache-2.0.")
    if own or data:
        lines.append(f"- {data or 'Rows of the user'}: license not recorded; whoever brought them must know it.")
    return ["## Licenses and data\n", "\n".join(lines)]


def lineage(rows: Sequence[Example]) -> str:
    """Return who wrote the rows that were learned, in a sentence; empty where there are none."""
    if not rows:
        return ""
    written = Counter((row.lineage.paradigm, row.lineage.author) for row in rows)
    said = [f"{PARADIGMS[paradigm].lower()} by {author}: {n:,}" for (paradigm, author), n in written.most_common()]
    return f"{plural(len(rows), 'row')} were learned ({'; '.join(said)})."


def tuning(section: TuneSection, *, seed: int, rows: int | None, steps: int | None) -> str:
    """Return how the weights were made, in a sentence."""
    optimizer = section.optimizer
    named = getattr(optimizer, "name", optimizer.kind)
    of = f" from {section.objective.teacher}" if isinstance(section.objective, KdObjective) else ""
    much = f" {plural(rows, 'row')}," if rows is not None else ""
    took = f" {plural(steps, 'step')} of {section.batch_size} rows," if steps is not None else ""
    held = ", with a penalty on forgetting" if section.retention is not None else ""
    chosen = ", the weights whose answers to probe items were best" if section.early_stopping is not None else ""
    how = _moved(section.method)
    return (
        f"Objective {section.objective.kind}{of}, {how}, {named} at {optimizer.lr:g} ({section.schedule.kind}),{much}"
        f"{took} seed {seed}{held}{chosen}."
    )


def _moved(method: Method) -> str:
    """Which weights moved, in words."""
    match method:
        case LoraMethod():
            name = {"default": "LoRA", "pissa": "LoRA begun at PiSSA", "olora": "LoRA begun at OLoRA"}[method.init]
            scale = ", scaled by alpha over the root of the rank (rsLoRA)" if method.rslora else ""
            saved = f", saved as rank {2 * method.r}" if method.init != "default" else ""
            return f"{name} of rank {method.r}, alpha {method.alpha}{scale}{saved}"
        case DoraMethod():
            return f"DoRA of rank {method.r}, alpha {method.alpha}"
        case QloraMethod():
            return f"QLoRA (base in 4 bits) of rank {method.r}, alpha {method.alpha}"
        case Ia3Method():
            return "IA³ (one factor a channel)"
        case LastMethod():
            more = [*(["the norm behind them"] if method.norm else []), *(["the output layer"] if method.head else [])]
            return " and ".join([f"the last {plural(method.layers, 'layer')}", *more])
        case PrefixMethod():
            made = f", made by a projection of width {method.projection}" if method.projection is not None else ""
            return f"prefix tuning of {plural(method.tokens, 'virtual token')}{made}"
        case PromptMethod():
            return f"prompt tuning of {plural(method.tokens, 'virtual token')}"
        case FullMethod():
            return "all weights"


def gate(verdict: GateVerdict) -> str:
    """Return how a candidate was gated, in words."""
    found = [f"{guard(one.name)}: {one.outcome}" for one in verdict.guards]
    guards = f" Guards: {'; '.join(found)}." if found else ""
    return f"{verdict.words}{guards}"


def _language(code: str) -> str:
    return "python" if "import " in code else "bash"
