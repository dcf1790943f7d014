"""What Serve's HAProxy is made to listen on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from deployments.local_haproxy import write_haproxy

SERVES = """frontend prometheus
    bind :20001
frontend http_frontend
    bind 127.0.0.1:8765
listen stats
  bind *:20002
backend other
    server a 127.0.0.1:8765 check
"""


@pytest.mark.parametrize(
    ("host", "door"),
    [
        ("127.0.0.1", "127.0.0.1:8765"),
        ("0.0.0.0", "0.0.0.0:8765"),
        ("192.168.1.5", "127.0.0.1:8765,192.168.1.5:8765"),
    ],
)
def test_only_the_door_is_opened_and_as_far_as_asked(host: str, door: str, tmp_path: Path) -> None:
    program, configuration = tmp_path / "h" / "haproxy", tmp_path / "haproxy.cfg"
    configuration.write_text(SERVES)
    write_haproxy(program, "echo", host=host, http_port=8765, metrics_port=20001, stats_port=20002)

    told = subprocess.run(
        [program, "-db", "-f", configuration, "-sf", "7"], capture_output=True, text=True, check=True
    ).stdout

    assert told == f"-db -f {configuration} -sf 7\n"
    binds = [line.split()[1] for line in configuration.read_text().splitlines() if "bind" in line]
    assert binds == ["127.0.0.1:20001", door, "127.0.0.1:20002"]
    assert "server a 127.0.0.1:8765 check" in configuration.read_text()


def test_serve_writes_the_addresses_as_we_look_for_them() -> None:
    lines = {line.strip() for line in HAPROXY_CONFIG_TEMPLATE.splitlines()}
    assert {
        "bind :{{ config.metrics_port }}",
        "bind {{ config.frontend_host }}:{{ config.frontend_port }}",
        "bind *:{{ config.stats_port }}",
    } <= lines
