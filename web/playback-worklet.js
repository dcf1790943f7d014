// Runs on the audio thread: plays what it is given in order, counts it, and falls silent at once when told.
//
// One item at a time: an item's first samples come after those before it were played or stopped.

/** Not to end in a click. */
const FADE_SAMPLES = 120;
/** Blocks of 128 samples between two reports: about 50 ms. */
const REPORT_BLOCKS = 9;

class Playback extends AudioWorkletProcessor {
  #queue = [];
  #waiting = 0; // samples in it
  #item = null;
  #played = 0; // samples of the item
  #blocks = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => (data === "stop" ? this.#stop() : this.#add(data));
  }

  #add({ item, samples }) {
    if (item !== this.#item) {
      this.#item = item;
      this.#played = -this.#waiting; // what is still to fade out belongs to another
    }
    this.#queue.push(samples);
    this.#waiting += samples.length;
  }

  #stop() {
    const dropped = Math.max(0, this.#waiting - FADE_SAMPLES);
    const last = new Float32Array(this.#waiting - dropped);
    this.#take(last);
    this.port.postMessage({ ...this.#progress(0), dropped });
    last.forEach((sample, i) => (last[i] = sample * (1 - i / last.length)));
    this.#queue = [last];
    this.#waiting = last.length;
    this.#item = null;
  }

  process(_, [[speaker]]) {
    if (!this.#waiting) return true;
    this.#take(speaker);
    this.#blocks = (this.#blocks + 1) % REPORT_BLOCKS;
    if (this.#item !== null && (this.#blocks === 0 || !this.#waiting)) {
      this.port.postMessage(this.#progress(this.#waiting && loudness(speaker)));
    }
    return true;
  }

  #progress(level) {
    return { item: this.#item, played: this.#played, waiting: this.#waiting, level };
  }

  /** Fills the array from the front of the queue, as far as there is something. */
  #take(samples) {
    let filled = 0;
    while (filled < samples.length && this.#queue.length) {
      const part = this.#queue[0].subarray(0, samples.length - filled);
      samples.set(part, filled);
      filled += part.length;
      if (part.length === this.#queue[0].length) this.#queue.shift();
      else this.#queue[0] = this.#queue[0].subarray(part.length);
    }
    this.#waiting -= filled;
    this.#played += filled;
  }
}

function loudness(samples) {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

registerProcessor("playback", Playback);
