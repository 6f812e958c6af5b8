"""How a step is computed; knows no objective and no method.

| file | what |
|---|---|
| ``loop`` | ``train``: the one loop, a generator of progress records |
| ``step`` | one optimizer step over its micro-batches |
| ``preparing`` | what is computed before the first step |
| ``progress`` | ``Prepared``, ``Started``, ``Step``, ``Look``, ``Saved``, ``Summary`` |
| ``batches`` | order of rows, packing without padding, micro-batches |
| ``network`` | packed documents → hidden states of the target positions → loss a position |
| ``attention`` | attention that never leaves its document; proof of it on the model at hand |
| ``cpu_attention`` | how a CPU computes it: documents in batches, long ones in blocks |
| ``lean``, ``gated``, ``normed``, ``adapted`` | blocks that keep less: gated block, norm, LoRA layer |
| ``new_rows`` | trained rows in the place of some of a frozen layer's |
| ``recompute`` | layers that keep only what goes in, and are computed anew on the way back |
| ``losses`` | losses of positions in chunks, without full logits |
| ``optimizers`` | float32 master weights, clipping, AdamW |
| ``processes`` | several processes that make a step together |
| ``sharding`` | one model spread over them (FSDP2) |
| ``schedules`` | learning rate over the steps |
| ``checkpoint`` | atomic checkpoints without pickle |
| ``saving`` | weights, named only after they were read again and compared |
| ``stopping`` | ends a training whose answers get no better, and keeps its best weights |
| ``watchdog`` | stops a training that diverges |
| ``memory`` | peak memory of process and accelerator, and what is free |
"""
