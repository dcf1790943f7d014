"""Other people's servers, measured beside this one: each in an environment of its own, made by the Makefile.

async with peer_server(stages="scripted", turn="smart") as url:
    async with session(Pipecat(), url, {}) as client: ...
"""

from bench.peers.pipecat.server import CONFIGS, Stages, Turn, peer_server, peer_versions
from bench.peers.pipecat.wire import Pipecat

__all__ = ["CONFIGS", "Pipecat", "Stages", "Turn", "peer_server", "peer_versions"]
