"""The sound of the last items, for whoever asks for it again. It is kept as 16-bit PCM, to save room."""

from __future__ import annotations

from conversation.audio import Audio, from_pcm16, to_pcm16

KEPT_S = 30.0
"""On each side: a client looks at what was just said. A hundred sessions keep theirs in 250 MB at most."""


class Recording:
    """The sound of one item while it comes. One longer than what is kept is given up."""

    def __init__(self) -> None:
        self._pcm: bytearray | None = bytearray()
        self._rate_hz = 0

    def add(self, audio: Audio) -> None:
        """All at one rate."""
        if self._pcm is None:
            return
        self._rate_hz = audio.rate_hz
        if len(self._pcm) / 2 + len(audio) > KEPT_S * self._rate_hz:
            self._pcm = None
        else:
            self._pcm += to_pcm16(audio)

    def whole(self) -> Audio | None:
        return from_pcm16(bytes(self._pcm), self._rate_hz) if self._pcm else None


class KeptSound:
    """The sound of one side's last items; what is older is forgotten."""

    def __init__(self) -> None:
        self._sounds: dict[str, tuple[bytes, int]] = {}
        """By item id, oldest first: PCM and its rate in Hz."""

    def put(self, item_id: str, audio: Audio) -> None:
        """An item longer than all that is kept is not kept."""
        self._sounds[item_id] = to_pcm16(audio), audio.rate_hz
        while sum(map(_duration_s, self._sounds.values())) > KEPT_S:
            del self._sounds[next(iter(self._sounds))]

    def of(self, item_id: str) -> Audio | None:
        sound = self._sounds.get(item_id)
        return None if sound is None else from_pcm16(*sound)

    def cut(self, item_id: str, samples: int) -> None:
        """Keeps only so many samples of it."""
        if item_id in self._sounds:
            pcm, rate_hz = self._sounds[item_id]
            self._sounds[item_id] = pcm[: 2 * samples], rate_hz

    def forget(self, item_id: str) -> None:
        self._sounds.pop(item_id, None)


def _duration_s(sound: tuple[bytes, int]) -> float:
    pcm, rate_hz = sound
    return len(pcm) / 2 / rate_hz
