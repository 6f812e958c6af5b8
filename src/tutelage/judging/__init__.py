"""Verdicts by a model, for what no program can check; torch-free.

| file | what |
|---|---|
| ``rubric`` | ``Rubric``: what is judged, on which scale, and how one score comes of it |
| ``judge`` | ``Judge``, and asking it: bounded tries, an append-only log, who answered pinned |
| ``pointwise`` | a score for one answer, criterion by criterion |
| ``points`` | one score by a scale that a prompt describes, or the mean of several that were drawn |
| ``pairwise`` | which of two answers is better, asked in both orders |
| ``reading`` | from a reply to a verdict, or why it is none |
| ``fence`` | marks that the text between them cannot close |
| ``summary`` | a set of judged answers: mean, unscored, correlation with length |
| ``agreement`` | Cohen's κ with people |
| ``prompts/`` | prompts as templates, one file each, versioned by their text |

A reply that cannot be read, a refusal, an empty one, a number off the scale and an outage leave an answer unscored,
with the reason, and are counted; none is a zero.
"""
