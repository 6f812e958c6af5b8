"""What is minimized. An objective is a value with a few functions of the rows; the loop does the rest.

| kind | file | rows | refers to the start | denominator |
|---|---|---|---|---|
| ``sft`` | ``sft`` | documents | | target tokens, or rows (``average``) |
| ``kd`` | ``kd`` | documents | | target tokens |
| ``kd_answers`` | ``kd_answers`` | documents | | target tokens |
| ``dpo`` | ``dpo`` | pairs | yes | pairs |
| ``ipo`` | ``ipo`` | pairs | yes | pairs |
| ``kto`` | ``kto`` | single answers, wanted or not | yes | answers |
| ``orpo`` | ``orpo`` | pairs | | target tokens, and pairs |
| ``simpo`` | ``simpo`` | pairs | | pairs |
| ``reward`` | ``reward`` | pairs | | pairs |
| ``grpo`` | ``grpo``, ``advantages`` | prompts | with ``kl`` | tokens or answers (``average``) |
| ``sum`` | ``sums`` | those of its parts | | those of its parts |
"""

from typing import Any

from tutelage.recipe import objectives as sections
from tutelage.recipe.grpo import GrpoObjective
from tutelage.tune.objectives.dpo import Dpo
from tutelage.tune.objectives.grpo import Grpo
from tutelage.tune.objectives.ipo import Ipo
from tutelage.tune.objectives.kd import Kd
from tutelage.tune.objectives.kd_answers import KdAnswers
from tutelage.tune.objectives.kto import Kto
from tutelage.tune.objectives.objective import Cost, Objective
from tutelage.tune.objectives.orpo import Orpo
from tutelage.tune.objectives.reward import Reward
from tutelage.tune.objectives.sft import Sft
from tutelage.tune.objectives.simpo import Simpo
from tutelage.tune.objectives.sums import Sum
from tutelage.tune.own_answers import OwnAnswers
from tutelage.tune.policy import Policy
from tutelage.tune.reference import Reference
from tutelage.tune.teacher import Teacher


def build_objective(
    section: sections.Objective,
    reference: Reference,
    teacher: Teacher | None = None,
    *,
    longest: int | None = None,
    policy: Policy | None = None,
    own: OwnAnswers | None = None,
) -> Objective[Any]:
    """Return the objective of a recipe; ``reference`` may be filled later, and ``teacher`` asked (``kd`` needs one).

    ``longest``: most tokens of a document that an objective makes up itself. ``policy``: who answers (``grpo`` needs
    it). ``own``: the answers that a student gives itself (``kd`` with ``on_policy``).
    """
    match section:
        case sections.SftObjective():
            return Sft(section.average, section.label_smoothing, section.noise)
        case sections.KdObjective():
            assert teacher is not None
            return Kd(teacher, own)
        case sections.KdAnswersObjective():
            return KdAnswers()
        case sections.DpoObjective():
            return Dpo(reference, section.beta, section.label_smoothing)
        case sections.IpoObjective():
            return Ipo(reference, section.tau)
        case sections.KtoObjective():
            return Kto(reference, section.beta, section.wanted, section.unwanted, longest)
        case sections.OrpoObjective():
            return Orpo(section.weight)
        case sections.SimpoObjective():
            return Simpo(section.beta, section.gamma)
        case sections.RewardObjective():
            return Reward(section.margin, section.center)
        case GrpoObjective():
            assert policy is not None
            return Grpo(section, policy)
        case sections.SumObjective():
            found = ((part.weight, part.objective) for part in section.parts)
            return Sum(
                tuple((w, build_objective(one, reference, teacher, longest=longest, own=own)) for w, one in found)
            )


__all__ = ["Cost", "Objective", "Sft", "build_objective"]
