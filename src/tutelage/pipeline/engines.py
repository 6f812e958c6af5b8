"""The models of a run: opened when something must be asked, one in memory at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from tutelage.completers.address import public_address
from tutelage.completers.ct2 import CTranslate2Completer
from tutelage.completers.exchange import Timeouts
from tutelage.completers.local import LocalCompleter
from tutelage.completers.pauses import Patience
from tutelage.completers.protocol import Completer
from tutelage.completers.remote import RemoteCompleter
from tutelage.completers.spending import Limits, Paid, Purse, Tariff
from tutelage.construct.sampling import Asker
from tutelage.models.hardware import processors, release_memory
from tutelage.models.load import Bundle, load_bundle, load_tuned
from tutelage.models.template_file import template_of
from tutelage.origin import ModelOrigin
from tutelage.pipeline.spending_for import SpendingFor
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.model import CTranslate2Engine, TransformersEngine
from tutelage.recipe.objectives import KdObjective
from tutelage.records.jsonl import RecordLog
from tutelage.runs import RunDirectory

SPENDING = "spending.jsonl"
"""What an endpoint took over the whole run, in the run's folder."""
JUDGING = "judging"
CEILINGS = {"": Purse.place, JUDGING: "construct.judge.by.ceiling"}
"""Where the ceiling of each purpose of asking stands in the recipe."""
Key = tuple[str, str, str]


class Engines:
    """Opens completers and bundles for the starting model with any of the run's adapters, and keeps the last one.

    ``reference`` answers for every score; ``sampler`` makes training data. Both give the same object while the same
    weights are asked for, and free the one before when others are. ``run`` is the run that they work for: it refuses
    another starting model than the one it began with.
    """

    def __init__(self, recipe: Recipe, *, offline: bool, run: RunDirectory | None = None) -> None:
        self.recipe = recipe
        self.offline = offline
        self.run = run
        self._key: Key | None = None
        self._open: Completer | Bundle | None = None
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(recipe.engines.threads or processors())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        torch.set_num_threads(self._threads_before)

    def close(self) -> None:
        """Free what is open."""
        if isinstance(self._open, Completer):
            self._open.__exit__(None, None, None)
        self._open, self._key = None, None
        release_memory()

    def reference(self, weights: Path | None) -> Completer:
        """The engine that scores: transformers, the model's own arithmetic, fixed batches."""
        found = self._get(("reference", str(weights), ""), lambda: self._local(weights, self._reference_batch))
        assert isinstance(found, Completer)
        return found

    def sampler(self, weights: Path | None) -> Completer:
        """The engine that samples training data."""
        found = self._get(("sampler", str(weights), ""), lambda: self._fast(weights))
        assert isinstance(found, Completer)
        return found

    def bundle(self, *, four_bit: bool = False) -> Bundle:
        """The starting model, freshly loaded, to be tuned, in 4 bits if that is asked for; the caller owns it."""
        self.close()
        return self._load(None, four_bit=four_bit)

    def scored(self, weights: Path | None) -> Bundle:
        """The bundle of the reference engine, to read likelihoods from."""
        completer = self.reference(weights)
        assert isinstance(completer, LocalCompleter)
        return completer.bundle

    def student(self, weights: Path | None, round: int) -> Asker:
        """The student of a round, as the sampling engine answers for it."""
        name = f"{self.recipe.model.id}" + (f" + round {round}" if weights is not None else "")
        return Asker(open=lambda: self.sampler(weights), name=name)

    def teacher(self, student: Asker) -> Asker | None:
        """The teacher that the recipe names; None where distillation is switched off."""
        section = self.recipe.construct.distill
        if section is None:
            return None
        match section.teacher:
            case SelfTeacher():
                return Asker(open=student.open, name=f"{student.name} under expert demonstrations")
            case ModelTeacher(id=model, revision=revision):
                return Asker(open=lambda: self._other(model, revision), name=model)
            case EndpointTeacher() as endpoint:
                name = f"{endpoint.model} at {endpoint.base_url}"
                return Asker(open=lambda: self._endpoint(endpoint), name=name, again=endpoint.ask_again)

    def judge(self, start: Asker) -> Asker | None:
        """The judge of answers that the recipe names, ``start`` where that is the model itself; None without one."""
        section = self.recipe.construct.judge
        if section is None:
            return None
        match section.by:
            case SelfTeacher():
                return Asker(open=start.open, name=f"{start.name} as its own judge")
            case ModelTeacher(id=model, revision=revision):
                return Asker(open=lambda: self._other(model, revision), name=model)
            case EndpointTeacher() as endpoint:
                name = f"{endpoint.model} at {public_address(endpoint.base_url)}"
                return Asker(open=lambda: self._endpoint(endpoint, JUDGING), name=name, again=endpoint.ask_again)

    def taught_by(self, section: KdObjective) -> Bundle:
        """The teacher of distillation, to be read beside the student; the caller owns it."""
        model = self.recipe.model
        return load_bundle(
            section.teacher, dtype=model.dtype, device=model.device, revision=section.revision, offline=self.offline
        )

    @property
    def _reference_batch(self) -> int:
        return self.recipe.engines.reference_batch

    def _get(self, key: Key, make: Callable[[], Completer | Bundle]) -> Completer | Bundle:
        if self._key != key or self._open is None:
            self.close()
            self._open = make()
            self._key = key
        return self._open

    def _load(self, weights: Path | None, *, merge: bool = False, four_bit: bool = False) -> Bundle:
        model = self.recipe.model
        bundle = load_tuned(
            model.id,
            weights,
            dtype=model.dtype,
            device=model.device,
            revision=model.revision,
            offline=self.offline,
            merge=merge,
            template=template_of(model, self.recipe.folder),
            new_tokens=model.new_tokens,
            four_bit=four_bit,
        )
        if self.run is not None and bundle.source.id == model.id:  # whole tuned weights are a model of their own
            self.run.require_model(origin_of(bundle))
        return bundle

    def _local(self, weights: Path | None, batch_size: int) -> Completer:
        return LocalCompleter(self._load(weights, merge=True), batch_size=batch_size)

    def _fast(self, weights: Path | None) -> Completer:
        match self.recipe.engines.sampling:
            case TransformersEngine(batch_size=size):
                return self._local(weights, size)
            case CTranslate2Engine(workers=workers):
                return CTranslate2Completer.of(self._load(weights, merge=True), workers=workers)

    def _other(self, model: str, revision: str | None) -> Completer:
        found = self._get(
            ("teacher", model, revision or ""),
            lambda: LocalCompleter(
                load_bundle(model, device=self.recipe.model.device, revision=revision, offline=self.offline),
                batch_size=self._reference_batch,
            ),
        )
        assert isinstance(found, Completer)
        return found

    def _spending(self, purpose: str) -> RecordLog[Paid] | None:
        return None if self.run is None else SpendingFor(purpose, self.run.path / SPENDING)

    def _endpoint(self, teacher: EndpointTeacher, purpose: str = "") -> Completer:
        found = self._get(
            (f"endpoint {purpose}", teacher.base_url, teacher.model),
            lambda: open_endpoint(teacher, spending=self._spending(purpose), place=CEILINGS[purpose]),
        )
        assert isinstance(found, Completer)
        return found


def open_endpoint(
    teacher: EndpointTeacher, *, spending: RecordLog[Paid] | None = None, place: str = Purse.place
) -> RemoteCompleter:
    """Return the teacher of a section; ``spending`` holds what was spent on it before, and gets what is; ``place`` is
    where its ceiling stands in the recipe."""
    price, ceiling = teacher.price, teacher.ceiling
    purse = Purse(
        None if price is None else Tariff(price.prompt, price.completion),
        None if ceiling is None else Limits(ceiling.money, ceiling.tokens, ceiling.hours),
        log=spending,
    )
    purse.place = place
    return RemoteCompleter(
        teacher.base_url,
        teacher.model,
        key_variable=teacher.key_variable,
        allow_remote=teacher.allow_remote,
        concurrency=teacher.concurrency,
        timeouts=Timeouts(teacher.connect_timeout_s, teacher.timeout_s),
        patience=Patience(retries=teacher.retries, total_s=teacher.patience_s),
        purse=purse,
    )


def origin_of(bundle: Bundle) -> ModelOrigin:
    """Return the starting model of a bundle, without what was tuned."""
    return ModelOrigin(
        model=replace(bundle.source, adapter="", merged=False).identity,
        template=bundle.template.digest[:16],
        dtype=str(bundle.model.dtype).removeprefix("torch."),
        device=bundle.model.device.type,
    )
