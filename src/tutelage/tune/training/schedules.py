"""The learning rate over the steps."""

import math

from tutelage.recipe.tune import ConstantSchedule, CosineSchedule, LinearSchedule, Schedule, WsdSchedule


def rate_share(schedule: Schedule, step: int, *, steps: int) -> float:
    """Return the share of the peak learning rate at ``step`` (from 0) of ``steps``, in (0, 1].

    Over w = ⌊warmup_share · steps⌋ steps it rises as (step + 1)/w, so that no step is wasted at zero; then, with
    progress p = (step − w)/(steps − w): constant 1, linear 1 − p, cosine (1 + cos πp)/2. WSD is 1 until the last
    n = ⌈decay_share · steps⌉ steps, of which the last but k has (k + 1)/n.
    """
    warmup = int(schedule.warmup_share * steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    match schedule:
        case ConstantSchedule():
            return 1.0
        case LinearSchedule():
            return 1.0 - progress
        case CosineSchedule():
            return (1.0 + math.cos(math.pi * progress)) / 2.0
        case WsdSchedule():
            return min(1.0, (steps - step) / math.ceil(schedule.decay_share * steps - 1e-9))
