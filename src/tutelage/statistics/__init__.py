"""Statistics of scores, torch-free and model-free: intervals, paired comparisons, power.

| file | what |
|---|---|
| ``intervals`` | ``Interval``, ``wilson`` |
| ``bootstrap`` | ``Design`` (clusters, strata, weights), ``stratified_mean``, ``clustered_bootstrap`` of it |
| ``paired`` | ``paired_clustered_bootstrap``, ``mcnemar_exact``, ``holm`` |
| ``replication`` | ``hierarchical_bootstrap`` of paired differences over seeds |
| ``kappa`` | ``cohen_kappa`` of two raters |
| ``krippendorff`` | ``krippendorff_alpha`` of any number, some ratings missing |
| ``dawid_skene`` | ``dawid_skene``: what is true where raters differ in skill |
| ``ranks`` | ``spearman`` |
| ``power`` | ``detectable_difference``, ``power_of``, ``needed_items``, ``items_to_decide``, ``design_effect`` |

Everywhere an item without a score (None) is left out and counted, never taken for a zero; a paired comparison leaves
it out on both sides. What cannot be estimated is None, or the widest interval there is, with the reason in words;
no function returns a number that is not one.
"""

from tutelage.statistics.bootstrap import Bounds, Design, Estimate, clustered_bootstrap, stratified_mean
from tutelage.statistics.dawid_skene import Consensus, dawid_skene
from tutelage.statistics.intervals import Interval, wilson
from tutelage.statistics.kappa import Agreement, cohen_kappa
from tutelage.statistics.krippendorff import Alpha, Metric, krippendorff_alpha
from tutelage.statistics.paired import Difference, McNemar, holm, mcnemar_exact, paired_clustered_bootstrap
from tutelage.statistics.power import (
    design_effect,
    detectable_difference,
    effective_items,
    items_to_decide,
    needed_items,
    power_of,
)
from tutelage.statistics.ranks import spearman
from tutelage.statistics.replication import Replicate, Replicated, hierarchical_bootstrap

__all__ = [
    "Agreement",
    "Alpha",
    "Bounds",
    "Consensus",
    "Design",
    "Difference",
    "Estimate",
    "Interval",
    "McNemar",
    "Metric",
    "Replicate",
    "Replicated",
    "clustered_bootstrap",
    "cohen_kappa",
    "dawid_skene",
    "design_effect",
    "detectable_difference",
    "effective_items",
    "hierarchical_bootstrap",
    "holm",
    "items_to_decide",
    "krippendorff_alpha",
    "mcnemar_exact",
    "needed_items",
    "paired_clustered_bootstrap",
    "power_of",
    "spearman",
    "stratified_mean",
    "wilson",
]
