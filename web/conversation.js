// What a session's events mean for the speaker and the transcript, and what an interruption is. Knows no page.

import { decode, encode } from "./pcm.js";

/** Errors that mean only that the server was faster. */
const HARMLESS = new Set(["response_cancel_not_active"]);

export class Conversation {
  #session;
  #speaker;
  #transcript;
  #onPhase;
  #onError;
  #answering = null; // the response under way
  #speaking = null; // its item, once there is sound of it
  #unwanted = null; // a response that was cancelled here, and may still be speaking there
  #held = null; // a response that pauses until the server knows what the sound was
  #isHushed = false;
  #hearing = null; // the user's item that is not a turn yet

  /**
   * onPhase: given "idle", "hearing", "thinking" or "speaking" when it changes.
   * onError: given a sentence.
   */
  constructor(session, { speaker, transcript, onPhase, onError }) {
    this.#session = session;
    this.#speaker = speaker;
    this.#transcript = transcript;
    this.#onPhase = onPhase;
    this.#onError = onError;
  }

  hear(samples) {
    this.#session.hear(encode(samples));
  }

  /** The user wants to talk: whatever the agent says, it stops. */
  listen() {
    this.#isHushed = false;
    this.#interrupt();
  }

  write(text) {
    this.#isHushed = false;
    this.#interrupt();
    this.#session.write(text);
  }

  /** The user has enough: nothing more is to be heard, not even an answer that is only on its way. */
  hush() {
    this.#isHushed = true;
    this.#interrupt();
  }

  #interrupt() {
    if (this.#hearing) this.#session.forget();
    if (this.#answering) this.#cancel();
    this.#silence();
  }

  #cancel() {
    this.#unwanted = this.#answering;
    this.#session.cancel(this.#answering);
  }

  /** Silence at once; then the server learns how much was heard, so that the agent remembers the same. */
  #silence() {
    this.#held = null;
    const unfinished = this.#speaking;
    const played = this.#speaker.stop();
    if (!played || (!played.droppedMs && played.itemId !== unfinished)) return; // all of it was heard
    this.#session.truncate(played.itemId, played.playedMs);
    this.#transcript.mark(played.itemId, "interrupted");
  }

  obey(event) {
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        return this.#speechStarted(event);
      case "input_audio_buffer.speech_stopped":
        return this.#onPhase("thinking");
      case "input_audio_buffer.committed":
        return this.#committed(event);
      case "input_audio_buffer.cleared":
        return this.#cleared();
      case "conversation.item.input_audio_transcription.delta":
        return this.#transcript.append(event.item_id, event.delta);
      case "conversation.item.input_audio_transcription.completed":
        return this.#understood(event);
      case "conversation.item.input_audio_transcription.failed":
        return this.#transcript.mark(event.item_id, "not understood");
      case "conversation.item.added":
        return this.#written(event);
      case "response.created":
        return this.#answerStarted(event);
      case "response.output_audio.delta":
        return this.#spoke(event);
      case "response.output_audio_transcript.delta":
        return this.#said(event);
      case "response.done":
        return this.#answered(event);
      case "antiphon.output.hold":
        return this.#hold(event);
      case "antiphon.output.resume":
        return this.#resume(event);
      case "conversation.item.truncated":
        return this.#session.retrieve(event.item_id); // the server knows which words are left
      case "conversation.item.retrieved":
        return this.#transcript.finish(event.item.id, wordsOf(event.item));
      case "error":
        return this.#failed(event);
    }
  }

  // --- the user's side

  #speechStarted({ item_id }) {
    this.#silence();
    this.#hearing = item_id;
    this.#transcript.begin(item_id, "user");
    this.#onPhase("hearing");
  }

  #committed({ item_id }) {
    this.#hearing = null;
    this.#transcript.begin(item_id, "user");
  }

  #cleared() {
    if (this.#hearing) this.#transcript.remove(this.#hearing);
    this.#hearing = null;
    this.#onPhase("idle");
  }

  #understood({ item_id, transcript }) {
    this.#transcript.finish(item_id, transcript);
    if (transcript.trim()) return;
    this.#transcript.mark(item_id, "nothing understood");
    if (!this.#answering) this.#onPhase("idle");
  }

  #written({ item }) {
    if (item.role !== "user" || item.content[0]?.type !== "input_text") return;
    this.#transcript.begin(item.id, "user");
    this.#transcript.finish(item.id, wordsOf(item));
  }

  // --- the agent's side

  #answerStarted({ response }) {
    this.#answering = response.id;
    if (this.#isHushed) this.#cancel();
    else this.#onPhase("thinking");
  }

  #spoke({ response_id, item_id, delta }) {
    if (response_id === this.#unwanted) return;
    this.#speaking = item_id;
    this.#speaker.play(item_id, decode(delta));
    this.#onPhase("speaking");
  }

  #hold({ response_id }) {
    if (response_id === this.#unwanted) return;
    this.#held = response_id;
    this.#speaker.hold();
    this.#onPhase("hearing");
  }

  #resume({ response_id }) {
    if (response_id !== this.#held) return;
    this.#held = null;
    this.#speaker.resume();
    this.#onPhase(this.#speaking ? "speaking" : "thinking");
  }

  #said({ response_id, item_id, delta }) {
    if (response_id === this.#unwanted) return;
    this.#transcript.begin(item_id, "agent");
    this.#transcript.append(item_id, delta);
  }

  #answered({ response }) {
    if (response.id === this.#held) this.#endHold(response);
    this.#answering = null;
    this.#speaking = null;
    for (const item of response.output) {
      this.#transcript.finish(item.id, wordsOf(item));
      if (response.status === "cancelled") this.#transcript.mark(item.id, "interrupted");
      if (response.status === "incomplete") this.#transcript.mark(item.id, "cut short");
    }
    if (response.status === "failed") {
      this.#onError(`The answer failed: ${response.status_details?.error?.message ?? "the server gives no reason"}`);
    }
    this.#onPhase(this.#hearing ? "hearing" : "idle");
  }

  /** The answer is over: what it said in the end is still to be heard, unless it was interrupted. */
  #endHold({ id, status }) {
    if (status === "cancelled") this.#silence();
    else this.#resume({ response_id: id });
  }

  #failed({ error }) {
    if (!HARMLESS.has(error.code)) this.#onError(`The server says: ${error.message}`);
  }
}

function wordsOf(item) {
  return item.content.map((part) => part.text ?? part.transcript ?? "").join("\n");
}
