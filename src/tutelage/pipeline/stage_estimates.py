"""What all parts of an estimate share: a stage in numbers, and the rates by which tokens become minutes."""

from tutelage.recipe import Recipe
from tutelage.records import Record

SCORING_TOKENS_S = 300.0
"""Answered tokens a second of the reference engine, which is the decoder that also samples."""
SAMPLING_TOKENS_S = {"ctranslate2": 200.0, "transformers": SCORING_TOKENS_S, "vllm": None}
"""Answered tokens a second when sampling, by engine: 128 rows decoded together; int8 on two workers of one thread. vLLM
was never run."""
TRAINING_TOKENS_S = 350.0
"""Trained tokens a second, LoRA on all linear layers."""
RATES_HOLD_FOR = {"default", "smollm2-135m-instruct"}
GENERAL_TOKENS = 150
"""Mean tokens of the start's answer to a general instruction."""


class StageEstimate(Record):
    """One stage: what it asks or reads, in words and numbers. ``minutes`` None: no rate is known for this model."""

    stage: str
    times: int
    what: str
    answers: int
    tokens: int
    minutes: float | None


def sampling_engine(recipe: Recipe) -> str:
    """Return the kind of engine that samples."""
    return recipe.engines.sampling.kind


def minutes_of(recipe: Recipe, tokens: int, rate: float | None) -> float | None:
    """Return the minutes of ``tokens`` at ``rate`` a second; None where the rates hold for another model or device."""
    on_cpu = recipe.model.device in {"auto", "cpu"}
    if rate is None or recipe.model.id not in RATES_HOLD_FOR or not on_cpu:
        return None
    return round(tokens / rate / 60, 1)


def times_of(number: int, noun: str) -> str:
    """Return a number and a noun, in the plural where there are several."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
