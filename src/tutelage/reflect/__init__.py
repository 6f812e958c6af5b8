"""What the scores mean and what follows from them: torch-free, and it only proposes; the pipeline acts.

| file | what |
|---|---|
| ``matrix`` | ``build_matrix``: the scores of one split over rounds |
| ``diagnose`` | ``diagnose``: gap and reasons of failure of each cell |
| ``plan`` | ``allocate``, ``uniform``: divide a budget of attempts over the cells |
| ``own`` | ``load_planner``: a planner of the user's own |
| ``guards`` | what must not get worse, as one-sided non-inferiority |
| ``gate`` | ``GateRule``, ``gate_power``, ``decide``: promoted, rejected or inconclusive |
"""
