"""The page at /, in a real browser, against a real server of scripted stages."""

from __future__ import annotations

import base64
import json
import re
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocket, WebSocketRoute, expect
from websockets.sync.client import connect

from tests.web.conftest import ALLOWED, ANSWER, ELSEWHERE, HEARD, MAX_SESSIONS, MICROPHONE, WAIT_MS, Open
from tests.web.server import Server

LEVEL = 0.2
"""Of the scripted voice."""

expect.set_options(timeout=WAIT_MS)


class Wire:
    """What went over the page's sockets, both ways, in order."""

    def __init__(self, page: Page) -> None:
        self.events: list[dict[str, Any]] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.events.append(json.loads(frame)))
        socket.on("framesent", lambda frame: self.events.append(json.loads(frame)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def sent_ms(self, item_id: str) -> int:
        """So much of the agent's voice reached the page."""
        deltas = [event for event in self.of("response.output_audio.delta") if event["item_id"] == item_id]
        return sum(len(base64.b64decode(event["delta"])) for event in deltas) // 48


def talk(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("^(Talk|Stop)$"))


def write(page: Page, text: str) -> None:
    page.get_by_label("Write instead").fill(text)
    page.keyboard.press("Enter")


def lines(page: Page, who: str) -> Locator:
    return page.locator(f"#transcript .{who}")


def words(line: Locator) -> Locator:
    return line.locator(".words")


def notice(page: Page) -> Locator:
    return page.get_by_role("alert")


def until_played(page: Page, at_least_ms: int, *, line: int = 0) -> None:
    """So much of the agent's answer with that number."""
    page.wait_for_function(
        "([line, ms]) => document.querySelectorAll('#transcript .agent')[line]?.dataset.playedMs >= ms",
        arg=[line, at_least_ms],
    )


def until_loud(page: Page, level: float) -> None:
    """The ring around the button is as wide as what is played is loud."""
    page.wait_for_function(
        "(ring) => document.querySelector('.controls').style.getPropertyValue('--level') === ring",
        arg=f"{1.6 * level**0.5:.2f}",
    )


def played_ms(page: Page, *, line: int = 0) -> int:
    return int(lines(page, "agent").nth(line).get_attribute("data-played-ms") or 0)


def test_a_question_is_asked_and_the_whole_answer_is_heard(browser: Open, asks_once: tuple[str, ...]) -> None:
    page = browser(*asks_once)
    wire = Wire(page)
    expect(page.get_by_text("Press the button and speak")).to_be_visible()
    talk(page).click()
    expect(words(lines(page, "user"))).to_have_text(re.compile(f"^{HEARD[:4]}"))
    until_loud(page, LEVEL)
    expect(words(lines(page, "agent"))).to_have_text(ANSWER)
    expect(lines(page, "agent")).to_have_attribute("aria-busy", "false")
    until_played(page, wire.sent_ms(str(lines(page, "agent").get_attribute("data-item"))))
    assert played_ms(page) > len(ANSWER) * 50
    assert not wire.of("conversation.item.truncate")
    expect(page.locator(".note")).to_have_count(0)
    expect(page.get_by_text("Listening")).to_be_visible()


def test_a_user_who_speaks_over_the_agent_is_heard_and_the_rest_is_never_played(
    browser: Open, asks_again_and_again: tuple[str, ...]
) -> None:
    page = browser(*asks_again_and_again)
    wire = Wire(page)
    talk(page).click()
    note = lines(page, "agent").locator(".note", has_text="interrupted").first
    expect(note).to_be_visible()
    until_played(page, 1, line=1)  # the next answer
    check_cut(page, wire)


def test_the_button_silences_the_agent_and_the_microphone(browser: Open, asks_once: tuple[str, ...]) -> None:
    page = browser(*asks_once)
    wire = Wire(page)
    talk(page).click()
    until_played(page, 500)
    talk(page).click()
    expect(talk(page)).to_have_attribute("aria-pressed", "false")
    expect(lines(page, "agent").locator(".note")).to_have_text("interrupted")
    write(page, "And now?")
    until_played(page, 1, line=1)
    check_cut(page, wire)
    assert wire.of("response.cancel")


def check_cut(page: Page, wire: Wire) -> None:
    """What the first answer was cut to is what was played of it, at the page and at the server."""
    line = lines(page, "agent").first
    item_id = str(line.get_attribute("data-item"))
    cut = wire.of("conversation.item.truncate")[0]
    assert cut["item_id"] == item_id
    assert cut["audio_end_ms"] == wire.of("conversation.item.truncated")[0]["audio_end_ms"] == played_ms(page)
    assert 0 < played_ms(page) < wire.sent_ms(item_id)
    heard = words(line).inner_text()
    assert heard == wire.of("conversation.item.retrieved")[0]["item"]["content"][0]["transcript"]
    assert 0 < len(heard) < len(ANSWER)
    assert ANSWER.startswith(heard.rstrip("—"))


def test_who_writes_is_answered_without_a_microphone(browser: Open) -> None:
    page = browser()
    write(page, "What is the time?")
    expect(words(lines(page, "user"))).to_have_text("What is the time?")
    until_loud(page, LEVEL)
    expect(words(lines(page, "agent"))).to_have_text(ANSWER)
    expect(page.get_by_label("Write instead")).to_have_value("")


def test_who_writes_while_the_agent_speaks_interrupts_it(browser: Open) -> None:
    page = browser()
    wire = Wire(page)
    write(page, "What is the time?")
    until_played(page, 500)
    write(page, "And now?")
    until_played(page, 1, line=1)
    check_cut(page, wire)


@pytest.mark.parametrize(
    ("flags", "host", "says"),
    [
        ([MICROPHONE, f"{ALLOWED}=deny"], "127.0.0.1", "The microphone was refused."),
        ([], "127.0.0.1", "No microphone was found."),
        ([MICROPHONE, ALLOWED], ELSEWHERE, "open http://localhost:"),
    ],
    ids=["refused", "missing", "no-secure-page"],
)
def test_without_a_microphone_the_page_says_why_and_one_can_write(
    browser: Open, server: Server, flags: list[str], host: str, says: str
) -> None:
    page = browser(*flags, url=server.url.replace("127.0.0.1", host))
    talk(page).click()
    expect(notice(page)).to_contain_text(says)
    expect(talk(page)).to_have_attribute("aria-pressed", "false")
    write(page, "What is the time?")
    until_loud(page, LEVEL)
    expect(notice(page)).to_be_empty()


def test_a_server_that_is_full_is_named_and_can_be_tried_again(
    browser: Open, server: Server, asks_once: tuple[str, ...]
) -> None:
    page = browser(*asks_once)
    with ExitStack() as others:
        for _ in range(MAX_SESSIONS):
            others.enter_context(connect(server.socket_url))
        talk(page).click()
        expect(notice(page)).to_contain_text(f"The server is full: all {MAX_SESSIONS} places are taken.")
        expect(talk(page)).to_have_attribute("aria-pressed", "false")
    server.until_idle()
    page.get_by_role("button", name="Try again").click()
    until_loud(page, LEVEL)


def test_an_error_of_the_server_is_shown_and_the_session_goes_on(browser: Open) -> None:
    page = browser()
    page.route_web_socket(re.compile("/v1/realtime"), with_a_mistake)
    page.reload()
    write(page, "What is the time?")
    expect(notice(page)).to_contain_text("The server says: ")
    expect(notice(page)).to_contain_text("no.such.event")
    until_loud(page, LEVEL)
    page.get_by_role("button", name="Close").click()
    expect(notice(page)).to_be_empty()


def with_a_mistake(page: WebSocketRoute) -> None:
    """An event that the server does not know comes before the page's own."""
    server = page.connect_to_server()
    server.send(json.dumps({"type": "no.such.event"}))


def test_a_server_that_wants_a_key_is_named(browser: Open) -> None:
    page = browser()
    page.route_web_socket(re.compile("/v1/realtime"), turn_away)
    page.reload()
    write(page, "What is the time?")
    expect(notice(page)).to_contain_text("This server wants an API key.")


def turn_away(page: WebSocketRoute) -> None:
    page.send(json.dumps({"type": "error", "error": {"code": "invalid_api_key", "message": ""}}))
    page.close(code=3000)


def test_a_server_that_is_gone_is_named_and_found_again(
    browser: Open, server: Server, asks_once: tuple[str, ...]
) -> None:
    page = browser(*asks_once)
    talk(page).click()
    until_played(page, 1)
    server.kill()
    expect(notice(page)).to_contain_text("The connection to the server is lost.")
    expect(talk(page)).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Connect again").click()
    expect(notice(page)).to_contain_text("The server does not answer.")
    server.start()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".divider")).to_have_text("A new conversation")
    until_played(page, 500, line=1)


def test_the_speaker_falls_silent_at_once_and_says_how_much_it_played(browser: Open) -> None:
    """Of twenty seconds; it takes some 50 ms, of which the meter's window is 43."""
    page = browser("--autoplay-policy=no-user-gesture-required")
    heard = page.evaluate(
        """async () => {
          const { Speaker } = await import("/speaker.js");
          const until = async (condition) => {
            while (!condition()) await new Promise(requestAnimationFrame);
          };
          const speaker = new Speaker(() => {});
          await speaker.wake();
          speaker.play("first", new Float32Array(10 * 24000).fill(0.5));
          speaker.play("first", new Float32Array(10 * 24000).fill(0.5));
          await until(() => speaker.level() > 0.4);
          const stopped = speaker.stop();
          const start = performance.now();
          await until(() => speaker.level() === 0);
          return { stopped, silentAfterMs: performance.now() - start, again: speaker.stop() };
        }"""
    )
    assert heard["silentAfterMs"] < 5_000
    assert heard["stopped"]["itemId"] == "first"
    assert 0 < heard["stopped"]["playedMs"] < 10_000
    assert heard["stopped"]["playedMs"] + heard["stopped"]["droppedMs"] == pytest.approx(20_000, abs=2)
    assert heard["again"] is None


RECORDED = """
    async () => {
      // Whatever goes to the speakers goes to a recorder as well.
      const { connect } = AudioNode.prototype;
      let last = null;
      AudioNode.prototype.connect = function (to, ...rest) {
        if (to instanceof AudioDestinationNode) last = this;
        return connect.call(this, to, ...rest);
      };
      const { Speaker } = await import("/speaker.js");
      const reports = [];
      const speaker = new Speaker((report) => reports.push(report));
      AudioNode.prototype.connect = connect;
      const { context } = last;
      await context.audioWorklet.addModule("/capture-worklet.js");
      const mono = { channelCount: 1, channelCountMode: "explicit" };
      const recorder = new AudioWorkletNode(context, "capture", mono);
      const heard = [];
      recorder.port.onmessage = ({ data }) => heard.push(...data);
      last.connect(recorder).connect(context.destination);
      const until = async (condition) => {
        while (!condition()) await new Promise(requestAnimationFrame);
      };
      // Every sample is told apart from all others, and none from silence by less than float32 keeps.
      const RAMP = Float32Array.from({ length: 24000 }, (_, i) => (i + 1) / 32768);
      await speaker.wake();
      %s
    }
"""
"""Runs the rest of a function with a Speaker whose output is recorded."""


def test_the_speaker_holds_and_goes_on_with_the_very_next_sample(browser: Open) -> None:
    page = browser("--autoplay-policy=no-user-gesture-required")
    seen = page.evaluate(
        RECORDED
        % """
          speaker.play("first", RAMP.slice(0, 9600));
          speaker.play("first", RAMP.slice(9600));
          await until(() => heard.some((sample) => sample > 0));
          const askedS = context.currentTime;
          await speaker.hold();
          const heldS = context.currentTime;
          const held = { level: speaker.level(), reports: reports.length };
          await until(() => reports.length > held.reports + 4); // a fifth of a second
          const still = { ...reports.at(-1), S: context.currentTime };
          speaker.play("first", RAMP.slice(0, 10)); // comes late, and after the rest
          await speaker.resume();
          await until(() => heard.filter((sample) => sample > 0).length >= RAMP.length + 10);
          const first = heard.findIndex((sample) => sample > 0);
          return {
            tookS: heldS - askedS, stoodS: still.S - heldS, still, held,
            heard: heard.slice(first, first + RAMP.length + 10).map((sample) => Math.round(sample * 32768)),
          };
        """
    )
    assert seen["tookS"] < 0.25  # it is a quantum of 5 ms, but the browser's threads share a busy machine
    assert seen["stoodS"] == 0
    assert seen["held"]["level"] == seen["still"]["level"] == 0
    assert 0 < seen["still"]["playedMs"] < 1000
    assert seen["heard"] == [*range(1, 24_001), *range(1, 11)]


def test_a_speaker_that_is_stopped_while_it_holds_is_not_heard_again(browser: Open) -> None:
    page = browser("--autoplay-policy=no-user-gesture-required")
    seen = page.evaluate(
        RECORDED
        % """
          speaker.play("first", RAMP);
          await until(() => heard.some((sample) => sample > 0));
          await speaker.hold();
          await speaker.wake(); // a click on the page is no reason to go on
          const stopped = speaker.stop();
          speaker.play("second", Float32Array.from([0.5, 0.5]));
          await until(() => heard.includes(0.5));
          const ramp = heard.filter((sample) => sample > 0 && sample !== 0.5).map((sample) => sample * 32768);
          const inOrder = ramp.every((sample, i) => sample === i + 1);
          return { stopped, rampMs: ramp.length / 24, inOrder };
        """
    )
    assert seen["inOrder"]
    assert seen["stopped"]["itemId"] == "first"
    assert seen["stopped"]["playedMs"] == pytest.approx(seen["rampMs"], abs=1)


class Holding:
    """A server that hears a sound after so much of its answer, and holds until it is told what it was."""

    def __init__(self, page: Page, after: int = 10) -> None:
        self._deltas, self._kept, self._sent_bytes = after, list[str](), 0
        self.truncated: list[dict[str, Any]] = []
        page.route_web_socket(re.compile("/v1/realtime"), self._join)
        page.reload()

    def _join(self, page: WebSocketRoute) -> None:
        self._page, self._server = page, page.connect_to_server()
        self._server.on_message(self._answer)
        page.on_message(self._ask)

    def _ask(self, message: str | bytes) -> None:
        event = json.loads(message)
        if event["type"] == "conversation.item.truncate":
            self.truncated.append(event)
        self._server.send(message)

    def _answer(self, message: str | bytes) -> None:
        event = json.loads(message)
        if self._deltas <= 0 and event["type"].startswith("response."):
            self._kept.append(str(message))
            return
        self._page.send(message)
        if event["type"] == "response.output_audio.delta":
            self._sent_bytes += len(base64.b64decode(event["delta"]))
            self._deltas -= 1
            if self._deltas == 0:
                self._response_id = event["response_id"]
                self._tell("antiphon.output.hold", response_id=self._response_id)

    @property
    def sent_ms(self) -> int:
        return self._sent_bytes // 48

    def resume(self) -> None:
        self._tell("antiphon.output.resume", response_id=self._response_id)
        self._deltas = 10_000
        for message in self._kept:
            self._answer(message)

    def interrupt(self) -> None:
        self._tell("input_audio_buffer.speech_started", item_id="item_user")

    def _tell(self, kind: str, **fields: Any) -> None:
        self._page.send(json.dumps({"type": kind, **fields}))


def until_held(page: Page) -> None:
    until_played(page, 1)
    expect(page.locator("#state")).to_have_text("Listening…")


def test_a_page_that_is_told_to_hold_listens_and_then_plays_the_rest(
    browser: Open, asks_once: tuple[str, ...]
) -> None:
    page = browser(*asks_once)
    server = Holding(page)
    talk(page).click()
    until_held(page)
    assert played_ms(page) < server.sent_ms
    server.resume()
    expect(page.locator("#state")).to_have_text("Talk to interrupt")
    expect(lines(page, "agent")).to_have_attribute("aria-busy", "false")
    until_played(page, server.sent_ms)
    assert server.sent_ms > 2000
    assert not server.truncated
    expect(page.locator(".note")).to_have_count(0)


def test_a_hold_that_was_an_interruption_ends_in_silence(browser: Open, asks_once: tuple[str, ...]) -> None:
    page = browser(*asks_once)
    server = Holding(page)
    talk(page).click()
    until_held(page)
    server.interrupt()
    expect(lines(page, "agent").locator(".note")).to_have_text("interrupted")
    [cut] = server.truncated
    assert cut["audio_end_ms"] == played_ms(page) < server.sent_ms


def test_the_resampler_keeps_voices_and_nothing_that_would_fold_into_them(browser: Open) -> None:
    """Both tones at 44.1 kHz; the second is above what 24 kHz can carry."""
    page = browser()
    gain = page.evaluate(
        """async () => {
          const { Resampler } = await import("/resampler.js");
          const { loudness } = await import("/pcm.js");
          const gain = (hz) => {
            const resampler = new Resampler(44100, 24000);
            const wave = (_, i) => Math.sin((2 * Math.PI * hz * i) / 44100);
            const tone = Float32Array.from({ length: 44100 }, wave);
            const out = [];
            for (let i = 0; i < 44100; i += 1764) out.push(...resampler.push(tone.slice(i, i + 1764)));
            return { samples: out.length, gain: loudness(out.slice(1000, -1000)) * Math.SQRT2 };
          };
          return { voice: gain(3000), hiss: gain(15000) };
        }"""
    )
    assert gain["voice"]["samples"] == pytest.approx(24_000, abs=30)
    assert gain["voice"]["gain"] == pytest.approx(1, abs=0.01)
    assert gain["hiss"]["gain"] < 0.01
