"""Everything that can go wrong, as one small hierarchy.

AntiphonError
├── ConfigError          a configuration that cannot be run; names the key and the remedy
├── ClientError          a client asked for something that cannot be; becomes a protocol error event
├── ImpossibleMove       an event met a state it never can: our defect; ends a turn, never a session
└── StageError           a stage let a turn down; ends a turn, never a session
    ├── StageLost        its replica died or cannot be reached: may be asked again
    ├── StageLate        it did not answer within its deadline: may be asked again
    └── StageFailed      it answered with an error: asking again would fail again
"""

from __future__ import annotations


class AntiphonError(Exception):
    """The root: whoever catches this catches everything we raise on purpose."""


class ConfigError(AntiphonError):
    """The configuration cannot be run. The message names the key and what to do about it."""


class ClientError(AntiphonError):
    """A request that cannot be met.

    Attributes:
        code: machine-readable, one of the protocol's error codes, or None where it defines none.
        message: for a person; names the thing and the remedy.
        param: the field that is wrong, e.g. ``session.audio.input.format.rate``.
    """

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param

    def __reduce__(self) -> tuple[type[ClientError], tuple[str | None, str, str | None]]:
        return type(self), (self.code, self.message, self.param)


class ImpossibleMove(AntiphonError):
    """A state machine was given an event that its state can never meet."""


class StageError(AntiphonError):
    """A stage did not do its part.

    Attributes:
        stage: "vad", "asr", "llm" or "tts".
        reason: what happened, in words.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage, self.reason = stage, reason

    def __reduce__(self) -> tuple[type[StageError], tuple[str, str]]:
        return type(self), (self.stage, self.reason)


class StageLost(StageError):
    """The replica that served the call died, or no replica can be reached."""


class StageLate(StageError):
    """The deadline passed first."""


class StageFailed(StageError):
    """The stage itself raised."""
