"""Language identification, deterministic and without downloads (py3langid: Barbaresi, after Lui & Baldwin 2012)."""

from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier


@cache
def _identifier() -> Any:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def detect(text: str) -> tuple[str, float]:
    """Return the ISO 639-1 code of the most likely language and its probability; ("", 0.0) for an empty text."""
    if not text.strip():
        return "", 0.0
    code, probability = _identifier().classify(text)
    return str(code), float(probability)
