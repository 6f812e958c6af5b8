"""A teacher's reasons before its answers (distilling step by step, Hsieh et al. 2023; Orca, Mukherjee et al. 2023).

| file | what |
|---|---|
| ``asking`` | the prompt, the form, the answers with their reasons as samples |
| ``examining`` | what may be wrong with reasons: empty, too long, an echo, another conclusion than the answer |
| ``conclusions`` | what reasons come to, against the answer |
"""
