"""Making instruction data: D_instruct = D_expert ∪ D_distill ∪ D_self.

| file | what |
|---|---|
| ``expert`` | demonstrations as rows, and as the teacher's prompt |
| ``distill`` | a teacher answers, its check decides (context distillation by default) |
| ``rationales/`` | a teacher's reasons before its answers, examined, and learned with them |
| ``documents/`` | questions and answers about passages of documents, proved by quotes |
| ``instructions/`` | requests that a teacher writes to order, read blind, and its answers |
| ``self_improve/`` | new instructions, reasons and pairs of a model, each method after its paper |
| ``constitution/`` | answers of the student, criticized by principles and revised |
| ``reflection/`` | rows that are there, reflected on and written anew |
| ``templates/`` | rows of a labelled data set in several wordings |
| ``given``, ``approval``, ``traces`` | prompts that sources are given; what may be learned; what a text must not show |
| ``lesson`` | attempt → verdict → critique → revision → verdict |
| ``mend`` | a draft whose form the task's own program put right |
| ``reference`` | the known answer to an item that nobody answered right |
| ``decompose`` | an answer that met some demands, kept for the item that asks just those |
| ``rehearsal`` | general instructions answered by the start, so that general behavior stays |
| ``sampling`` | asking for several answers an item, replay, checks, rows with lineage |
| ``judged`` | a model judges where no program can, and which of several good answers is best |
| ``missing`` | what never came: said once, and too much of it stops the stage |
| ``sources`` | the rows that come from other sources than the items of tasks |
| ``speaker``, ``desk`` | who is asked by a source and where, and what it took |
| ``ledgers`` | counts of a source's steps |
| ``build`` | one round's data from a plan |
| ``placebo`` | the control whose rows nobody verified |
| ``prompts/`` | prompts as templates, one file each |
"""
