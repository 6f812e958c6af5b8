"""Constitutional AI, its supervised stage (Bai et al. 2022): the student answers, a principle is drawn, the answer is
criticized by it and revised; the last revision is learned.

| file | what |
|---|---|
| ``domains/`` | principles for answers in general and on health, law and finance |
| ``principles`` | reading and drawing them |
| ``steps`` | one step: critique, then revision where there is a fault |
| ``checks`` | what is wrong with a revision, by program |
| ``rows`` | rows and preferences with their lineage |
| ``source`` | a round's rows, with ledgers that add up |
"""
