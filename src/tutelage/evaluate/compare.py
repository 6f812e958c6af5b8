"""Comparing two models on the same items: macro, dimensions, facets, transfer, each paired."""

from collections.abc import Mapping, Sequence

from scipy.special import stdtr

from tutelage.errors import DataError, Problem
from tutelage.evaluate.summary import macro_design
from tutelage.records import Engine, Split
from tutelage.records.comparison import Comparison
from tutelage.records.scores import ItemScore
from tutelage.seeds import derive_seed
from tutelage.statistics import Design, Difference, holm, paired_clustered_bootstrap

Pair = tuple[ItemScore, ItemScore]


def unlike(before: Engine, after: Engine, *, template: bool = False) -> list[Problem]:
    """Return each setting that two models were not scored alike with: their difference would not be the models' alone.

    ``template``: that counts too, where both are meant to be one base model.
    """
    settings = [
        ("engine", "", before.engine, after.engine),
        ("dtype", " (model.dtype)", before.dtype, after.dtype),
        ("batch size", " (engines.reference_batch)", before.batch_size, after.batch_size),
    ]
    settings += [("template", " (model.template)", before.template, after.template)] if template else []
    return [
        Problem(
            f"the two models were scored with a different {name}",
            "engine",
            f"{left!r} and {right!r}",
            f"score one of them again with the {name} of the other{key}",
        )
        for name, key, left, right in settings
        if left != right
    ]


def compare(
    before: Sequence[ItemScore],
    after: Sequence[ItemScore],
    *,
    labels: tuple[str, str],
    split: Split,
    seed: int,
    engines: tuple[Engine, Engine] | None = None,
) -> Comparison:
    """Return how the model of ``after`` differs from that of ``before``; ``engines`` are those that answered for them.

    Raises ``DataError`` when the two were not scored on the same items, or by unlike engines.
    """
    others = {score.item_id: score for score in after}
    missing = {score.item_id for score in before} ^ others.keys()
    problems = unlike(*engines) if engines is not None else []
    if missing:
        shown = ", ".join(sorted(missing)[:3])
        problem = Problem(
            f"{len(missing)} items were scored for one of the two models only",
            received=shown,
            remedy="compare models that answered the same items",
        )
        problems.append(problem)
    if problems:
        raise DataError(f"{labels[0]} and {labels[1]}", problems)
    pairs = [(score, others[score.item_id]) for score in before]
    ordinary = [pair for pair in pairs if not pair[0].transfer]
    transfer = [pair for pair in pairs if pair[0].transfer]
    names = list(dict.fromkeys(old.dimension for old, _ in ordinary))
    dimensions = {
        name: _macro([p for p in ordinary if p[0].dimension == name], derive_seed(seed, name)) for name in names
    }
    facets = list(dict.fromkeys((old.dimension, old.facet) for old, _ in ordinary if old.facet))
    p_values = {name: p_value(found) for name, found in dimensions.items()}
    return Comparison(
        before=labels[0],
        after=labels[1],
        split=split,
        macro=_macro(ordinary, seed),
        dimensions=dimensions,
        facets={
            f"{dimension}/{facet}": _rate(
                [p for p in ordinary if (p[0].dimension, p[0].facet) == (dimension, facet)],
                derive_seed(seed, dimension, facet),
            )
            for dimension, facet in facets
        },
        p_values=p_values,
        p_holm=adjusted(p_values),
        transfer=_macro(transfer, derive_seed(seed, "transfer")) if transfer else None,
    )


def adjusted(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return p-values adjusted over all those that are known (Holm 1979); None stays None."""
    known = {name: p for name, p in p_values.items() if p is not None}
    found = dict(zip(known, holm(list(known.values())), strict=True))
    return {name: found.get(name) for name in p_values}


def _macro(pairs: Sequence[Pair], seed: int) -> Difference:
    both = [None if a.counted is None or b.counted is None else 1.0 for a, b in pairs]
    kept, design, _ = macro_design([old for old, _ in pairs], both)
    return paired_clustered_bootstrap(
        [pairs[i][0].counted for i in kept], [pairs[i][1].counted for i in kept], design=design, seed=seed
    )


def _rate(pairs: Sequence[Pair], seed: int) -> Difference:
    design = Design([old.group for old, _ in pairs], [old.level for old, _ in pairs])
    return paired_clustered_bootstrap(
        [old.counted for old, _ in pairs], [new.counted for _, new in pairs], design=design, seed=seed
    )


def p_value(found: Difference) -> float | None:
    """Two-sided p-value of the t statistic, estimate over bootstrap standard error, with clusters − 1 degrees."""
    if found.estimate is None or found.error is None or found.clusters < 2:
        return None
    if found.error == 0:
        return 1.0 if found.estimate == 0 else None
    return float(2 * stdtr(found.clusters - 1, -abs(found.estimate) / found.error))
