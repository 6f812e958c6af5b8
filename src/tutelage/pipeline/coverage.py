"""Rows as a model's chat template writes them: how long they are in tokens, and which tokens are learned from."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tutelage.curate.inspection.seen import AnyRow, Seen, Show, excerpt, see
from tutelage.curate.inspection.spreads import spread_of
from tutelage.models.template import ChatTemplate, Encoded
from tutelage.pipeline.encoding import encode_all
from tutelage.records.inspection import Length, RoleTokens, TokenFigures
from tutelage.tune.rows import documents_of
from tutelage.tune.training.batches import target_count

EXAMPLES = 3
TURNS = 512
"""Turns that are tokenized at once."""
NO_MASK, TOO_LONG, NOTHING = "no exact loss mask", "longer than max_tokens", "no token to learn from"


def token_figures(
    template: ChatTemplate, rows: Sequence[AnyRow], *, model: str, max_tokens: int, show: Show
) -> TokenFigures:
    """Return what tuning on ``rows`` would see of them, encoded as tuning does it; of a pair both answers, each behind
    the prompt. A row that gets no exact loss mask is counted under ``dropped`` alone. The context of the model is not
    known here.

    The first token of a document is never learned: nothing stands before it. Raises :class:`TemplateError` if no row
    gets a mask.
    """
    seen = see(rows)
    encoding = encode_all(template, [row.row for row in seen])
    found = [documents_of(row) for row in encoding.encoded]
    learned = [sum(map(target_count, documents.values())) for documents in found]
    sizes = [sum(map(len, documents.values())) for documents in found]
    reasons = dict.fromkeys(encoding.refused, NO_MASK)
    for place, documents in zip(encoding.places, found, strict=True):
        if why := _why(documents, max_tokens):
            reasons[place] = why
    return TokenFigures(
        model=model,
        max_tokens=max_tokens,
        tokens=sum(sizes),
        learned=sum(learned),
        lengths=_lengths(found),
        shares=spread_of([round(100 * part / size) for part, size in zip(learned, sizes, strict=True)]),
        dropped=dict(sorted(Counter(reasons.values()).items())),
        roles=_roles(template, [seen[place] for place in encoding.places], sum(learned)),
        examples=tuple(excerpt(seen[place], show, reasons[place]) for place in sorted(reasons)[:EXAMPLES]),
    )


def _why(documents: Mapping[str, Encoded], max_tokens: int) -> str:
    """Why tuning would drop a row; empty if it would not (:func:`tutelage.tune.training.batches.unusable`)."""
    if any(len(document) > max_tokens for document in documents.values()):
        return TOO_LONG
    return NOTHING if any(target_count(document) == 0 for document in documents.values()) else ""


def _lengths(found: Sequence[Mapping[str, Encoded]]) -> tuple[Length, ...]:
    sizes: dict[str, list[int]] = {}
    for documents in found:
        for name, document in documents.items():
            sizes.setdefault(f"prompt + {name}" if name else "row", []).append(len(document))
    return tuple(Length(side=side, unit="tokens", spread=spread_of(values)) for side, values in sorted(sizes.items()))


def _roles(template: ChatTemplate, rows: Sequence[Seen], learned: int) -> tuple[RoleTokens, ...]:
    """Turns and tokens by role, of every document: of a pair the prompt counts twice. Assistants' words alone are
    learned (:mod:`tutelage.records.messages`)."""
    turns = [(turn.role, turn.reasoning + turn.text) for row in rows for _, view in row.views for turn in view.messages]
    counts = Counter(role for role, _ in turns)
    tokens: Counter[str] = Counter()
    for start in range(0, len(turns), TURNS):
        part = turns[start : start + TURNS]
        for (role, _), size in zip(part, template.count_tokens([text for _, text in part]), strict=True):
            tokens[role] += size
    return tuple(
        RoleTokens(role=role, turns=count, tokens=tokens[role], learned=learned if role == "assistant" else 0)
        for role, count in sorted(counts.items())
    )
