"""Instructions to order: requests that the teacher writes for the cells that lack them, checked to be what was ordered.

| file | what |
|---|---|
| ``definitions`` | what dimensions and levels are: one text for who writes and who reads |
| ``listing`` | topics and personas from the recipe, a file, or the package |
| ``orders`` | cells, topics, personas and languages, in turn |
| ``desk`` | who is asked, where it is logged, what it took |
| ``personas`` | people that the teacher thinks of |
| ``checks`` | what is wrong with a request, by program |
| ``requests`` | requests are written, checked, and held against those before |
| ``assessing`` | a reader who does not know the order says what a request is |
| ``form`` | what a program can say of an answer |
| ``answers`` | several answers, of which the best is kept |
| ``turns`` | the teacher as the user who goes on |
| ``rows`` | rows with their lineage |
| ``source`` | a round's rows, with ledgers that add up |
"""
