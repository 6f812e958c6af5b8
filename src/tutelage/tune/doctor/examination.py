"""All checks of one model, in order; what an earlier failure makes pointless is said to be not applicable."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tutelage.errors import TemplateError
from tutelage.models.bundle import Bundle
from tutelage.models.template import Encoded
from tutelage.tune.doctor.chats import documents
from tutelage.tune.doctor.check import Check, not_applicable
from tutelage.tune.doctor.embeddings import TIED, check_tied
from tutelage.tune.doctor.footprint import MEMORY, Meter, check_memory, estimated
from tutelage.tune.doctor.packing import PACKING, check_packing
from tutelage.tune.doctor.sampler import SAMPLER, check_sampler
from tutelage.tune.doctor.saving import MERGING, SAVING, check_merging, check_saving
from tutelage.tune.doctor.steps import ACCUMULATION, FAST, check_accumulation, check_fast_path
from tutelage.tune.doctor.template import BEGINNING, MASK, check_beginning, check_end, check_mask, no_template
from tutelage.tune.doctor.trial import OPTIMIZER, gradient, make_step, trial_adapter
from tutelage.tune.training.attention import connect
from tutelage.tune.training.optimizers import Optimizer

LONG_DOCUMENTS, LONG_TOKENS = 8, 128
TRAINING_CHECKS = (MEMORY, ACCUMULATION, FAST, SAVING, MERGING)


def without_template(error: TemplateError) -> Iterator[Check]:
    """Yield the checks of a model whose chat template cannot be used: one fault, and all others not applicable."""
    yield no_template(error)
    for name in (MASK, BEGINNING, TIED, SAMPLER, PACKING, *TRAINING_CHECKS):
        yield not_applicable(name, "without a chat template nothing can be read")


def examine(bundle: Bundle, *, adapter: Path | None = None, seed: int = 0) -> Iterator[Check]:
    """Yield the checks of a model as they are made; ``adapter`` is merged in place of a trial one.

    The bundle's model is taken over: the last check merges an adapter into its weights.
    """
    yield check_end(bundle)
    yield check_mask(bundle)
    yield check_beginning(bundle)
    yield check_tied(bundle)
    yield check_sampler(bundle, seed=seed)
    rows = _documents(bundle)
    packing = check_packing(bundle, rows)
    yield packing
    if packing.verdict != "pass":
        for name in TRAINING_CHECKS:
            yield not_applicable(name, "documents cannot be kept apart, so this model is never trained")
        return
    yield from _train(bundle, rows, adapter=adapter, seed=seed)


def _train(bundle: Bundle, rows: Sequence[Encoded], *, adapter: Path | None, seed: int) -> Iterator[Check]:
    """The checks that need an adapter: a step of it, its way to the disk and back, and into the weights."""
    long = _varied(bundle)
    expected = estimated(bundle, long)
    meter = Meter(bundle.model.device)
    tuned = trial_adapter(bundle, seed=seed)
    try:
        optimizer = Optimizer(tuned.parameters, OPTIMIZER)
        with connect(tuned.model) as network:
            make_step(network, optimizer, long)
            yield check_memory(expected, meter.peak(), tokens=sum(map(len, long)))
            yield check_accumulation(network, optimizer, rows)
            loss, found, _ = gradient(network, optimizer, rows, limit=sum(map(len, rows)))
        yield check_fast_path(tuned, optimizer, rows, loss=loss, found=found)
        with tempfile.TemporaryDirectory(prefix="tutelage-doctor-") as place:
            folder = Path(place)
            saving, beside = check_saving(tuned, rows, folder)
            yield saving
            if adapter is None:
                yield check_merging(bundle, folder, rows, expected=beside)
            else:
                yield check_merging(bundle, adapter, rows, expected=None)
    finally:
        tuned.release()


def _documents(bundle: Bundle) -> list[Encoded]:
    """The chats; where they have no mask, documents of varied tokens, so that the model itself can be looked at."""
    try:
        return documents(bundle.template)
    except TemplateError:
        return _varied(bundle)


def _varied(bundle: Bundle) -> list[Encoded]:
    """Documents of fixed, varied tokens, the second half of each to be predicted."""
    vocabulary = bundle.model.config.get_text_config().vocab_size
    places = np.arange(LONG_TOKENS)
    return [
        Encoded(((places * 7919 + 104729 * number) % vocabulary).astype(np.int32), places >= LONG_TOKENS // 2)
        for number in range(LONG_DOCUMENTS)
    ]
