// The page's wires: the button, the form and the notice, to the microphone, the speaker and the session.

import { Conversation } from "./conversation.js";
import { whyClosed, whyNotOpened } from "./door.js";
import { Microphone, NoMicrophone } from "./microphone.js";
import { NotOpened, Session } from "./session.js";
import { Speaker } from "./speaker.js";
import { Transcript } from "./transcript.js";

const WORDS = {
  off: { idle: "Press to talk", hearing: "Press to talk", thinking: "Thinking…", speaking: "Speaking" },
  opening: "Connecting…",
  on: { idle: "Listening", hearing: "Listening…", thinking: "Thinking…", speaking: "Speaking; talk to interrupt" },
};

const [controls, talk, talkLabel, state, write, words, notice] = [
  ".controls", "#talk", "#talk-label", "#state", "#write", "#words", "#notice",
].map((selector) => document.querySelector(selector));
const transcript = new Transcript(document.querySelector("#transcript"));

let speaker = null;
let microphone = null;
let conversation = null;

talk.addEventListener("click", () => (microphone ? stopTalking() : attempt(startTalking)));
write.addEventListener("submit", (event) => {
  event.preventDefault();
  if (words.value.trim()) attempt(sendWords);
});
show("off", "idle");

async function startTalking() {
  await openSpeaker();
  await conversation?.interrupt();
  microphone = await Microphone.open({ onSound: hear, onLost: stopTalking });
  await openConversation();
  show("on", "idle");
}

async function stopTalking() {
  stopListening();
  await conversation?.interrupt();
}

async function sendWords() {
  await openSpeaker();
  await openConversation();
  await conversation.write(words.value.trim());
  words.value = "";
  show(microphone ? "on" : "off");
}

/** One at a time. What goes wrong is told, with a way on. */
async function attempt(action) {
  if (controls.dataset.state === "opening") return;
  const before = controls.dataset.state;
  if (!conversation) show("opening");
  tell("");
  try {
    await action();
  } catch (error) {
    if (error instanceof NotOpened) {
      stopListening();
      tell(await whyNotOpened(), "Try again", () => attempt(action));
    } else {
      tell(error instanceof NoMicrophone ? error.message : `This page failed: ${error.message}`);
      show(before, "idle");
    }
  }
}

async function openSpeaker() {
  // Inside the user's click, as browsers want it.
  speaker ??= await Speaker.open(({ itemId, playedMs, level }) => {
    transcript.played(itemId, playedMs);
    showLevel(level);
  });
  await speaker.wake();
}

async function openConversation() {
  if (conversation) return;
  const session = await Session.open({ onEvent: (event) => conversation.obey(event), onClose: onSessionLost });
  transcript.divide("A new conversation");
  conversation = new Conversation(session, {
    speaker,
    transcript,
    onPhase: (phase) => show(controls.dataset.state, phase),
    onError: tell,
  });
}

function onSessionLost(code) {
  const wasTalking = microphone !== null;
  conversation = null;
  speaker.stop();
  stopListening();
  tell(whyClosed(code), "Connect again", () => attempt(wasTalking ? startTalking : openQuietly));
}

async function openQuietly() {
  await openConversation();
  show("off", "idle");
}

function stopListening() {
  microphone?.close();
  microphone = null;
  show("off", "idle");
}

function hear(samples) {
  if (!conversation) return;
  conversation.hear(samples);
  if (controls.dataset.phase !== "speaking") showLevel(Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
}

// --- what is seen

function show(to, phase = controls.dataset.phase) {
  Object.assign(controls.dataset, { state: to, phase });
  talk.setAttribute("aria-pressed", String(to === "on"));
  talkLabel.textContent = to === "on" ? "Stop" : "Talk";
  state.textContent = to === "opening" ? WORDS.opening : WORDS[to][phase];
  if (phase === "idle" && to !== "on") showLevel(0);
}

function showLevel(level) {
  controls.style.setProperty("--level", Math.min(1, level * 4).toFixed(2));
}

/** Says a sentence, with a button if something can be done about it; nothing for "". */
function tell(sentence, label = "", action = null) {
  notice.replaceChildren(sentence);
  if (!action) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", action);
  notice.append(button);
}
