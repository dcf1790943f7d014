"""Clients that were written elsewhere: which are run against this server, and how each is pointed at it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Client:
    """One client.

    Attributes:
        folder: its script and its pinned environment, beside this file.
        package: its name on the index of its language.
        setting: what tells it where the server is.
    """

    folder: str
    package: str
    language: Literal["Python", "Node"]
    setting: str
    needs_tls: bool = False
    writes_without_speech: bool = True
    """It can ask for answers in text; else they are all spoken."""

    @property
    def version(self) -> str:
        """The one that is pinned."""
        if self.language == "Node":
            wanted = json.loads((HERE / self.folder / "package.json").read_text())["dependencies"]
            return str(wanted[self.package])
        pins = (HERE / self.folder / "requirements.txt").read_text()
        [version] = re.findall(rf"^{re.escape(self.package)}==(\S+)$", pins, re.MULTILINE)
        return str(version)


CLIENTS = (
    Client("openai_python", "openai", "Python", '`base_url="http://HOST/v1"`'),
    Client("openai_node", "openai", "Node", '`baseURL: "https://HOST/v1"`', needs_tls=True),
    Client(
        "agents_python",
        "openai-agents",
        "Python",
        '`model_config={"url": "ws://HOST/v1/realtime?model=NAME"}`',
    ),
    Client("agents_node", "@openai/agents", "Node", '`connect({url: "ws://HOST/v1/realtime?model=NAME"})`'),
    Client("pipecat", "pipecat-ai", "Python", '`base_url="ws://HOST/v1/realtime"`'),
    Client("livekit_python", "livekit-plugins-openai", "Python", '`base_url="http://HOST/v1"`'),
    Client(
        "livekit_node",
        "@livekit/agents-plugin-openai",
        "Node",
        '`baseURL: "http://HOST/v1"`; speaks the beta dialect',
        writes_without_speech=False,
    ),
    Client("pydantic_ai", "pydantic-ai-slim", "Python", '`OpenAIProvider(base_url="http://HOST/v1")`'),
)


def markdown() -> str:
    """The table of docs/protocol.md."""
    rows = [
        f"| `{client.package}` {client.version} ({client.language}) | {client.setting} |"
        for client in CLIENTS
    ]
    return "\n".join(["| client | pointed at the server by |", "|---|---|", *rows])
