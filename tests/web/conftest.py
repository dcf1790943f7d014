"""A real server, and a real browser whose microphone is a recording."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

from deployments import weights
from deployments.local_ray import ROOT, free_ports
from tests.web.server import Server

CHROMIUM = "/usr/bin/chromium"
"""Of Debian's package."""

ELSEWHERE = "antiphon.test"
"""A name that for the browser is not this machine's, and reaches it all the same."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
)

MICROPHONE = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"

WAIT_MS = 30_000
"""For anything that the page should do by itself."""

HEARD = "what is the time"
ANSWER = "It is half past nine, as it was when you asked me last, and all is well."
MAX_SESSIONS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.web)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Whoever speaks asks for the time, and whoever asks is told it."""
    place = tmp_path_factory.mktemp("server")
    config = yaml.safe_load((ROOT / "configs" / "scripted.yaml").read_text())
    config["asr"]["options"]["script"] = [HEARD]
    config["llm"]["options"]["script"] = [ANSWER]
    config["ingress"]["max_sessions"] = MAX_SESSIONS
    port = free_ports(1)[0]
    config["ingress"]["origins"] = [f"http://{ELSEWHERE}:{port}"]
    path = place / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    server = Server(path, port, place / "told.txt")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


Open = Callable[..., Page]


@pytest.fixture
def browser(playwright: Playwright, server: Server) -> Iterator[Open]:
    """Starts a browser with the flags given and opens the page, which must not fail or break its policy."""
    browsers: list[Browser] = []
    faults: list[str] = []

    def start(*flags: str, url: str = server.url) -> Page:
        browsers.append(playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags]))
        page = browsers[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.extend(refused_by_policy(message)))
        page.goto(url)
        return page

    yield start
    for browser in browsers:
        browser.close()
    server.until_idle()
    assert not faults


def refused_by_policy(message: ConsoleMessage) -> list[str]:
    return [message.text] if "Content Security Policy" in message.text else []


@pytest.fixture(scope="session")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's voice for half a second, then silence: 5 s, for a microphone that starts over at the end."""
    with wave.open(str(weights.fetch("moonshine-speech") / "beckett.wav")) as recording:
        hz = recording.getframerate()
        samples = np.frombuffer(recording.readframes(hz), "<i2")
    path = tmp_path_factory.mktemp("microphone") / "question.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, hz, 0, "NONE", ""))
        file.writeframes(np.pad(samples, (hz // 2, 7 * hz // 2)).tobytes())
    return path


@pytest.fixture(scope="session")
def asks_once(question: Path) -> tuple[str, ...]:
    return MICROPHONE, ALLOWED, f"--use-file-for-fake-audio-capture={question}%noloop"


@pytest.fixture(scope="session")
def asks_again_and_again(question: Path) -> tuple[str, ...]:
    return MICROPHONE, ALLOWED, f"--use-file-for-fake-audio-capture={question}"
