"""Whether the rows that a model learned share words with the items that it is scored on."""

from tutelage.recipe.curate import ContaminationStep
from tutelage.report.numbers import plural
from tutelage.report.reading import RunData

NOT_SEEN = "Paraphrases and translations are not seen this way, nor is what the starting model had read before."


def contamination(data: RunData) -> str | None:
    """Return the finding for the shown model, in words; None before its rows are curated.

    The rows of a round are all that its model learned, those of earlier rounds included.
    """
    ledger = next((found.ledger for found in data.rounds if f"round {found.number}" == data.shown), None)
    if ledger is None:
        return None
    step = next((found for found in data.recipe.curate.steps if isinstance(found, ContaminationStep)), None)
    if step is None:
        return (
            "Contamination was not looked for: curate.steps of the recipe has no such step, so the model may be scored "
            "on items that it learned."
        )
    benchmarks = {one.called: ledger.dropped.get(f"{step.kind}: shares words with {one.called}", 0)
                  for one in step.against}  # fmt: skip
    leaked = sum(number for key, number in ledger.dropped.items() if key.startswith(f"{step.kind}: "))
    leaked -= sum(benchmarks.values())
    counted = "none" if not leaked else plural(leaked, "row")
    fate = f" and {'was' if leaked == 1 else 'were'} left out" if leaked else ""
    apart = ", ".join(
        f"{plural(number, 'row') if number else 'none'} with {name}" for name, number in benchmarks.items()
    )
    beside = f" Public benchmarks are counted apart, and such rows left out too: {apart}." if apart else ""
    return (
        f"Contamination: of the {plural(ledger.rows_in, 'row')} made for {data.shown}, compared with all items of "
        f"evaluation, {counted} shared {step.ngram} words in a row with one ({step.short_ngram} with a short one)"
        f"{fate}.{beside} {NOT_SEEN}"
    )
