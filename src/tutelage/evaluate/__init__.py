"""Measuring a model.

| file | what |
|---|---|
| ``run`` | items of a split, answers, scores |
| ``summary`` | from item scores to cells, dimensions, facets, macro, with intervals |
| ``compare`` | two models on the same items, paired |
| ``utility`` | perplexity of general text, answers to general prompts |
| ``general/`` | the texts and prompts that ``utility`` uses |
"""
