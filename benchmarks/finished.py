"""What experiments over seeds share: figures that are finished and kept, and what is said over rows and seeds."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats


def kept_in(output: Path, settings: dict[str, str]) -> dict[str, Any]:
    """What is finished of these settings. Processes may share a file, each with seeds of its own: read it again before
    it is written."""
    if not output.is_file():
        return {"settings": settings, "seeds": {}}
    kept: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    if kept["settings"] != settings:
        raise SystemExit(f"{output} holds figures of other settings: {kept['settings']}")
    return kept


def bootstrap(values: np.ndarray, seed: int, draws: int = 5000) -> list[float]:
    """Mean of ``values`` over rows, and its 95 % interval."""
    generator = np.random.default_rng(seed)
    means = values[generator.integers(0, len(values), (draws, len(values)))].mean(1)
    return [float(values.mean()), *map(float, np.quantile(means, [0.025, 0.975]))]


def over_seeds(values: Sequence[float]) -> dict[str, float]:
    """Mean and t interval over seeds."""
    mean, many = float(np.mean(values)), len(values)
    if many < 2:
        return {"mean": mean, "seeds": many}
    reach = float(stats.t.ppf(0.975, many - 1) * np.std(values, ddof=1) / math.sqrt(many))
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "seeds": many}
