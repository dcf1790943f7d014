"""One client's session: what it has set, how it may change it, and what that means to the conversation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeGuard, TypeVar

from pydantic import TypeAdapter

from conversation.errors import ClientError
from conversation.settings import Eagerness, Filler, HintSettings, Settings, TurnDetection
from realtime.encodings import ENCODINGS, PCM, Encoding
from realtime.session_shape import (
    AudioInput,
    AudioOutput,
    Extensions,
    FillerShape,
    HearingExtensions,
    SemanticVad,
    ServerVad,
    Session,
    SessionAudio,
    Transcription,
    TranscriptionAudio,
    TranscriptionInput,
    TranscriptionSession,
    TranscriptionVad,
)
from realtime.shapes import chosen, tools_of, voice_name
from realtime.validation import Wire, checked, null_is_not_given

_SESSION = TypeAdapter(Session)
_TRANSCRIPTION = TypeAdapter(TranscriptionSession)

_OURS = {"eagerness", "barge_in"}
"""Of turn detection: what `server_vad` does not have."""


@dataclass(frozen=True, slots=True)
class SessionObject:
    """The effective session.

    Attributes:
        id: as the client sees it.
        expires_at: when it will be closed, in seconds since 1970; 0: it has not begun.
        defaults: the operator's; what the client has not set stands as it is there.
        shape: every field as it is now in force.
    """

    id: str
    expires_at: int
    defaults: Settings
    shape: Session | TranscriptionSession

    def updated(self, given: dict[str, Any], *, voice_locked: bool) -> SessionObject:
        """The session after a `session.update`: only what is in `given` changes.

        Nested objects merge field by field, lists are replaced. An object of another `type` than the one in
        force (`turn_detection`) is completed from the defaults.

        Raises:
            ClientError: the update is to be discarded whole; `param` names the field.
        """
        if given.get("type") is None:
            raise ClientError(
                "missing_required_parameter", "Missing required parameter: 'session.type'.", "session.type"
            )
        merged = _merged(self.shape, given)
        _complete_turn_detection(merged, self.defaults)
        _complete_extensions(merged, self.defaults)
        if isinstance(self.shape, TranscriptionSession):
            return replace(self, shape=checked(_TRANSCRIPTION, merged, at="session"))
        shape = checked(_SESSION, merged, at="session")
        voice_before, voice_after = self.shape.audio.output.voice, shape.audio.output.voice
        if voice_locked and voice_name(voice_after) != voice_name(voice_before):
            raise ClientError(
                "cannot_update_voice",
                "Cannot update a conversation's voice if assistant audio is present.",
                "session.audio.output.voice",
            )
        # A client that names another model than its connection is told the true one, not refused: SDKs fill
        # the field from a setting of their own. Empty instructions are those of the server.
        shape = shape.model_copy(
            update={
                "model": self.shape.model,
                "instructions": shape.instructions or self.defaults.instructions,
            }
        )
        return replace(self, shape=shape)

    @property
    def is_transcription(self) -> bool:
        """It only listens: there are no responses."""
        return isinstance(self.shape, TranscriptionSession)

    @property
    def extensions(self) -> Extensions:
        """As they are in force, whether or not the client knows of them."""
        given = self.shape.antiphon if isinstance(self.shape, Session) else None
        return given or _extensions(self.defaults)

    @property
    def input_encoding(self) -> Encoding:
        return ENCODINGS[self.shape.audio.input.format.type]

    @property
    def output_encoding(self) -> Encoding:
        """Of a session without output: PCM."""
        if isinstance(self.shape, TranscriptionSession):
            return PCM
        return ENCODINGS[self.shape.audio.output.format.type]

    def settings(self) -> Settings:
        shape = self.shape
        listening: dict[str, Any] = {
            "turn_detection": self._turn_detection(),
            "transcribe": shape.audio.input.transcription is not None,
            "hints": self._hints(),
        }
        if isinstance(shape, TranscriptionSession):
            return self.defaults.model_copy(update=listening)
        tokens, ours = shape.max_output_tokens, self.extensions
        return Settings(
            instructions=shape.instructions,
            modality=shape.output_modalities[0],
            voice=voice_name(shape.audio.output.voice),
            speed=shape.audio.output.speed,
            max_output_tokens=None if tokens == "inf" else tokens,
            tools=tools_of(shape.tools),
            tool_choice=chosen(shape.tool_choice),
            paced=ours.paced,
            holds=ours.hold,
            speculate=ours.speculate,
            filler=None if ours.filler is None else Filler(**ours.filler.model_dump()),
            **listening,
        )

    def on_the_wire(self) -> dict[str, Any]:
        kind = "realtime.transcription_session" if self.is_transcription else "realtime.session"
        return {"object": kind, "id": self.id, "expires_at": self.expires_at, **self.shape.model_dump()}

    def _hints(self) -> HintSettings:
        """The client's, where it gives any; else the operator's."""
        given, ours = self.shape.audio.input.transcription or Transcription(), self.defaults.hints
        one_of = given.languages or []
        return HintSettings(
            language=given.language or (one_of[0] if len(one_of) == 1 else ours.language),
            words=tuple(given.keywords or ours.words),
            prompt=given.prompt or ours.prompt,
        )

    def _turn_detection(self) -> TurnDetection | None:
        shape = self.shape.audio.input.turn_detection
        if shape is None:
            return None
        vad = self.defaults.turn_detection or TurnDetection()
        answers = {
            "create_response": shape.create_response and not self.is_transcription,
            "interrupt_response": shape.interrupt_response,
            "barge_in": shape.antiphon.barge_in if shape.antiphon else vad.barge_in,
        }
        if isinstance(shape, ServerVad):
            given = {name: value for name, value in shape if name not in ("type", "antiphon")}
            return TurnDetection(**{**given, **answers})
        eagerness: Eagerness = "medium" if shape.eagerness == "auto" else shape.eagerness
        return vad.model_copy(update={**answers, "eagerness": eagerness})


def new_session(session_id: str, model: str, defaults: Settings, expires_at: int = 0) -> SessionObject:
    """The session of a client that has set nothing yet."""
    shape = Session(
        type="realtime",
        model=model,
        output_modalities=[defaults.modality],
        instructions=defaults.instructions,
        max_output_tokens=defaults.max_output_tokens or "inf",
        audio=SessionAudio(
            input=AudioInput(
                transcription=Transcription() if defaults.transcribe else None,
                turn_detection=_vad(ServerVad, defaults),
            ),
            output=AudioOutput(voice=defaults.voice, speed=defaults.speed),
        ),
    )
    return SessionObject(session_id, expires_at, defaults, shape)


def new_transcription(session_id: str, defaults: Settings, expires_at: int = 0) -> SessionObject:
    """The same, of one who only wants to be written down."""
    heard = TranscriptionInput(turn_detection=_vad(TranscriptionVad, defaults))
    shape = TranscriptionSession(type="transcription", audio=TranscriptionAudio(input=heard))
    return SessionObject(session_id, expires_at, defaults, shape)


def _extensions(defaults: Settings) -> Extensions:
    """Those of a client that has set none."""
    filler = defaults.filler
    return Extensions(
        hold=defaults.holds,
        paced=defaults.paced,
        speculate=defaults.speculate,
        filler=None
        if filler is None
        else FillerShape(after_ms=filler.after_ms, phrases=list(filler.phrases), tools=filler.tools),
    )


V = TypeVar("V", bound=ServerVad)


def _vad(server_vad: type[V], defaults: Settings) -> V | SemanticVad | None:
    detection = defaults.turn_detection
    if detection is None:
        return None
    if detection.eagerness is None:
        return server_vad(**detection.model_dump(exclude=_OURS))
    return SemanticVad(
        type="semantic_vad",
        eagerness=detection.eagerness,
        create_response=detection.create_response,
        interrupt_response=detection.interrupt_response,
    )


def _merged(current: Wire, given: dict[str, Any]) -> dict[str, Any]:
    merged = current.model_dump()
    for name, value in given.items():
        if null_is_not_given(type(current), name, value):
            continue
        before = getattr(current, name, None) if name in type(current).model_fields else None
        merged[name] = _merged(before, value) if _goes_into(before, value) else value
    return merged


def _goes_into(before: Any, value: Any) -> TypeGuard[Wire]:
    """Whether an update changes fields of the object in force, instead of taking its place."""
    if not (isinstance(before, Wire) and isinstance(value, dict)):
        return False
    return value.get("type") in (None, getattr(before, "type", None))


def _complete_turn_detection(merged: dict[str, Any], defaults: Settings) -> None:
    """What was not in force takes what it is not given from the operator's defaults."""
    audio = merged["audio"]
    hearing = audio.get("input") if isinstance(audio, dict) else None
    vad = hearing.get("turn_detection") if isinstance(hearing, dict) else None
    if not (isinstance(hearing, dict) and isinstance(vad, dict)):
        return
    operators = defaults.turn_detection or TurnDetection()
    if vad.get("type") == "server_vad":
        vad = _completed(ServerVad, vad, operators.model_dump(exclude=_OURS))
    if isinstance(vad.get("antiphon"), dict):
        ours = _completed(HearingExtensions, vad["antiphon"], {"barge_in": operators.barge_in})
        vad = {**vad, "antiphon": ours}
    hearing["turn_detection"] = vad


def _complete_extensions(merged: dict[str, Any], defaults: Settings) -> None:
    given = merged.get("antiphon")
    if isinstance(given, dict):
        operators = _extensions(defaults).model_dump()
        if isinstance(given.get("filler"), dict):
            filler = _completed(FillerShape, given["filler"], operators["filler"] or {})
            given = {**given, "filler": filler}
        merged["antiphon"] = _completed(Extensions, given, operators)


def _completed(shape: type[Wire], given: dict[str, Any], operators: dict[str, Any]) -> dict[str, Any]:
    return {**operators, **{k: v for k, v in given.items() if not null_is_not_given(shape, k, v)}}
