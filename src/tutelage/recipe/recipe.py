"""The whole configuration of a run, in one frozen object."""

import re
import warnings
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from tutelage.recipe.base import Section
from tutelage.recipe.construct import ConstructSection
from tutelage.recipe.contradictions import idle_settings
from tutelage.recipe.curate import CurateSection
from tutelage.recipe.curate.needs import loses_expert_rows
from tutelage.recipe.endpoint import EndpointTeacher
from tutelage.recipe.evaluate import ControlsSection, EvaluateSection
from tutelage.recipe.methods import trains_new_tokens
from tutelage.recipe.model import EnginesSection, ModelSection
from tutelage.recipe.reflect import ReflectSection
from tutelage.recipe.sources import BackTranslationSource, InstructionsSource, MagpieSource, SelfImprovementSource
from tutelage.recipe.tasks import TaskSection
from tutelage.recipe.teacher import SelfTeacher
from tutelage.recipe.teaching import not_a_rival
from tutelage.recipe.trackers import Tracker
from tutelage.recipe.tune import TuneSection
from tutelage.recipe.vllm import VllmEngine

# The stage is called construct, and so is a method that pydantic has deprecated and that nobody here calls.
warnings.filterwarnings("ignore", message='Field name "construct" in "Recipe" shadows', category=UserWarning)


class Recipe(Section):
    """What a run does. Defaults are the vetted setting; the resolved recipe is written to the run as JSON."""

    name: str
    """Name of the run and of its folder: letters, digits, dots, dashes and underscores."""

    seed: int = Field(default=0, ge=0, lt=2**31)
    """The one seed; every stage derives its own from it."""

    rounds: int = Field(default=2, ge=1)
    """How often the loop goes round."""

    model: ModelSection = ModelSection()
    """The starting model."""

    engines: EnginesSection = EnginesSection()
    """Who answers."""

    tasks: tuple[TaskSection, ...] = ()
    """What the model is to learn and is measured on. Only a recipe for ``tutelage tune`` alone, with ``tune.data``,
    needs none."""

    construct: ConstructSection = ConstructSection()  # type: ignore[assignment]
    """How the data of a round is made."""

    curate: CurateSection = CurateSection()
    """Which rows are kept."""

    tune: TuneSection = TuneSection()
    """How the model is tuned."""

    evaluate: EvaluateSection = EvaluateSection()
    """How much is measured."""

    reflect: ReflectSection = ReflectSection()
    """How the next round is planned and when a model is promoted."""

    controls: ControlsSection = ControlsSection()
    """Rivals that are scored beside the loop's models on the test split."""

    trackers: tuple[Tracker, ...] = ()
    """Where ``run`` and ``tune`` also show their numbers; they change nothing in a run and may be changed later."""

    folder: Path = Path()
    """What relative paths are relative to: the folder of the recipe file. Set when the file is read."""

    @field_validator("name")
    @classmethod
    def _a_folder_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("a name has 1 to 100 letters, digits, dots, dashes or underscores and starts with no dot")
        return name

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        construct, controls = self.construct, self.controls
        if not self.tasks and self.tune.data is None:
            raise ValueError("tasks: name at least one; only tuning on rows of your own (tune.data) needs none")
        if not self.tasks and self.tune.early_stopping is not None:
            raise ValueError(
                "tune.early_stopping: it asks probe items of the recipe's tasks, and there are none; name one"
            )
        off = construct.expert is None and construct.distill is None and construct.self_improve is None
        if off and not construct.sources:
            raise ValueError("construct: all three paradigms are switched off; leave at least one of them on")
        if construct.expert is None and (controls.few_shot or controls.expert_only):
            raise ValueError("controls: few_shot and expert_only need construct.expert, which is null")
        for index, step in enumerate(self.curate.steps if controls.expert_only else ()):
            if why := loses_expert_rows(step):
                remedy = "switch the control off (controls.expert_only: false), or take another step"
                raise ValueError(f"curate.steps.{index}.{why}, also for controls.expert_only; {remedy}")
        if self.evaluate.test == 0 and any(controls.model_dump().values()):
            raise ValueError("controls: they are scored on the test split, but evaluate.test is 0")
        if controls.teacher and (why := not_a_rival(self)):
            raise ValueError(f"controls.teacher: {why}")
        if self.model.new_tokens and not trains_new_tokens(self.tune.method):
            raise ValueError(f"model.new_tokens: {self.tune.method.kind} does not train them; take lora, dora or full")
        lessons = construct.self_improve
        if construct.distill is None and lessons is not None and lessons.teacher_fallback:
            raise ValueError("construct.self_improve.teacher_fallback: there is no teacher, construct.distill is null")
        if construct.distill is None and lessons is not None and lessons.critic == "teacher":
            raise ValueError("construct.self_improve.critic: there is no teacher, construct.distill is null")
        names = [task.kind for task in self.tasks if task.kind not in {"rows", "custom"}]
        if doubles := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tasks: {', '.join(doubles)} given more than once")
        return self

    @model_validator(mode="after")
    def _sources_fit(self) -> Self:
        construct = self.construct
        if any(source.taught for source in construct.sources) and construct.distill is None:
            raise ValueError("construct.sources: the teacher writes these rows, but construct.distill is null")
        if construct.sources and not construct.verify:
            raise ValueError("construct.sources: their rows are always verified, but construct.verify is false")
        for source in construct.sources:
            if isinstance(source, InstructionsSource) and source.assessor == "judge" and construct.judge is None:
                raise ValueError("construct.sources: assessor is judge, but construct.judge is null")
            if isinstance(source, SelfImprovementSource):
                self._can_begin(source)
            if isinstance(source, MagpieSource):
                self._takes_unfinished_prompts(source)
        folders = [source.folder for source in construct.sources]
        if doubles := sorted({name for name in folders if folders.count(name) > 1}):
            raise ValueError(f"construct.sources: {', '.join(doubles)} given more than once; give one a name")
        return self

    def _can_begin(self, source: SelfImprovementSource) -> None:
        """Raise where a source has no seeds, or where its teacher is the student."""
        distill = self.construct.distill
        shows_none = isinstance(source, BackTranslationSource) and not source.examples
        if source.seeds is None and self.construct.expert is None and not shows_none:
            raise ValueError(
                "construct.sources: demonstrations are the seeds, but construct.expert is null; name a file"
            )
        if source.taught and distill is not None and isinstance(distill.teacher, SelfTeacher):
            raise ValueError(
                "construct.sources: by is teacher, but construct.distill.teacher is the student itself; take student"
            )

    def _takes_unfinished_prompts(self, source: MagpieSource) -> None:
        """Raise where who writes in the user's place is no model that is opened on this machine."""
        distill = self.construct.distill
        if not source.taught:
            if isinstance(self.engines.sampling, VllmEngine):
                raise ValueError(
                    "construct.sources: magpie begins with an unfinished prompt, which a vLLM server is not sent; "
                    "take engines.sampling: {kind: transformers} or {kind: ctranslate2}, or by: teacher with a model"
                )
        elif distill is not None and isinstance(distill.teacher, EndpointTeacher):
            raise ValueError(
                "construct.sources: magpie begins with an unfinished prompt, which an endpoint of chat completions "
                "does not take; take a model on this machine as construct.distill.teacher, or by: student"
            )
        elif distill is not None and isinstance(distill.teacher, SelfTeacher):
            raise ValueError(
                "construct.sources: by is teacher, but construct.distill.teacher is the student itself; take student"
            )

    @model_validator(mode="after")
    def _nothing_ignored(self, info: ValidationInfo) -> Self:
        """Refuse what somebody has written and nothing would read; JSON is what a run has written itself."""
        idle = [setting for setting in idle_settings(self) if setting.written] if info.mode == "python" else []
        if idle:
            raise PydanticCustomError("ignored", "{what}", {"what": "; ".join(map(str, idle)), "idle": idle})
        return self

    def relative_to(self, folder: Path) -> "Recipe":
        """Return the same recipe with its relative paths relative to ``folder``."""
        return self.model_copy(update={"folder": folder})
