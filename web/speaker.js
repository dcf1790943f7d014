// The agent's voice: plays it, knows how much was played, and stops at once. Knows no server.

import { WIRE_HZ } from "./pcm.js";

/** The audio thread answers within milliseconds; longer, and it is not running at all. */
const STOP_MS = 250;

export class Speaker {
  #context;
  #node;
  #onProgress;
  #progress = null; // of what was given since the last stop
  #stopped = null; // takes the answer to a stop that is under way

  /** onProgress: called about twenty times a second while it plays, with { itemId, playedMs, waitingMs, level }. */
  static async open(onProgress) {
    const context = new AudioContext({ sampleRate: WIRE_HZ });
    await context.audioWorklet.addModule("playback-worklet.js");
    return new Speaker(context, onProgress);
  }

  constructor(context, onProgress) {
    this.#context = context;
    this.#onProgress = onProgress;
    this.#node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    this.#node.connect(context.destination);
    this.#node.port.onmessage = ({ data }) => this.#report(data);
  }

  /** Browsers keep a page silent until it was touched; call it when it is. */
  wake() {
    return this.#context.resume();
  }

  /** Queues a Float32Array at 24 kHz. */
  play(itemId, samples) {
    this.#progress ??= { itemId, playedMs: 0, waitingMs: 0, level: 0 };
    this.#node.port.postMessage({ item: itemId, samples }, [samples.buffer]);
  }

  /** Silence. Resolves to what was played, { itemId, playedMs, droppedMs }, or null when nothing was. */
  async stop() {
    if (!this.#progress) return null;
    const { waitingMs, ...last } = this.#progress;
    this.#progress = null;
    const answer = new Promise((resolve) => (this.#stopped = resolve));
    const late = new Promise((resolve) => setTimeout(resolve, STOP_MS, { ...last, droppedMs: waitingMs }));
    this.#node.port.postMessage("stop");
    return Promise.race([answer, late]);
  }

  #report({ item, played, waiting, level, dropped }) {
    const progress = { itemId: item, playedMs: toMs(played), waitingMs: toMs(waiting), level };
    this.#onProgress(progress);
    if (dropped !== undefined) {
      this.#stopped?.({ ...progress, droppedMs: toMs(dropped) });
      this.#stopped = null;
    } else if (!this.#stopped) {
      this.#progress = progress;
    }
  }
}

function toMs(samples) {
  return Math.floor((samples * 1000) / WIRE_HZ);
}
