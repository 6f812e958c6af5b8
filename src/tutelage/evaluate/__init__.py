"""Measuring a model.

| file | what |
|---|---|
| ``run`` | items of a split, answers, scores |
| ``summary`` | from item scores to cells, dimensions, facets, macro, with intervals |
| ``compare`` | two models on the same items, paired |
| ``heldout``, ``imitation`` | the loss of a user's references, row by row; two models compared by it |
| ``utility`` | perplexity of general text, answers to general prompts |
| ``general/`` | the texts and prompts that ``utility`` uses |
"""
