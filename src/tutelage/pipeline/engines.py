"""The models of a run: opened when something must be asked, one in memory at a time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from tutelage.completers.ct2 import CTranslate2Completer
from tutelage.completers.endpoints.address import endpoint_name
from tutelage.completers.endpoints.spending import Limits, Paid
from tutelage.completers.local import LocalCompleter
from tutelage.completers.protocol import Completer
from tutelage.completers.vllm.api import AdapterRefused, VllmUnavailable
from tutelage.construct.sampling import Asker
from tutelage.errors import RunError
from tutelage.events import Emit, say, silent
from tutelage.models.hardware import processors, release_memory
from tutelage.models.load import Bundle, load_bundle, load_tuned
from tutelage.models.template_file import template_of
from tutelage.origin import ModelOrigin
from tutelage.pipeline.endpoints import media_folder, open_endpoints
from tutelage.pipeline.sampled_by import EngineLog, SampledBy
from tutelage.pipeline.spending_for import SpendingFor
from tutelage.pipeline.vllm import VllmStudents, identity_of
from tutelage.recipe import Recipe
from tutelage.recipe.construct import ModelTeacher, SelfTeacher
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.model import CTranslate2Engine, TransformersEngine
from tutelage.recipe.objectives import KdObjective
from tutelage.recipe.teacher import Teacher
from tutelage.recipe.vllm import VllmEngine
from tutelage.records.jsonl import RecordLog
from tutelage.runs import RunDirectory

SPENDING = "spending.jsonl"
"""What an endpoint took over the whole run, in the run's folder."""
JUDGING = "judging"
ENDPOINT = "endpoint"
CEILINGS = {"": Limits().place, JUDGING: "construct.judge.by.ceiling"}
"""Where the ceiling of each purpose of asking stands in the recipe."""
Key = tuple[str, str, str]


class Engines:
    """Opens completers and bundles for the starting model with any of the run's adapters, and keeps the last one.

    ``reference`` answers for every score; ``sampler`` makes training data. Both give the same object while the same
    weights are asked for, and free the one before when others are. ``run`` is the run that they work for: it refuses
    another starting model than the one it began with. ``emit`` is told where another engine answers than was named.
    """

    def __init__(self, recipe: Recipe, *, offline: bool, run: RunDirectory | None = None, emit: Emit = silent) -> None:
        self.recipe = recipe
        self.offline = offline
        self.run = run
        self.emit = emit
        self._key: Key | None = None
        self._open: Completer | Bundle | None = None
        self._vllm: VllmStudents | None = None
        self._no_vllm: VllmUnavailable | None = None
        self._told: set[str] = set()
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
        """Free what is open, a server included."""
        students, self._vllm = self._vllm, None
        try:
            self._shut()
        finally:
            if students is not None:
                students.close()

    def _shut(self) -> None:
        if isinstance(self._open, Completer):
            self._open.__exit__(None, None, None)
        self._open, self._key = None, None
        release_memory()

    def reference(self, weights: Path | None) -> Completer:
        """The engine that scores: transformers, the model's own arithmetic, fixed batches."""
        found = self._get(("reference", str(weights), ""), lambda: self._local(weights, self._reference_batch))
        assert isinstance(found, Completer)
        return found

    def sampler(self, weights: Path | None, folder: Path | None = None) -> Completer:
        """The engine that samples training data; ``folder`` is that of the stage, which keeps who answered in it where
        that may be another engine than the recipe names.

        Raises
        ------
        RunError: the stage began with vLLM, which cannot answer now, or without it, which the recipe no longer allows.
        """
        section = self.recipe.engines.sampling
        if isinstance(section, VllmEngine):
            return self._served(section, weights, EngineLog(folder))
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

    def student(self, weights: Path | None, round: int, folder: Path | None = None) -> Asker:
        """The student of a round, as the sampling engine answers for it in the stage of ``folder``."""
        name = f"{self.recipe.model.id}" + (f" + round {round}" if weights is not None else "")
        return Asker(open=lambda: self.sampler(weights, folder), name=name)

    def teacher(self, student: Asker, *, shown: bool = True) -> Asker | None:
        """The teacher that the recipe names; None where distillation is switched off. ``shown``: whether it answers
        under demonstrations."""
        section = self.recipe.construct.distill
        if section is None:
            return None
        match section.teacher:
            case SelfTeacher():
                return Asker(student.open, f"{student.name} under expert demonstrations" if shown else student.name)
            case other:
                return self._another(other)

    def scored_teacher(self, teacher: Teacher) -> Asker:
        """Who teaches, as it is scored: the starting model, and any other on this machine, by the reference engine."""
        if isinstance(teacher, SelfTeacher):
            return Asker(open=lambda: self.reference(None), name=self.recipe.model.id)
        return self._another(teacher)

    def judge(self, start: Asker) -> Asker | None:
        """The judge of answers that the recipe names, ``start`` where that is the model itself; None without one."""
        section = self.recipe.construct.judge
        if section is None:
            return None
        match section.by:
            case SelfTeacher():
                return Asker(open=start.open, name=f"{start.name} as its own judge")
            case other:
                return self._another(other, JUDGING)

    def _another(self, one: ModelTeacher | EndpointTeacher, purpose: str = "") -> Asker:
        """Another model than the start, on this machine or behind an endpoint."""
        match one:
            case ModelTeacher(id=model, revision=revision):
                return Asker(open=lambda: self._other(model, revision), name=model)
            case EndpointTeacher() as endpoint:
                name = endpoint_name(endpoint.model, endpoint.base_url)
                return Asker(open=lambda: self._endpoint(endpoint, purpose), name=name, again=endpoint.ask_again)

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
            if key[0] == ENDPOINT:  # needs no memory: a server may stay
                self._shut()
            else:
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
            case VllmEngine():
                return self._local(weights, TransformersEngine(kind="transformers").batch_size)

    def _served(self, section: VllmEngine, weights: Path | None, log: EngineLog) -> Completer:
        """vLLM, or the engine in its place; who answered a part of a stage answers all of it."""
        student = identity_of(weights) if weights is not None else "start"
        before, why = log.last(student), ""
        if before is not None and before.why:
            if not section.fallback:
                raise _begun(before, "the recipe now wants vLLM alone (engines.sampling.fallback is false)")
            completer, why = self._in_place(weights), before.why
            self._tell(f"{student}: the transformers engine goes on with what it began in place of vLLM.")
        else:
            try:
                completer = self._students().student(weights)
            except VllmUnavailable as fault:
                self._no_vllm = None if isinstance(fault, AdapterRefused) else fault
                self.close()
                if before is not None:
                    raise _begun(before, f"vLLM cannot answer now: {fault}") from fault
                if not section.fallback:
                    raise
                completer, why = self._in_place(weights), str(fault)
                self._tell(f"{student}: vLLM cannot answer, and the transformers engine does in its place. {fault}")
            if before is not None and before.engine != completer.engine:
                self._tell(f"{student}: {completer.engine.engine} goes on with what {before.engine.engine} began.")
        log.keep(SampledBy(student=student, engine=completer.engine, why=why))
        return completer

    def _students(self) -> VllmStudents:
        if self._no_vllm is not None:  # waiting for it once is enough
            raise self._no_vllm
        if self._vllm is None:
            assert self.run is not None
            self._shut()
            self._vllm = VllmStudents(
                self.recipe,
                home=self.run.path / "vllm",
                load=lambda weights: self._load(weights, merge=True),
                offline=self.offline,
                emit=self.emit,
            )
        return self._vllm

    def _in_place(self, weights: Path | None) -> Completer:
        found = self._get(("sampler", str(weights), ""), lambda: self._fast(weights))
        assert isinstance(found, Completer)
        return found

    def _tell(self, text: str) -> None:
        """Say it once."""
        if text not in self._told:
            self._told.add(text)
            say([text], self.emit)

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
            (ENDPOINT, f"{purpose} {teacher.base_url}", teacher.model),
            lambda: open_endpoints(
                teacher,
                spending=self._spending(purpose),
                media=media_folder(self.recipe, teacher),
                place=CEILINGS[purpose],
            ),
        )
        assert isinstance(found, Completer)
        return found


def _begun(before: SampledBy, reason: str) -> RunError:
    return RunError(
        f"{before.engine.engine} answered a part of this stage for {before.student}, and cannot go on",
        received=reason,
        remedy="mend that and run the same command again; or delete the folder of the stage first, to have all of it "
        "answered by one engine",
    )


def origin_of(bundle: Bundle) -> ModelOrigin:
    """Return the starting model of a bundle, without what was tuned."""
    return ModelOrigin(
        model=replace(bundle.source, adapter="", merged=False).identity,
        template=bundle.template.digest[:16],
        dtype=str(bundle.model.dtype).removeprefix("torch."),
        device=bundle.model.device.type,
    )
