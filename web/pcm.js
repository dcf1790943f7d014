// Sound as the protocol carries it: base64 of 16-bit little-endian samples, mono, 24 kHz.

export const WIRE_HZ = 24_000;

/** Float32Array in [-1, 1] to base64. */
export function encode(samples) {
  const bytes = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((sample, i) => bytes.setInt16(i * 2, Math.max(-1, Math.min(1, sample)) * 32_767, true));
  return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
}

/** Base64 to Float32Array in [-1, 1]. */
export function decode(base64) {
  const bytes = new DataView(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer);
  return Float32Array.from({ length: bytes.byteLength >> 1 }, (_, i) => bytes.getInt16(i * 2, true) / 32_768);
}

/** Root mean square. */
export function loudness(samples) {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}
