"""Methods of self-improvement, each after its paper: instructions that come of other instructions, of texts or of
nothing, reasons that lead to right answers, answers that a model judges itself.

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
| ``augmenting`` | back-translation: the request that a text answers |
| ``back_translation`` | a round's rows from texts with their requests, graded |
| ``reasoning`` | STaR: reasons and an answer, first alone, then of one that is told |
| ``star`` | a round's rows from STaR |
| ``magpie_requests`` | Magpie: requests that a model writes in the user's place, sifted and read |
| ``magpie`` | a round's rows from Magpie |
| ``self_rewarding`` | a round's pairs from self-rewarding, and rows of perfect answers |
"""
