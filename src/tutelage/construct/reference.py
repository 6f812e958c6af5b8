"""References: where nobody answered an item right, its known answer is learned, if it passes the check itself.

Sampling keeps what the student can nearly do already; the hard items, of which it would learn most, give no row. STaR
(Zelikman et al. 2022) shows the right answer there; here it becomes the row.
"""

from collections.abc import Sequence

from tutelage.construct.sampling import Sampler
from tutelage.records import Answer, Example, Item

SOURCE = "reference"


def reference_row(sampler: Sampler, item: Item, *, spent: Sequence[Answer]) -> Example | None:
    """Return the row of ``item.reference``; None if there is none, or its check does not accept it.

    ``spent`` is all that was sampled for the item in vain.
    """
    section = sampler.section
    if not (item.reference and section.references and section.verify and section.expert is not None):
        return None
    known = Answer(request_id=f"{item.id}/{SOURCE}", text=item.reference, finish="stop")
    (sample,) = sampler.check([item], [known])
    if not sampler.accepts(sample):
        return None
    row = sampler.example(sample, paradigm="expert", source=SOURCE, author=f"task {item.task}", spent=spent)
    return row.model_copy(update={"lineage": row.lineage.model_copy(update={"sampling": None, "seed": None})})
