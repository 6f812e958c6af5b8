"""Tuning: objective × method × engine, one loop that yields progress.

| package | what |
|---|---|
| ``training`` | the loop and how a step is computed: packing, attention, losses, optimizer, checkpoints |
| ``objectives`` | what is minimized |
| ``methods`` | which weights move |
| ``rows`` | what objectives learn from: documents, pairs, answers that are wanted or not |
| ``reference`` | log-probabilities under the model as it came |
| ``rewards`` | what a reward model makes of documents |
| ``teacher``, ``divergences`` | what a teacher expects, and how far the student is from it |
| ``told`` | what an endpoint said of its tokens, as what is likely at the targets of a row |
| ``sampling``, ``rollouts`` | the model as the one that answers, and the log of its answers |
| ``policy``, ``own_answers`` | what is asked: groups of answers that are scored, the prompts of rows |
| ``probing`` | what is asked to know whether to go on |
| ``retention`` | the penalty on forgetting |
| ``estimate``, ``room`` | the memory of a step, and whether it will fit |

A new objective or method is one file and one line in its package's index; neither knows of the other.
"""

from tutelage.tune.policy import Reward
from tutelage.tune.probing import Probe
from tutelage.tune.teacher import OpenTeacher
from tutelage.tune.training.loop import train
from tutelage.tune.training.progress import Look, Prepared, Progress, Saved, Started, Step, Stopping, Summary

__all__ = [
    "Look",
    "OpenTeacher",
    "Prepared",
    "Probe",
    "Progress",
    "Reward",
    "Saved",
    "Started",
    "Step",
    "Stopping",
    "Summary",
    "train",
]
