"""A cache and a catalogue of one's own; a folder that pip asks instead of any index; a registry for npm."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from deployments.weights import entries

DATA = b"the numbers of a very small model"

Describe = Callable[[Mapping[str, object]], None]


def described(path: str, data: bytes = DATA) -> dict[str, object]:
    """A file as the catalogue describes it."""
    return {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


FILE = described("toy_model/data/toy.bin")
ENTRY: dict[str, object] = {
    "about": "a toy",
    "source": "https://example.org/toy",
    "licence": "MIT",
    "wheels": ["toy-model==1.2.3"],
    "files": [FILE],
}


@pytest.fixture
def describe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Describe:
    """Makes an entry the catalogue's only one, `toy`; at first that is ENTRY. The cache is a new one."""
    monkeypatch.setenv("ANTIPHON_CACHE", str(tmp_path / "cache"))
    catalogues = iter(range(100))

    def describe(entry: Mapping[str, object]) -> None:
        path = tmp_path / f"models-{next(catalogues)}.yaml"
        path.write_text(yaml.safe_dump({"toy": dict(entry)}))
        monkeypatch.setattr(entries, "CATALOGUE", path)

    describe(ENTRY)
    return describe


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, describe: Describe) -> Path:
    """A folder that pip asks instead of any index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(
    folder: Path, contents: Mapping[str, bytes], name: str = "toy_model", tag: str = "any"
) -> None:
    info = f"{name}-1.2.3.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.2.3-py3-none-{tag}.whl", "w") as wheel:
        for path, data in contents.items():
            wheel.writestr(path, data)
        wheel.writestr(f"{name}/__init__.py", "raise RuntimeError('never imported')")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: py3-none-{tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


Serve = Callable[[Mapping[str, bytes]], None]


@pytest.fixture
def serve_tarball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Puts files into `toy-voices`, version 2.0.0, of a registry on this machine: the only one npm asks."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    answers: dict[str, bytes] = {}

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"{}")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever)
    thread.start()
    for key, value in {
        "registry": address,
        "userconfig": "/dev/null",
        "cache": str(tmp_path / "npm"),
        "fetch_retries": "0",
    }.items():
        monkeypatch.setenv(f"npm_config_{key}", value)

    def serve(contents: Mapping[str, bytes]) -> None:
        tarball = _tarball(
            {"package/package.json": b'{"name": "toy-voices", "version": "2.0.0"}', **contents}
        )
        version = {
            "name": "toy-voices",
            "version": "2.0.0",
            "dist": {
                "tarball": f"{address}/toy-voices.tgz",
                "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode(),
            },
        }
        answers["/toy-voices.tgz"] = tarball
        answers["/toy-voices"] = json.dumps(
            {"name": "toy-voices", "dist-tags": {"latest": "2.0.0"}, "versions": {"2.0.0": version}}
        ).encode()

    yield serve
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def _tarball(contents: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, data in contents.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()
