"""The report: one self-contained HTML page, from the run directory alone.

What every page keeps out stands in ``templating``.
"""

from collections.abc import Sequence
from pathlib import Path

import yaml
from jinja2 import Environment
from markupsafe import Markup

from tutelage.files import write_atomic
from tutelage.records.comparison import Comparison
from tutelage.records.heldout import HeldOutLoss
from tutelage.report import names, numbers, samples, tables
from tutelage.report.contamination import contamination
from tutelage.report.figures import Interval, interval_plot, loss_curve
from tutelage.report.headline import caveats, engine_words, headline, judgment_tone, leading_losses
from tutelage.report.levels import estimated_dimensions, is_estimated
from tutelage.report.losses import NOT_PROVED, loss_change, loss_rows, loss_tone
from tutelage.report.matrices import SHADES, HeatMap, heat_maps, transfer_maps
from tutelage.report.reading import START, RunData, Tuning, read_run
from tutelage.report.redact import redacted, visible
from tutelage.report.templating import page_environment, page_style
from tutelage.runs import RunDirectory
from tutelage.statistics import Difference


def write_report(run: RunDirectory, *, redact: bool = False) -> Path:
    """Write ``report/index.html`` of a run, finished or not, and return its path; equal runs give equal bytes.

    ``redact`` shows the length of every prompt, answer and reason instead of its text; the recipe stays.

    Raises
    ------
    DataError: files of the run that do not hold what they should.
    StorageError: a file that cannot be read, or a page that cannot be written.
    """
    path = run.path / "report" / "index.html"
    write_atomic(path, render(read_run(run), redact=redact))
    return path


def render(data: RunData, *, redact: bool = False) -> str:
    """Return the page."""
    style, digest = page_style()
    return (
        _environment(redact=redact)
        .get_template("page.html.j2")
        .render(
            style=style,
            style_hash=digest,
            redact=redact,
            data=data,
            start=START,
            headline=headline(data),
            rival_plot=_rival_plot(data),
            score_plot=None if leading_losses(data) else _score_plot(data.against_start),
            score_rows=tables.score_rows(data),
            verdicts={number: verdict.outcome for number, verdict in data.verdicts.items()},
            transfer=_transfer(data),
            flips=samples.flips(data),
            lessons=samples.shown_lessons(data.rounds),
            losses=_losses(data.tunings),
            held_out=loss_rows(data.outcome.losses) if data.outcome else [],
            estimated=estimated_dimensions(data),
            caveats=caveats(data),
            contamination=contamination(data),
            times=tables.times(data),
            recipe=yaml.safe_dump(
                data.recipe.model_dump(mode="json", exclude={"folder"}), sort_keys=False, allow_unicode=True, width=100
            ),
        )
    )


def _environment(*, redact: bool) -> Environment:
    environment = page_environment()
    environment.filters |= {
        "said": redacted if redact else visible,
        "probability": numbers.probability,
        "confidence": numbers.confidence,
        "duration": numbers.duration,
        "guard_value": numbers.guard_value,
        "level": names.level,
        "rival": names.rival,
        "guard": names.guard,
        "outcome": samples.outcome,
        "reason": samples.reason,
        "is_estimated": is_estimated,
    }
    environment.globals |= {
        "span": numbers.span,
        "engine_words": engine_words,
        "heat_maps": heat_maps,
        "loss_rows": loss_rows,
        "loss_not_proved": NOT_PROVED,
        "shades": range(SHADES + 1),
        "tradeoff_rows": tables.tradeoff_rows,
        "judging_lines": tables.judging_lines,
        "tradeoff_columns": tables.TRADEOFF_COLUMNS,
        "ledger_rows": tables.ledger_rows,
        "composition": tables.composition,
        "composition_columns": tables.COMPOSITION_COLUMNS,
        "lesson_counts": samples.lesson_counts,
        "paradigm_names": names.PARADIGMS,
    }
    return environment


def _interval(label: str, found: Difference) -> Interval:
    return Interval(label, found.estimate, found.low, found.high, found.reason, judgment_tone(found))


def _rival_plot(data: RunData) -> Markup | None:
    if losses := leading_losses(data):
        return _loss_plot(losses, str(data.shown))
    rows = [
        _interval(names.title(names.rival(found.before).removeprefix("the ")), found.macro)
        for found in data.comparisons
    ]
    title = f"Mean over cells on test: {data.shown} minus each rival, with 95 % intervals"
    return interval_plot(rows, name="rivals", title=title) if rows else None


def _loss_plot(losses: Sequence[HeldOutLoss], shown: str) -> Markup:
    rows = []
    for found in losses:
        change = loss_change(found)
        label = names.title(names.rival(found.before).removeprefix("the "))
        rows.append(Interval(label, change.estimate, change.low, change.high, change.reason, loss_tone(change)))
    title = f"Loss of held-out references: {shown} minus each rival, nats a token, with 95 % intervals"
    return interval_plot(rows, name="rivals", title=title)


def _score_plot(found: Comparison | None) -> Markup | None:
    if found is None:
        return None
    rows = []
    for name, difference in found.dimensions.items():
        rows.append(_interval(names.title(name), difference))
        inside = tables.facets_of(name, found.facets)
        rows += [_interval(f"· {names.short_facet(key)}", found.facets[key]) for key in inside]
    if found.transfer:
        rows.append(_interval("Transfer", found.transfer))
    title = f"{found.after} minus {found.before} on test by dimension and facet, with 95 % intervals"
    return interval_plot(rows, name="dimensions", title=title)


def _transfer(data: RunData) -> list[HeatMap]:
    known = {label: data.scores[label] for label in (START, data.shown or "") if label in data.scores}
    return transfer_maps(known) if any(found.transfer for found in known.values()) else []


def _losses(tunings: tuple[Tuning, ...]) -> list[tuple[Tuning, Markup]]:
    """All curves on one axis, so that they can be compared."""
    known = [point.loss for tuning in tunings for point in tuning.steps if point.loss is not None]
    bounds = (min(known), max(known)) if known else (0.0, 1.0)
    return [
        (
            tuning,
            loss_curve(
                [(point.step, point.loss) for point in tuning.steps],
                name=f"loss-{index}",
                title=f"Training loss of {tuning.name}",
                bounds=bounds,
            ),
        )
        for index, tuning in enumerate(tunings)
    ]
