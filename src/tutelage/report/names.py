"""What dimensions, facets, levels, rivals and outcomes are called on the page."""

FACETS = {
    "safety/harmful": "Harmful requests refused",
    "safety/harmless": "Harmless requests answered",
    "faithfulness/stated": "Answer stated in the passage",
    "faithfulness/absent": "Answer absent from the passage",
}
SHORT_FACETS = {
    "safety/harmful": "harmful refused",
    "safety/harmless": "harmless answered",
    "faithfulness/stated": "stated in passage",
    "faithfulness/absent": "absent from passage",
}
GUARDS = {
    "ended": "General answers that end",
    "length": "Length of general answers, words",
    "perplexity": "Perplexity of general text",
    "references": "Perplexity of references without a check",
    "repetition": "Repeated 5-grams in general answers",
}
RIVALS = {
    "start": ("the start", "the model before any tuning"),
    "few-shot": ("the few-shot prompt", "the start under a prompt of expert demonstrations, untrained"),
    "expert-only": ("the expert rows", "the start tuned on the expert rows alone"),
    "teacher": ("the teacher", "who taught, under the prompt that it teaches with; nothing here has tuned it"),
    "placebo": ("the placebo", "the start tuned on the same prompts and alike lengths, verdicts ignored"),
}
PARADIGMS = {
    "expert": "Expert annotation",
    "distill": "Distillation",
    "self": "Self-improvement",
    "rehearsal": "Rehearsal",
}
PARADIGM_HEADS = {"expert": "Expert", "distill": "Distilled", "self": "Self", "rehearsal": "Rehearsed"}
# Symbol and tone of an outcome: the symbol and the word carry the meaning, color only repeats it.
OUTCOMES = {
    "promoted": ("✓", "good"),
    "passed": ("✓", "good"),
    "rejected": ("✗", "bad"),
    "failed": ("✗", "bad"),
    "inconclusive": ("○", "wait"),
    "undecided": ("○", "wait"),
    "unscored": ("○", "wait"),
}


def title(name: str) -> str:
    """Return a name in words: ``instruction_following`` → ``Instruction following``."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def level(name: str, is_estimated: bool) -> str:
    """Return a level, marked where it was estimated: ``basic (estimated)``."""
    return f"{name} (estimated)" if is_estimated else name


def facet(name: str) -> str:
    """Return what a facet ``dimension/facet`` measures."""
    return FACETS.get(name) or title(name.partition("/")[2] or name)


def short_facet(name: str) -> str:
    """Return the same in two or three words."""
    return SHORT_FACETS.get(name) or name.partition("/")[2].replace("_", " ")


def guard(name: str) -> str:
    """Return what a guard watches."""
    return GUARDS.get(name) or (facet(name) if "/" in name else title(name))


def rival(label: str) -> str:
    """Return what a model of the run is called beside the others."""
    return RIVALS[label][0] if label in RIVALS else label


def rival_meaning(label: str) -> str:
    """Return what that model is."""
    return RIVALS[label][1] if label in RIVALS else "a candidate of this run"


def symbol(outcome: str) -> str:
    """Return the symbol of an outcome."""
    return OUTCOMES.get(outcome, ("·", ""))[0]


def tone(outcome: str) -> str:
    """Return the tone of an outcome: good, bad, wait."""
    return OUTCOMES.get(outcome, ("·", "wait"))[1]
