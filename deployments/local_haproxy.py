"""HAProxy listens where this server wants it, and nowhere else.

Serve 2.60 writes HAProxy's configuration with one address for the door, for its own proxy and for the
replicas' sockets, and with all interfaces for metrics and statistics; it has a setting only for the first. It
also lets one name the binary: so here is one that corrects the addresses and becomes HAProxy.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"


def write_haproxy(
    path: Path, haproxy: str, *, host: str, http_port: int, metrics_port: int, stats_port: int
) -> None:
    """Writes the program that Serve is to start instead of the binary `haproxy`.

    Args:
        host: an IPv4 address to listen on besides loopback; the two other ports stay on loopback.
    """
    door = f"{EVERYWHERE if host == EVERYWHERE else LOOPBACK}:{http_port}"
    if host not in (EVERYWHERE, LOOPBACK):
        door += f",{host}:{http_port}"
    addresses = {
        f"{LOOPBACK}:{http_port}": door,
        f":{metrics_port}": f"{LOOPBACK}:{metrics_port}",
        f"*:{stats_port}": f"{LOOPBACK}:{stats_port}",
    }
    corrections = " ".join(
        "-e " + shlex.quote(rf"s/^\( *bind\) {re.escape(serves)}$/\1 {ours}/")
        for serves, ours in addresses.items()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        "# Serve starts it with: -db -f CONFIGURATION ...\n"
        f'sed -i {corrections} "$3" && exec {shlex.quote(haproxy)} "$@"\n'
    )
    path.chmod(0o700)
