"""The words of a row's lineage: what models, checks and people said of it, beside names and numbers."""

from collections.abc import Callable

from tutelage.records import Lineage, Verdict
from tutelage.records.instructions import Order

Rewrite = Callable[[str], str]


def reworded(lineage: Lineage, rewrite: Rewrite) -> Lineage:
    """Return ``lineage`` with ``rewrite`` of all its words: evidence, reasons of verdicts, of their parts and criteria
    and of an assessment, the topic and persona of an order.

    Ids, names, marks and what tells who or what made the row (source, author, prompt, judge) stay as they are.
    """
    assessment = lineage.assessment
    return lineage.model_copy(
        update={
            "evidence": tuple(
                one.model_copy(update={"text": rewrite(one.text), "section": rewrite(one.section)})
                for one in lineage.evidence
            ),
            "verdicts": tuple(_verdict(one, rewrite) for one in lineage.verdicts),
            "order": _order(lineage.order, rewrite),
            "assessment": assessment and assessment.model_copy(update={"reason": rewrite(assessment.reason)}),
        }
    )


def _verdict(verdict: Verdict, rewrite: Rewrite) -> Verdict:
    parts = tuple(
        one.model_copy(update={"name": rewrite(one.name), "reason": rewrite(one.reason)}) for one in verdict.parts
    )
    criteria = tuple(one.model_copy(update={"reason": rewrite(one.reason)}) for one in verdict.criteria)
    return verdict.model_copy(update={"reason": rewrite(verdict.reason), "parts": parts, "criteria": criteria})


def _order(order: Order | None, rewrite: Rewrite) -> Order | None:
    if order is None:
        return None
    return order.model_copy(update={"topic": rewrite(order.topic), "persona": rewrite(order.persona)})
