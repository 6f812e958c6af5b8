"""The order of stages, rounds and promotion.

| file | what |
|---|---|
| ``run`` | one recipe, one call |
| ``preflight`` | what will be needed later, seen before anything begins |
| ``disclosure`` | who is shown what, told before anything begins |
| ``claims`` | what the numbers of items can prove, told before anything begins |
| ``judged`` | the judge of a recipe: which rows it makes worth asking, what it sees, what it would cost |
| ``rationales`` | reasons before answers: whether the student can write them, and what they cost |
| ``rounds`` | the loop |
| ``levels`` | a user's rows: what they can prove, and levels estimated from the start |
| ``leaks`` | rows and items that no curation kept apart, in words |
| ``planning`` | from scores to the next round's prompts |
| ``reading`` | rows read by a model for curation, and kept |
| ``reading_estimates`` | what that would cost |
| ``stages`` | measure, construct, curate, tune: each resumable by itself |
| ``gating`` | the candidate against the promoted model |
| ``final`` | the test split, the controls, the comparisons |
| ``asking`` | prompts that the model answers while it is tuned, and who scores the answers |
| ``curating`` | curation outside a run: steps, rows in memory or on the disk, files |
| ``defaults`` | what is meant where no recipe says it |
| ``own_rows`` | rows of one's own for a single tuning |
| ``inspecting`` | a file of rows, read and inspected |
| ``coverage`` | rows in tokens of a model, and which of these are learned from |
| ``told`` | rows with what an endpoint said of its answers beside them |
| ``hub_rows`` | rows of a data set of the hub, by commit |
| ``engines`` | the models of a run |
| ``spending_for`` | what endpoints took, by purpose |
| ``tracking`` | which trackers are told of a run's events |
| ``sinks`` | TensorBoard, MLflow, Weights & Biases, trackio |
| ``shop`` | what every stage needs |
"""
