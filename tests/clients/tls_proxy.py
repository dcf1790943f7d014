"""TLS in front of a server, as docs/tls.md has it: deploy/nginx.conf, in Debian's nginx, without root."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.local_ray import ROOT, free_ports

NGINX = "/usr/sbin/nginx"
"""Of Debian's nginx-light."""

SITE = ROOT / "deploy" / "nginx.conf"

UP_WITHIN_S = 20.0
"""It takes a tenth of a second."""
GONE_WITHIN_S = 20.0
MADE_WITHIN_S = 20.0

_ALONE = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    include {site};
}}
"""
"""In the place of Debian's nginx.conf: everything below its prefix, nothing in the background."""


@dataclass(frozen=True, slots=True)
class TlsProxy:
    """Attributes: authority: the certificate, in PEM, that clients must trust; it signed the proxy's."""

    port: int
    authority: Path

    @property
    def host(self) -> str:
        """By the name in its certificate."""
        return f"localhost:{self.port}"


@contextmanager
def tls_proxy(server_port: int, home: Path) -> Iterator[TlsProxy]:
    """A proxy to the server at that port of this machine.

    Args:
        home: an empty directory, for all that it writes.
    """
    port = free_ports(1)[0]
    authority = certified(home)
    (home / "site.conf").write_text(site(server_port, port, home))
    (home / "nginx.conf").write_text(_ALONE.format(site=home / "site.conf"))
    told = home / "told.txt"
    with told.open("wb") as output:
        nginx = subprocess.Popen(
            [NGINX, "-p", str(home), "-c", "nginx.conf"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _until_up(nginx, port, told)
        yield TlsProxy(port, authority)
    finally:
        nginx.terminate()
        nginx.wait(GONE_WITHIN_S)


def site(server_port: int, port: int, home: Path) -> str:
    """deploy/nginx.conf, changed in the places where everybody must change it."""
    text = SITE.read_text()
    for theirs, ours in {
        "listen [::]:443 ssl;": "",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/letsencrypt/live/talk.example.org": str(home),
        "talk.example.org": "localhost",
        "http://127.0.0.1:8765": f"http://127.0.0.1:{server_port}",
    }.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    return text


def certified(home: Path) -> Path:
    """Makes an authority, and what it signs for localhost; gives the authority's certificate."""
    authority, key = home / "authority.pem", home / "authority.key"
    _request(authority, key, "/CN=An authority for a test", "keyUsage=critical,keyCertSign")
    signed = ("-CA", str(authority), "-CAkey", str(key), "-addext", "basicConstraints=critical,CA:FALSE")
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    _request(home / "fullchain.pem", home / "privkey.pem", "/CN=localhost", names, *signed)
    return authority


def _request(certificate: Path, key: Path, subject: str, extension: str, *options: str) -> None:
    command = ["openssl", "req", "-x509", "-days", "2", "-noenc"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [*command, *curve, *files, "-subj", subject, "-addext", extension, *options],
        check=True,
        capture_output=True,
        timeout=MADE_WITHIN_S,
    )


def _until_up(nginx: subprocess.Popen[bytes], port: int, told: Path) -> None:
    deadline_s = time.monotonic() + UP_WITHIN_S
    while True:
        assert nginx.poll() is None, told.read_text()
        assert time.monotonic() < deadline_s, told.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
