// The user's voice, as pieces at the protocol's rate. Knows no server.
//
// The context runs at the device's own rate, since not every browser lets a microphone into a context of another;
// so the pieces are resampled here.

import { WIRE_HZ } from "./pcm.js";
import { Resampler } from "./resampler.js";

/** The microphone cannot be had; the message says why and what to do. */
export class NoMicrophone extends Error {}

export class Microphone {
  #stream;
  #context;

  /**
   * Asks the user. Raises NoMicrophone.
   * onSound: given a Float32Array at 24 kHz for every 40 ms.
   * onLost: called when the device goes away.
   */
  static async open({ onSound, onLost }) {
    const stream = await ask();
    const context = new AudioContext();
    const microphone = new Microphone(stream, context);
    try {
      await context.audioWorklet.addModule("capture-worklet.js");
      microphone.#connect(onSound);
    } catch (error) {
      microphone.close();
      throw error;
    }
    stream.getAudioTracks()[0].addEventListener("ended", onLost);
    return microphone;
  }

  constructor(stream, context) {
    this.#stream = stream;
    this.#context = context;
  }

  #connect(onSound) {
    const resampler = new Resampler(this.#context.sampleRate, WIRE_HZ);
    const capture = new AudioWorkletNode(this.#context, "capture", { channelCount: 1, channelCountMode: "explicit" });
    capture.port.onmessage = ({ data }) => onSound(resampler.push(data));
    this.#context.createMediaStreamSource(this.#stream).connect(capture);
    capture.connect(this.#context.destination); // it is silent, but some browsers run only what is connected
  }

  /** At once: the browser's sign that it records goes out, and onSound is not called again. */
  close() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#context.close();
  }
}

async function ask() {
  if (!navigator.mediaDevices?.getUserMedia) throw new NoMicrophone(whyUnavailable());
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new NoMicrophone(whyRefused(error), { cause: error });
  }
}

function whyUnavailable() {
  if (isSecureContext) return "This browser cannot use a microphone. You can write instead.";
  const port = location.port && `:${location.port}`;
  return (
    "Browsers give the microphone only to pages from this machine or over https. On the machine that runs the " +
    `server, open http://localhost${port}/ instead. You can also write.`
  );
}

function whyRefused(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The microphone was refused. Allow it beside the page's address and press the button again, or write.";
    case "NotFoundError":
      return "No microphone was found. Connect one and press the button again, or write.";
    case "NotReadableError":
      return "The microphone is in use by another program. Close that one and press the button again, or write.";
    default:
      return `The microphone cannot be used (${error.message || error.name}). You can write instead.`;
  }
}
