"""Figures as SVG: no scaling of letters, so that a phone shows them as large as a desktop.

Positions along the width are percentages; the height is fixed. Each figure has a title and a description in words that
says what it shows to those who do not see it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from tutelage.records.inspection import Spread
from tutelage.report.numbers import signed, span

ROW = 50
AXIS = 34
MARGIN = 2.0  # percent left free at both ends, for half of a mark
MAX_POINTS = 400
MAX_LABEL = 24  # letters that stand beside the value on a phone


@dataclass(frozen=True, slots=True)
class Interval:
    """One line of an interval plot; ``estimate`` None: there is nothing to draw, ``note`` says why."""

    label: str
    estimate: float | None
    low: float
    high: float
    note: str = ""
    tone: str = ""


def interval_plot(rows: Sequence[Interval], *, name: str, title: str) -> Markup:
    """Return differences with their 95 % intervals around a line at zero; ``name`` makes the ids of the page unique."""
    drawn = [row for row in rows if row.estimate is not None]
    ends = [end for row in drawn for end in (row.low, row.high)]
    least, most = min([0.0, *ends]), max([0.0, *ends])
    step = _nice(max(most - least, 0.02) / 4)
    scale = step * math.floor(least / step - 0.25), step * math.ceil(most / step + 0.25)
    height = ROW * len(rows) + AXIS
    bottom = ROW * len(rows) + 8
    parts = []
    ticks = _ticks(*scale, step)
    for index, tick in enumerate(ticks):
        x = _percent(tick, scale)
        first, last = index == 0, index == len(ticks) - 1
        anchor, at = ("start", 0.0) if first else ("end", 100.0) if last else ("middle", x)
        kind = "zero" if abs(tick) < step / 2 else "grid"
        parts.append(f'<line class="{kind}" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="{bottom}"/>')
        label = f"{tick:+.2g}".replace("-", "−") if abs(tick) > step / 2 else "0"
        parts.append(f'<text class="tick" x="{at:.2f}%" y="{bottom + 18}" text-anchor="{anchor}">{label}</text>')
    parts += [_interval(row, top=ROW * index, scale=scale) for index, row in enumerate(rows)]
    said = "; ".join(f"{row.label}: {_spoken(row)}" for row in rows)
    return _figure(name, title, f"{said}.", "".join(parts), height=height, kind="intervals")


def _interval(row: Interval, *, top: int, scale: tuple[float, float]) -> str:
    short = row.label if len(row.label) <= MAX_LABEL else f"{row.label[: MAX_LABEL - 1].rstrip()}…"
    label = f'<text class="label" x="0" y="{top + 17}">{escape(short)}<title>{escape(row.label)}</title></text>'
    if row.estimate is None:
        value = f'<text class="value" x="100%" y="{top + 17}" text-anchor="end">{escape(row.note or "unscored")}</text>'
        return label + value
    value = (
        f'<text class="value" x="100%" y="{top + 17}" text-anchor="end"><tspan class="main">{signed(row.estimate)}'
        f"</tspan> [{signed(row.low)}, {signed(row.high)}]</text>"
    )
    low, high, middle = (_percent(end, scale) for end in (row.low, row.high, row.estimate))
    y = top + 34
    marks = f'<line x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
    marks += "".join(f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="{y - 4}" y2="{y + 4}"/>' for x in (low, high))
    marks += f'<circle cx="{middle:.2f}%" cy="{y}" r="5"/>'
    hover = f"<title>{escape(row.label)}: {escape(_spoken(row))}</title>"
    return f'{label}{value}<g class="mark {row.tone}">{hover}{marks}</g>'


def _spoken(row: Interval) -> str:
    if row.estimate is None:
        return row.note or "unscored"
    return f"{signed(row.estimate)}, 95 % interval {span(row.low, row.high, is_difference=True)}"


def loss_curve(
    points: Sequence[tuple[int, float | None]], *, name: str, title: str, bounds: tuple[float, float]
) -> Markup:
    """Return the loss by optimizer step; ``bounds`` are the least and the largest loss that the axis has to hold.

    More than 400 steps are shown as means of equally many neighbors. A step without a finite loss breaks the line.
    """
    step = _nice(max(bounds[1] - bounds[0], 1e-6) / 3)
    low, high = step * math.floor(bounds[0] / step + 1e-9), step * math.ceil(bounds[1] / step - 1e-9)
    low, high = (low, high) if high > low else (low, low + step)
    first, last = points[0][0], points[-1][0]
    top, bottom = 10, 150
    parts = []
    for tick in _ticks(low, high, step):
        y = bottom - (bottom - top) * (tick - low) / (high - low)
        parts.append(f'<line class="grid" x1="12%" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="0" y="{y + 4:.1f}">{tick:.3g}</text>')
    parts.append(f'<text class="tick" x="12%" y="{bottom + 20}">step {first:,}</text>')
    parts.append(f'<text class="tick" x="100%" y="{bottom + 20}" text-anchor="end">{last:,}</text>')
    width = max(last - first, 1)
    lines = [
        " ".join(f"{1000 * (s - first) / width:.1f},{100 * (high - loss) / (high - low):.2f}" for s, loss in run)
        for run in _runs(_thinned(points))
    ]
    curves = "".join(f'<polyline points="{line}"/>' for line in lines)
    parts.append(
        f'<svg x="12%" y="{top}" width="88%" height="{bottom - top}" viewBox="0 0 1000 100" '
        f'preserveAspectRatio="none"><g class="curve">{curves}</g></svg>'
    )
    finite = [loss for _, loss in points if loss is not None]
    said = f"From {finite[0]:.3f} at step {first:,} to {finite[-1]:.3f} at step {last:,}; " if finite else ""
    said += f"lowest {min(finite):.3f}." if finite else "No finite loss."
    return _figure(name, title, said, "".join(parts), height=bottom + 28, kind="loss")


def histogram(spread: Spread, *, name: str, title: str) -> Markup:
    """Return the bins of a spread as bars of equal width, the last one wider than it looks where values lie far out;
    ``name`` makes the ids of the page unique."""
    most = max(found.count for found in spread.bins)
    top, bottom, width = 22, 130, 100 / len(spread.bins)
    parts = [f'<text class="value" x="0" y="13">at most {most:,} a bar</text>']
    for place, found in enumerate(spread.bins):
        height = (bottom - top) * found.count / most
        shown = max(height, 1.0) if found.count else 0.0
        hover = f"<title>{found.low:,} to {found.high:,}: {found.count:,}</title>"
        parts.append(
            f'<rect class="bar" x="{place * width + 0.2:.2f}%" width="{width - 0.4:.2f}%" y="{bottom - shown:.1f}" '
            f'height="{shown:.1f}">{hover}</rect>'
        )
    parts.append(f'<line class="zero" x1="0" x2="100%" y1="{bottom}" y2="{bottom}"/>')
    ticks = [("start", 0.0, spread.bins[0].low), ("end", 100.0, spread.bins[-1].high)]
    if (half := len(spread.bins) // 2) > 1:
        ticks.append(("middle", half * width, spread.bins[half].low))
    for at, x, said in ticks:
        parts.append(f'<text class="tick" x="{x:.2f}%" y="{bottom + 18}" text-anchor="{at}">{said:,}</text>')
    words = f"{spread.n:,} values from {spread.least:,} to {spread.most:,}, median {spread.median:,}."
    return _figure(name, title, words, "".join(parts), height=bottom + 26, kind="bars")


def _figure(name: str, title: str, description: str, content: str, *, height: int, kind: str) -> Markup:
    return Markup(
        f'<svg class="figure {kind}" width="100%" height="{height}" role="img" '
        f'aria-labelledby="{name}-title {name}-description"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{content}</svg>'
    )


def _percent(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    return MARGIN + (100 - 2 * MARGIN) * (value - low) / (high - low)


def _nice(rough: float) -> float:
    """The next of 1, 2, 5 × 10ⁿ that is not below ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _ticks(low: float, high: float, step: float) -> list[float]:
    return [low + step * index for index in range(round((high - low) / step) + 1)]


def _thinned(points: Sequence[tuple[int, float | None]]) -> list[tuple[float, float | None]]:
    size = math.ceil(len(points) / MAX_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(_mean([step for step, _ in group]), _mean_or_none([loss for _, loss in group])) for group in groups]


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Unbroken stretches of finite losses."""
    found: list[list[tuple[float, float]]] = [[]]
    for step, loss in points:
        if loss is None:
            found.append([])
        else:
            found[-1].append((step, loss))
    return [run for run in found if run]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _mean_or_none(values: Sequence[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return _mean(finite) if len(finite) == len(values) else None
