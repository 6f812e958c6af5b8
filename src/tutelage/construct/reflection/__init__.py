"""Reflection-Tuning (Li et al. 2023): rows that are there already, reflected on and written anew.

| file | what |
|---|---|
| ``criteria`` | by what instructions and answers are reflected on |
| ``rows`` | rows of a file as cases, cases as rows and preferences |
| ``steps`` | reflecting on the instruction, then on the response, with what is wrong with either |
| ``source`` | a round's rows, with ledgers that add up |
"""
