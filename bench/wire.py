"""What one message costs at the wire, without a network: processor time of the ingress's one thread.

    python -m bench.wire

Coming in: a frame is parsed and its audio resampled to 16 kHz. Going out: an event of the conversation
becomes a frame. bench/cost.py puts the numbers into its report.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from bench.report import Percentiles, percentiles, table
from conversation.audio import Audio, to_pcm16
from conversation.events import OutputAudio, OutputText, Response, ResponseStarted
from realtime.client_events import Append
from realtime.encodings import IncomingAudio
from realtime.parse import MAX_APPEND_BYTES, decode, typed
from realtime.server_events import ServerEvents
from realtime.shapes import WIRE_HZ

ROUNDS = 21


def cost_us(work: Callable[[], object], *, times: int = 300) -> Percentiles | None:
    """Of one call; each round is the mean of so many calls."""

    def one_round() -> float:
        start_s = time.process_time()
        for _ in range(times):
            work()
        return (time.process_time() - start_s) / times * 1e6

    return percentiles(one_round() for _ in range(ROUNDS))


def frame(pcm: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})


def noise(duration_s: float) -> Audio:
    """Noise, because silence is cheap to write as text."""
    samples = np.random.default_rng(1).normal(0, 0.1, round(duration_s * WIRE_HZ))
    return Audio(samples.astype(np.float32), WIRE_HZ)


def parse(text: str) -> Append:
    event = typed(decode(text))
    assert isinstance(event, Append)
    return event


def hear(incoming: IncomingAudio, text: str) -> None:
    for _ in incoming.pieces(parse(text).sound):
        pass


def costs() -> dict[str, Percentiles | None]:
    """Microseconds of each event, by its name."""
    incoming, server = IncomingAudio(), ServerEvents()
    server.of(ResponseStarted(Response("resp_1", "audio", "default")))
    found: dict[str, Percentiles | None] = {}
    for length_ms in (20, 40, 100):
        sound = noise(length_ms / 1000)
        text, event = frame(to_pcm16(sound)), OutputAudio("resp_1", "item_1", sound)
        found[f"append {length_ms} ms: parsed"] = cost_us(partial(parse, text))
        found[f"append {length_ms} ms: parsed and resampled"] = cost_us(partial(hear, incoming, text))
        found[f"audio delta {length_ms} ms"] = cost_us(partial(server.of, event))
    words = OutputText("resp_1", "item_1", "How are you?", "audio")
    found["transcript delta"] = cost_us(partial(server.of, words))
    found["append 15 MiB: parsed"] = cost_us(partial(parse, frame(bytes(MAX_APPEND_BYTES))), times=1)
    return found


if __name__ == "__main__":
    print(f"microseconds\n{table(costs())}")
