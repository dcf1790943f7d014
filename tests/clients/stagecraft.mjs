// What every Node client's `talk.mjs` needs; see stagecraft.py, which says the same for Python.

import { readFileSync } from 'node:fs';

export const BYTES_PER_MS = 48; // PCM of 16 bits at 24 kHz
export const GREETING = 'Hello there.';
export const QUESTION = 'How is the weather in Paris?';
export const OUTPUT = '18 degrees'; // of the function `weather`, which takes a city
const CHUNK_MS = 20;
const SCENE_S = 60;

/** Sends sound as it runs, silent but for the speech that is asked for. */
export class Microphone {
  #speech;
  #next = Buffer.alloc(0);
  #timer;

  constructor(speech, send) {
    this.#speech = speech;
    const began = performance.now();
    let sent_ms = 0;
    this.#timer = setInterval(() => {
      for (; sent_ms < performance.now() - began; sent_ms += CHUNK_MS) send(this.#chunk());
    }, CHUNK_MS);
  }

  speak() {
    this.#next = this.#speech;
  }

  close() {
    clearInterval(this.#timer);
  }

  #chunk() {
    const chunk = Buffer.alloc(CHUNK_MS * BYTES_PER_MS);
    this.#next.copy(chunk);
    this.#next = this.#next.subarray(chunk.length);
    return chunk;
  }
}

/** Runs `talk.mjs URL SCENE SPEECH` and prints what was seen: the fields of `Seen` in stagecraft.py. */
export async function play(talk) {
  const [url, scene, speech] = process.argv.slice(2);
  const seen = { heard: [], said: [], sound_ms: [], interrupted: false, called: [], errors: [] };
  setTimeout(() => {
    console.error('the scene did not end; seen so far:', JSON.stringify(seen));
    process.exit(1);
  }, SCENE_S * 1000).unref();
  await talk({ url, scene, speech: readFileSync(speech), spoken: ['voice', 'barge_in'].includes(scene), seen });
  console.log(JSON.stringify(seen));
  process.exit(0);
}
