// Runs on the audio thread: hands the microphone's samples to the page, in pieces of 40 ms.

const PIECE_S = 0.04;

class Capture extends AudioWorkletProcessor {
  #piece = new Float32Array(Math.round(sampleRate * PIECE_S));
  #filled = 0;

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.#piece[this.#filled++] = sample;
      if (this.#filled === this.#piece.length) {
        this.port.postMessage(this.#piece);
        this.#filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
