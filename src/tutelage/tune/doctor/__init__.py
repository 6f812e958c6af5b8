"""What must hold of a model before it is tuned, looked at on the model itself: one check a fault that others had.

| file | checks |
|---|---|
| ``check`` | ``Check``: what was looked at, what was measured, what is tolerated, and the verdict |
| ``chats`` | the conversations that the checks are made on |
| ``template`` | end token, loss mask, beginning of text |
| ``embeddings`` | whether embeddings and output layer are tied as the configuration says |
| ``sampler`` | log-probabilities of the decoder that samples against those of training |
| ``packing`` | packed documents against single ones |
| ``trial`` | an adapter with weights that are not zero, and the gradient of a step |
| ``steps`` | micro-batches against one batch, our layers against plain transformers and PEFT |
| ``saving`` | saving, loading again and merging |
| ``footprint`` | the memory of a step against its estimate |
| ``examination`` | ``examine``: all of them, in order |
"""

from tutelage.tune.doctor.check import Check
from tutelage.tune.doctor.examination import examine, without_template

__all__ = ["Check", "examine", "without_template"]
