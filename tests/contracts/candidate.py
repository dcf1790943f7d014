"""What is put to the test of a contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One implementation of a stage's contract.

    Attributes:
        name: what the test is called.
        model: its class.
        options: of its constructor.
        remote: hosted on Ray and called from afar.
        speech: it hears words only in real speech; else any loud sound is speech to it.
    """

    name: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    remote: bool = False
    speech: bool = False
