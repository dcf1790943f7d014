"""What one message costs at the wire, without a network: processor time of the ingress's one thread.

    python -m bench.wire

Coming in: a frame is parsed and its audio resampled to 16 kHz. Going out: an event of the conversation becomes
a frame. bench/reports/wire.json gets the medians.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from bench.report import circumstances, table, write
from conversation.audio import Audio, to_pcm16
from conversation.events import OutputAudio, OutputText
from realtime.client_events import Append
from realtime.incoming import IncomingAudio
from realtime.parse import MAX_APPEND_BYTES, decode, typed
from realtime.server_events import ServerEvents
from realtime.shapes import WIRE_HZ

ROUNDS = 21


def cost_us(work: Callable[[], object], times: int) -> float:
    """Of one call: the median of the rounds, so that a neighbour on the machine counts little."""

    def one_round() -> float:
        start_s = time.process_time()
        for _ in range(times):
            work()
        return (time.process_time() - start_s) / times * 1e6

    return round(median(one_round() for _ in range(ROUNDS)), 1)


def frame(pcm: bytes) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})


def noise(duration_s: float) -> Audio:
    """Noise, because silence is cheap to write as text."""
    samples = np.random.default_rng(1).normal(0, 0.1, round(duration_s * WIRE_HZ))
    return Audio(samples.astype(np.float32), WIRE_HZ)


def append(incoming: IncomingAudio, text: str) -> None:
    event = typed(decode(text))
    assert isinstance(event, Append)
    for _ in incoming.pieces(event.pcm):
        pass


def main() -> None:
    incoming, server = IncomingAudio(), ServerEvents(extensions=False)
    costs_us: dict[str, float] = {}
    for length_ms in (20, 40, 100):
        sound = noise(length_ms / 1000)
        text, event = frame(to_pcm16(sound)), OutputAudio("resp_1", "item_1", sound)
        parsing = lambda text=text: typed(decode(text))  # noqa: E731
        costs_us[f"append {length_ms} ms, parsed"] = cost_us(parsing, 300)
        hearing = lambda text=text: append(incoming, text)  # noqa: E731
        costs_us[f"append {length_ms} ms, parsed and resampled"] = cost_us(hearing, 300)
        telling = lambda event=event: server.of(event)  # noqa: E731
        costs_us[f"audio delta {length_ms} ms"] = cost_us(telling, 300)
    words = OutputText("resp_1", "item_1", "How are you?", "audio")
    costs_us["transcript delta"] = cost_us(lambda: server.of(words), 300)
    longest = frame(bytes(MAX_APPEND_BYTES))
    costs_us["append 15 MiB, parsed"] = cost_us(lambda: typed(decode(longest)), 1)
    write("wire", {"circumstances": circumstances(), "cost_us": costs_us})
    print(table(["message", "µs"], [[name, cost] for name, cost in costs_us.items()]))


if __name__ == "__main__":
    main()
