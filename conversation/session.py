"""What the user's side and the agent's side of one conversation share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from conversation.events import Event
from conversation.history import History
from conversation.loudspeaker import Loudspeaker
from conversation.settings import Settings, Tuning
from conversation.stages import Stages
from conversation.workload import Workload


@dataclass(slots=True)
class Session:
    """One session.

    Attributes:
        id: for logs, and as the key by which a language model may keep the prompt's prefix.
        settings: as they are now; replaced as a whole.
        emit: told every event, in order, within the call that causes it.
        workload: what all the sessions of this process ask of the machine.
        tasks: the parent of every task of the session.
        loudspeaker: what the client plays, where its echo is looked for.
    """

    id: str
    stages: Stages
    settings: Settings
    tuning: Tuning
    emit: Callable[[Event], None]
    output_hz: int
    workload: Workload
    history: History = field(init=False)
    tasks: asyncio.TaskGroup = field(init=False, default_factory=asyncio.TaskGroup)
    loudspeaker: Loudspeaker | None = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.output_hz)
        self.loudspeaker = Loudspeaker() if self.tuning.echo else None
