// The page's wires: the button, the form and the notice, to the microphone, the speaker and the session.

import { Conversation } from "./conversation.js";
import { whyClosed, whyNotOpened } from "./door.js";
import { Microphone, NoMicrophone } from "./microphone.js";
import { loudness } from "./pcm.js";
import { NotOpened, Session } from "./session.js";
import { Speaker } from "./speaker.js";
import { Transcript } from "./transcript.js";

const WORDS = {
  off: { idle: "Press to talk", hearing: "Press to talk", thinking: "Thinking…", speaking: "Speaking" },
  opening: "Connecting…",
  on: { idle: "Listening", hearing: "Listening…", thinking: "Thinking…", speaking: "Talk to interrupt" },
};

const [controls, talk, talkLabel, state, write, words, notice] = [
  ".controls", "#talk", "#talk-label", "#state", "#write", "#words", "#notice",
].map((selector) => document.querySelector(selector));
const transcript = new Transcript(document.querySelector("#transcript"));

let speaker = null;
let microphone = null;
let conversation = null;
let attempting = false;

talk.addEventListener("click", () => attempt(microphone ? stopTalking : startTalking));
write.addEventListener("submit", (event) => {
  event.preventDefault();
  if (words.value.trim()) attempt(sendWords);
});
show("off", "idle");

async function startTalking() {
  await openSpeaker();
  const open = await openConversation(); // before the user is asked for what could not be used
  open.listen();
  microphone = await Microphone.open({ onSound: hear, onLost: onMicrophoneLost });
  show("on", "idle");
}

function stopTalking() {
  stopListening();
  conversation?.hush();
}

async function sendWords() {
  await openSpeaker();
  const open = await openConversation();
  show(microphone ? "on" : "off");
  open.write(words.value.trim());
  words.value = "";
}

/** One thing at a time. What goes wrong is told, with a way on. */
async function attempt(action) {
  if (attempting) return;
  attempting = true;
  tell("");
  if (!conversation) show("opening", "idle");
  try {
    await action();
  } catch (error) {
    if (!microphone) stopListening();
    if (error instanceof NotOpened) tell(error.message || (await whyNotOpened()), "Try again", () => attempt(action));
    else tell(error instanceof NoMicrophone ? error.message : `This page failed: ${error.message}`);
  } finally {
    attempting = false;
  }
}

async function openSpeaker() {
  // Inside the user's click, as browsers want it.
  speaker ??= new Speaker(({ itemId, playedMs, level }) => {
    transcript.played(itemId, playedMs);
    showLevel(level);
  });
  await speaker.wake();
}

async function openConversation() {
  if (conversation) return conversation;
  const session = await Session.open({ onEvent: (event) => conversation.obey(event), onClose: onSessionLost });
  transcript.divide("A new conversation");
  conversation = new Conversation(session, {
    speaker,
    transcript,
    onPhase: (phase) => show(controls.dataset.state, phase),
    onError: tell,
  });
  return conversation;
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

function onMicrophoneLost() {
  stopTalking();
  tell("The microphone is gone. Connect one and press the button again, or write.");
}

function stopListening() {
  microphone?.close();
  microphone = null;
  show("off", "idle");
}

function hear(samples) {
  if (!conversation) return;
  conversation.hear(samples);
  if (controls.dataset.phase !== "speaking") showLevel(loudness(samples));
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
  controls.style.setProperty("--level", Math.min(1, 1.6 * Math.sqrt(level)).toFixed(2)); // soft voices show as well
}

/** Says a sentence, and offers what can be done about it; nothing for "". */
function tell(sentence, label = "Close", action = () => tell("")) {
  notice.replaceChildren(sentence);
  if (!sentence) return;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", () => {
    talk.focus(); // the button goes away
    action();
  });
  notice.append(button);
}
