"""A row of a data set under a template: options in an order of their own, examples before the question."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from tutelage.construct.templates.labelled import DataSet, Labelled, column_name
from tutelage.construct.templates.sandbox import FAULTS, rendered, told
from tutelage.construct.templates.wordings import OF_LABEL, OF_OPTIONS, Wording
from tutelage.errors import DataError, Problem
from tutelage.recipe.sources.templates import TemplatesSource
from tutelage.records import Example, Lineage, assistant, content_id, user
from tutelage.seeds import stream

SOURCE = "templates"
TRIED = 100
"""Rows that each template is tried on before a run begins."""


class Unfit(Exception):
    """A row that a template can make nothing of, and why."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """Makes rows of rows; ``seed`` is the run's, and every draw depends on it, the row and the template alone."""

    section: TemplatesSource
    data: DataSet
    seed: int

    def row(self, labelled: Labelled, wording: Wording, *, round: int) -> Example:
        """Return a row under a template, as an example of experts.

        Raises :class:`Unfit` where a column that the template uses is empty or nothing comes out, and
        :class:`DataError` where the template fails.
        """
        prompt, answer = self.texts(labelled, wording)
        before = self._shots(labelled, wording)
        section = self.section
        asked = "\n\n".join([*(f"{one}\n{said}" for one, said in before), prompt])
        return Example(
            id=content_id(SOURCE, labelled.id, wording.name, asked, answer),
            messages=(user(asked), assistant(answer)),
            lineage=Lineage(
                paradigm="expert",
                source=SOURCE,
                author=section.author,
                parents=(labelled.id,),
                prompt=wording.name,
                seed=self.seed,
                round=round,
            ),
            task=section.folder,
            dimension=section.dimension,
            level=section.level,
            facet=labelled.label,
            group=labelled.id,
        )

    def texts(self, labelled: Labelled, wording: Wording) -> tuple[str, str]:
        """Return prompt and answer without examples. Raises what :meth:`row` raises."""
        made = {} if self.section.label is None else self._of_label(labelled, wording)
        values = {**labelled.values, **made}
        if missing := sorted(wording.uses - values.keys()):
            raise Unfit(f"a column that the template uses is empty: {', '.join(missing)}")
        texts = []
        for template in (wording.prompt, wording.answer):
            try:
                texts.append(rendered(template, values))
            except FAULTS as error:
                what = f"the template fails: {told(error)}"
                problem = Problem(what, f"{wording.name}, of {labelled.id}", remedy="mend it")
                raise DataError(self.section.wordings, [problem]) from error
        if not all(texts):
            raise Unfit("the template makes no text of it")
        return texts[0], texts[1]

    def _of_label(self, labelled: Labelled, wording: Wording) -> dict[str, object]:
        """What a template may use beside the columns."""
        if not wording.needs_options:
            return {"label": labelled.label}
        order = list(self.data.labels)
        stream(self.seed, self.section.folder, "options", labelled.id, wording.name).shuffle(order)
        lettered = dict(zip(order, ascii_uppercase, strict=False))
        return {
            "label": labelled.label,
            "choices": tuple(order),
            "options": "\n".join(f"- {name}" for name in order),
            "letters": "\n".join(f"{letter}. {name}" for name, letter in lettered.items()),
            "letter": lettered.get(labelled.label, ""),
        }

    def _shots(self, labelled: Labelled, wording: Wording) -> list[tuple[str, str]]:
        """Other rows in the same wording, with their answers, for the share of prompts that get them; those of which
        the template makes nothing, and those that say the same, whose answer would be given away, are passed over."""
        random = stream(self.seed, self.section.folder, "shots", labelled.id, wording.name)
        if not self.section.shots or random.random() >= self.section.shot_share:
            return []
        order = list(range(len(self.data.rows)))
        random.shuffle(order)
        found: list[tuple[str, str]] = []
        own = self._said(labelled, wording)
        for other in (self.data.rows[place] for place in order):
            if len(found) == self.section.shots:
                break
            if other.id == labelled.id or self._said(other, wording) == own:
                continue
            try:
                found.append(self.texts(other, wording))
            except Unfit:
                continue
        return found

    def _said(self, labelled: Labelled, wording: Wording) -> dict[str, object]:
        """What a template takes of a row beside its label, case and white space aside; all of it where that is none."""
        label = {column_name(self.section.label or "")}
        taken = wording.uses & labelled.values.keys() - label or labelled.values.keys()
        return {name: " ".join(str(labelled.values[name]).casefold().split()) for name in taken}


def check_names(section: TemplatesSource, data: DataSet, wordings: Sequence[Wording]) -> None:
    """Raise :class:`DataError` where a template uses a name that a column has and that is made of the label, too."""
    if section.label is None:
        return
    made = {*OF_LABEL, *OF_OPTIONS} - {column_name(section.label)}
    problems = [
        Problem("a column and what is made of the label have one name", wording.name, name, "rename the column")
        for wording in wordings
        for name in sorted(wording.uses & made & set(data.columns))
    ]
    if problems:
        raise DataError(section.wordings, problems)


def check_options(section: TemplatesSource, data: DataSet, wordings: Sequence[Wording]) -> None:
    """Raise :class:`DataError` where templates offer options and there are fewer than two, or more than letters."""
    problems = []
    number = len(data.labels)
    for wording in wordings:
        used = ", ".join(name for name in OF_OPTIONS if name in wording.uses)
        if wording.needs_options and number < 2:
            what = f"it offers options, and there {'is only one' if number else 'is none'}"
            problems.append(Problem(what, wording.name, used, "name all labels in labels, or leave options out"))
        if wording.uses & {"letter", "letters"} and number > len(ascii_uppercase):
            what = f"there are {number} options, and {len(ascii_uppercase)} letters"
            problems.append(Problem(what, wording.name, used, "take options in place of letters"))
    if problems:
        raise DataError(section.wordings, problems)


def check_texts(renderer: Renderer, wordings: Sequence[Wording]) -> None:
    """Raise :class:`DataError` with every template that fails on one of the first hundred rows."""
    problems: list[Problem] = []
    for wording in wordings:
        for labelled in renderer.data.rows[:TRIED]:
            try:
                renderer.texts(labelled, wording)
            except Unfit:
                continue
            except DataError as error:
                problems += error.problems
                break
    if problems:
        raise DataError(renderer.section.wordings, problems)
