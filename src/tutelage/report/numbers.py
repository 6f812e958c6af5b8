"""Numbers as people read them. What is unknown is called so and never becomes a zero."""

UNKNOWN = "unknown"
MINUS = "−"


def rate(value: float | None) -> str:
    """Return a score in [0, 1] with three digits: ``0.417``."""
    return UNKNOWN if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign: ``+0.204``; a true minus, and no sign for what rounds to zero."""
    if value is None:
        return UNKNOWN
    text = f"{abs(value):.3f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else MINUS
    return sign + text


def span(low: float, high: float, *, is_difference: bool = False) -> str:
    """Return an interval: ``0.312 to 0.521``."""
    return f"{signed(low)} to {signed(high)}" if is_difference else f"{rate(low)} to {rate(high)}"


def count(value: float | None) -> str:
    """Return a whole number with separators: ``12,480``."""
    return UNKNOWN if value is None else f"{round(value):,}"


def decimal(value: float | None, digits: int = 1) -> str:
    """Return a number with ``digits`` decimals and separators."""
    return UNKNOWN if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def share(value: float | None) -> str:
    """Return a share as a percentage: ``94 %``; one decimal below 10 %."""
    if value is None:
        return UNKNOWN
    digits = 1 if 0 < abs(value) < 0.0995 else 0
    return f"{100 * value:.{digits}f} %"


def confidence(value: float) -> str:
    """Return a level of confidence with the digits that it needs: ``95 %``, ``97.5 %``, ``96.67 %``."""
    return f"{100 * value:.4g} %"


def probability(value: float | None) -> str:
    """Return a p-value, never as zero."""
    if value is None:
        return UNKNOWN
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """Return a time in the two units that matter: ``4 min 20 s``, ``2 h 5 min``; short ones as ``3.2 s``."""
    if seconds is None:
        return UNKNOWN
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def guard_value(value: float | None, name: str) -> str:
    """Return a guarded measure in its own unit: perplexities and length with one decimal, rates with three."""
    return decimal(value, 1 if name in ("perplexity", "references", "length") else 3)


def plural(number: int, noun: str) -> str:
    """Return a count with its noun: ``1 item``, ``12 items``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
