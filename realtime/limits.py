"""What one client may cost, and how long it is waited for."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]


class Limits(BaseModel):
    """The operator's; clients are told of none but by being closed. Explained in docs/protocol.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    session_s: Seconds = 3600.0
    """A session ends after so long, as at the hosted service. deployments/serve.env counts on no more."""
    unread_chars: Annotated[int, Field(ge=1)] = 16_000_000
    """What may wait for a client that does not read: over four minutes of speech, and it is sent no faster
    than it is spoken."""
    unread_s: Seconds = 30.0
    """For one event: a client that takes nothing for so long is gone, whatever its socket says."""
    pressing_s: Seconds = 300.0
    """For a client that sends audio faster than it can be listened to, and is ahead by as much as it may be
    (`conversation.backlog_s`) without a break. An hour of audio is taken at 13 times real time and more."""
    ping_every_s: Annotated[float, Field(gt=0, le=60)] = 20.0
    """As the hosted service does. Some networks forget connections that are silent for a minute, and HAProxy
    those that are silent for two (deployments/serve.env)."""
    pong_within_s: Seconds = 20.0
    """A client that neither answers a ping nor sends anything else for so long is gone."""
