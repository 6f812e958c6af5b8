"""The doctor: opens a model as a run would, and has it examined."""

from collections.abc import Iterator
from pathlib import Path

from tutelage.errors import TemplateError
from tutelage.models.adapters import require_adapter
from tutelage.models.load import load_tuned
from tutelage.models.new_tokens import template_of_adapter, tokens_of_adapter
from tutelage.models.quiet import quiet
from tutelage.recipe.model import ModelSection
from tutelage.tune.doctor import Check, examine, without_template


def doctor(
    model: ModelSection, *, weights: Path | None = None, template: Path | None = None, offline: bool = False
) -> Iterator[Check]:
    """Yield the checks of a model as they are made.

    ``weights`` are what a tuning left: an adapter, which is merged in place of a trial one, or a whole model, which is
    examined in place of its start. ``template`` is a chat template that replaces the tokenizer's own.

    Raises
    ------
    ModelError: the model or the adapter cannot be loaded. That its chat template cannot be used is a finding.
    """
    adapter = weights if weights is not None and not (weights / "config.json").is_file() else None
    if adapter is not None:
        require_adapter(adapter)
    try:
        with quiet():
            bundle = load_tuned(
                model.id,
                None if adapter is not None else weights,
                dtype=model.dtype,
                device=model.device,
                revision=model.revision,
                offline=offline,
                template=template_of_adapter(adapter) if template is None and adapter is not None else template,
                new_tokens=tuple(tokens_of_adapter(adapter)) if adapter is not None else model.new_tokens,
            )
            yield from examine(bundle, adapter=adapter)
    except TemplateError as error:
        yield from without_template(error)
