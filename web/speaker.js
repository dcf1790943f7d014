// The agent's voice: plays it, knows how much was played, and pauses and stops at once. Knows no server.
//
// Pieces are scheduled on the audio clock, each where the one before ends. (A worklet would count samples itself, but
// pages that are not secure have none, and who cannot talk there may still listen.)

import { WIRE_HZ, loudness } from "./pcm.js";

/** Not to end in a click. */
const FADE_S = 0.005;
const REPORT_MS = 50;

export class Speaker {
  #context = new AudioContext({ sampleRate: WIRE_HZ });
  #meter = new AnalyserNode(this.#context, { fftSize: 1024 }); // 43 ms
  #volume = this.#newVolume();
  #onProgress;
  #itemId = null; // One at a time: an item begins when the one before was played or stopped.
  #waiting = []; // its pieces that are not wholly played, { source, startS, endS }
  #doneS = 0; // of its pieces before those
  #endS = 0; // of all that is scheduled
  #isHeld = false;
  #reports = null;

  /** onProgress: called about twenty times a second while something plays, with { itemId, playedMs, level }. */
  constructor(onProgress) {
    this.#onProgress = onProgress;
    this.#meter.connect(this.#context.destination);
  }

  /** Browsers keep a page silent until it was touched: to be called when it is. */
  wake() {
    return this.#isHeld ? undefined : this.#context.resume();
  }

  /** Silence, for a while: the audio clock stands still, and with it all that is scheduled. */
  hold() {
    this.#isHeld = true;
    return this.#context.suspend();
  }

  /** Goes on with the very next sample. */
  resume() {
    this.#isHeld = false;
    return this.#context.resume();
  }

  /** Queues a Float32Array at 24 kHz. */
  play(itemId, samples) {
    if (itemId !== this.#itemId) this.#begin(itemId);
    const buffer = this.#context.createBuffer(1, samples.length, WIRE_HZ);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    source.connect(this.#volume);
    const startS = Math.max(this.#context.currentTime, this.#endS);
    source.start(startS);
    this.#endS = startS + buffer.duration;
    this.#waiting.push({ source, startS, endS: this.#endS });
    this.#reports ??= setInterval(() => this.#report(), REPORT_MS);
  }

  /** Silence. Returns what was played, { itemId, playedMs, droppedMs }, or null when there was nothing to play. */
  stop() {
    const stopped = this.#itemId === null ? null : this.#drop();
    if (this.#isHeld) this.resume();
    return stopped;
  }

  #drop() {
    const playedS = this.#playedS();
    const droppedS = this.#waiting.reduce((sumS, piece) => sumS + piece.endS - piece.startS, this.#doneS) - playedS;
    const stopped = { itemId: this.#itemId, playedMs: toMs(playedS), droppedMs: toMs(droppedS) };
    this.#fade();
    this.#onProgress({ ...stopped, level: 0 });
    this.#begin(null);
    return stopped;
  }

  /** Root mean square of what was played last. */
  level() {
    if (this.#isHeld) return 0;
    const samples = new Float32Array(this.#meter.fftSize);
    this.#meter.getFloatTimeDomainData(samples);
    return loudness(samples);
  }

  #begin(itemId) {
    this.#itemId = itemId;
    this.#waiting = [];
    this.#doneS = 0;
  }

  #fade() {
    const nowS = this.#context.currentTime;
    for (const { source } of this.#waiting) source.stop(nowS + FADE_S);
    if (this.#isHeld) this.#volume.disconnect(); // it is silent already, and is not to be heard fading
    this.#volume.gain.setValueAtTime(1, nowS).linearRampToValueAtTime(0, nowS + FADE_S);
    this.#volume = this.#newVolume();
    this.#endS = 0;
  }

  #playedS() {
    const nowS = this.#context.currentTime;
    while (this.#waiting.length && this.#waiting[0].endS <= nowS) {
      const { startS, endS } = this.#waiting.shift();
      this.#doneS += endS - startS;
    }
    return this.#doneS + Math.max(0, nowS - (this.#waiting[0]?.startS ?? nowS));
  }

  #report() {
    if (this.#itemId !== null) {
      const playedMs = toMs(this.#playedS());
      this.#onProgress({ itemId: this.#itemId, playedMs, level: this.#waiting.length ? this.level() : 0 });
    }
    if (this.#waiting.length) return;
    clearInterval(this.#reports);
    this.#reports = null;
  }

  #newVolume() {
    const volume = new GainNode(this.#context);
    volume.connect(this.#meter);
    return volume;
  }
}

function toMs(seconds) {
  return Math.round(seconds * 1000);
}
