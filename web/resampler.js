// From the microphone's rate to the protocol's, for sound that arrives piece by piece.
//
// A polyphase filter: the ratio of two integer rates needs only as many fractional positions as its reduced
// denominator, so each one's windowed sinc is computed once. See J. O. Smith, "Digital Audio Resampling",
// https://ccrma.stanford.edu/~jos/resample/

/** Zero crossings of the sinc on either side. */
const CROSSINGS = 16;
/** Of the lower rate's bandwidth; what is above has faded out at its end. */
const PASSBAND = 0.9;

export class Resampler {
  #up;
  #down;
  #kernels;
  #input;
  #next = 0; // of the next output sample, in 1/#up of an input sample

  /** Rates are integers, in Hz. */
  constructor(fromHz, toHz) {
    const common = gcd(fromHz, toHz);
    this.#up = toHz / common;
    this.#down = fromHz / common;
    const cutoff = PASSBAND * Math.min(1, toHz / fromHz);
    const half = Math.ceil(CROSSINGS / cutoff);
    this.#kernels = Array.from({ length: this.#up }, (_, phase) => kernel(half, cutoff, phase / this.#up));
    this.#input = new Float32Array(half - 1); // the first output lies on the first input
  }

  /** Takes a Float32Array and returns what can be computed by now; the filter's length stays behind. */
  push(samples) {
    const input = joined(this.#input, samples);
    const taps = this.#kernels[0].length;
    const output = [];
    let start = Math.floor(this.#next / this.#up);
    while (start + taps <= input.length) {
      output.push(dot(this.#kernels[this.#next % this.#up], input, start));
      this.#next += this.#down;
      start = Math.floor(this.#next / this.#up);
    }
    this.#input = input.slice(start);
    this.#next -= start * this.#up;
    return Float32Array.from(output);
  }
}

function kernel(half, cutoff, fraction) {
  const taps = Float64Array.from({ length: 2 * half }, (_, i) => {
    const x = i - (half - 1) - fraction;
    const hann = 0.5 + 0.5 * Math.cos((Math.PI * x) / half);
    return x === 0 ? 1 : (Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x)) * hann;
  });
  const sum = taps.reduce((a, b) => a + b);
  return taps.map((tap) => tap / sum);
}

function dot(taps, input, start) {
  let sum = 0;
  for (let i = 0; i < taps.length; i++) sum += taps[i] * input[start + i];
  return sum;
}

function joined(a, b) {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
