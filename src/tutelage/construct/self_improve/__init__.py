"""Instructions that come of other instructions: methods of self-improvement, each after its paper.

| file | what |
|---|---|
| ``seeds`` | what experts wrote, from demonstrations or a file, to begin with |
| ``filters`` | Self-Instruct's filters of instructions and of instances, by program |
| ``bootstrap`` | Self-Instruct: new instructions step by step, classification or not |
| ``instances`` | Self-Instruct: inputs and outputs, for classification the label first |
| ``self_instruct`` | a round's rows from Self-Instruct, with ledgers that add up |
| ``elimination`` | Evol-Instruct's rules of what is eliminated, by program |
| ``evolving`` | Evol-Instruct: an instruction rewritten, compared with the one before |
| ``evolve`` | a round's rows from Evol-Instruct, with ledgers that add up |
"""
