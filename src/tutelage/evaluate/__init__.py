"""Measuring a model.

| file | what |
|---|---|
| ``run`` | items of a split, answers, scores |
| ``utility`` | perplexity of general text, answers to general prompts |
| ``general/`` | the texts and prompts that ``utility`` uses |
"""
