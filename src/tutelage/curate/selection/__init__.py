"""Choosing among rows that are all good enough.

| file | what |
|---|---|
| ``reading`` | ``RowReader``: what a model has to say of rows, for steps that know no model |
| ``vectors`` | ``Vectors``: texts as unit rows, and their cosines a block at a time |
| ``tfidf`` | texts as weighted words |
| ``embedding`` | rows as vectors, as a recipe's section asks |
| ``amount`` | a share or a number of rows |
| ``likelihood`` | ``Ifd``, ``Perplexity`` |
| ``k_center`` | ``KCenter``: every row near a kept one |
| ``facility`` | ``FacilityLocation``: kept rows that stand for all |
| ``apart`` | rows one after another, each only if none before it is nearly the same |
| ``semantic`` | ``SemanticDuplicates`` |
| ``scores`` | complexity and quality of rows |
| ``score_first`` | ``ScoreFirst``: the best rows that are not too much alike |
"""
