"""One page per run, made from the run directory alone; it works on unfinished runs too. And one per file of rows.

| file | what |
|---|---|
| ``page`` | ``write_report``: the page as one self-contained HTML file |
| ``inspection`` | ``render_inspection``: the page about a file of rows |
| ``templating`` | what the pages have in common, and what none lets in |
| ``cards`` | ``write_card``, ``card``, ``tuning_card``: a model card for the promoted weights or an exported folder |
| ``artifact`` | what a card says of the folder it lies in |
| ``reading`` | ``RunData``: whatever a run directory holds so far |
| ``headline`` | the verdict of the run, and what its figures do not prove |
| ``losses`` | the loss of held-out references, and what it does not prove |
| ``contamination`` | whether learned rows shared words with the scored items |
| ``levels`` | which levels were estimated |
| ``matrices`` | heat maps of the instruction-alignment matrix |
| ``tables`` | before and after, all models, data of each round |
| ``samples`` | which lessons and which changed answers are shown |
| ``figures`` | intervals, loss curves and histograms as SVG |
| ``names`` | what dimensions, facets, levels and rivals are called |
| ``numbers`` | numbers as people read them; unknown stays "unknown" |
| ``redact`` | record text as it is, or as its length |
| ``templates/`` | the page, a file a section, and its style sheet |
"""

from tutelage.report.cards import write_card
from tutelage.report.page import write_report

__all__ = ["write_card", "write_report"]
