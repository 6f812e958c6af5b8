"""Templates over labelled data sets (FLAN, Wei et al. 2022; Longpre et al. 2023): rows that people labelled, asked for
in several wordings. No model writes anything.

| file | what |
|---|---|
| ``sandbox`` | Jinja without a way out, without chance, and with an end to every loop |
| ``wordings`` | a file of templates, read and checked against the columns that there are |
| ``labelled`` | the rows of a data set with their labels, and those of a round |
| ``rendering`` | a row under a template, with options in an order of its own, and examples before it |
| ``source`` | a round's rows, with a ledger that adds up |
"""
