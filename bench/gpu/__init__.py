"""What the stages for GPUs cost on one: chunk latency, real-time factor, streams.

    python -m bench.gpu                                    both stages, full size, on the first GPU
    python -m bench.gpu --stages asr --replicas 2          as many processes share the GPU
    python -m bench.gpu --stages tts --name gpu-tts        in CosyVoice's own environment (docs/adr/0012)
    python -m bench.gpu --device cpu --layers 2 --streams 1 --seconds 5 --listeners 1 --rounds 1
                                                           small, to see that it runs: gpu-trial.json

The networks have the published architectures and random weights: nothing they say means anything, and what
they cost is what the published weights cost, as long as they say as much. architectures.py sees to that.
Paraformer runs in fp32, CosyVoice in fp32 and fp16: neither library has a mode for bfloat16.
"""
