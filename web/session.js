// One session with the server: the socket, and what this page says of the Realtime protocol (docs/protocol.md).
// Knows no sound and no page.

/** For the handshake and the server's first word. */
const OPEN_MS = 10_000;
/** A minute of the microphone: the line is far too slow, or dead. */
const UNSENT_BYTES = 4_000_000;

/** No session came about. The message is the reason, or empty: a browser does not tell it; door.js asks. */
export class NotOpened extends Error {}

const NO_KEY =
  "This server wants an API key. Open this page with the key behind its address, as in /#key=YOUR-KEY, and reload it.";

export class Session {
  #socket;

  /**
   * Resolves when the server has greeted. Raises NotOpened.
   * onEvent: given each event from then on.
   * onClose: given the close code, once, when the session is over and close() was not called.
   */
  static open({ onEvent, onClose }) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(address(), protocols());
      const session = new Session(socket);
      const deadline = setTimeout(() => socket.close(), OPEN_MS);
      socket.onclose = () => {
        clearTimeout(deadline);
        reject(new NotOpened());
      };
      socket.onmessage = ({ data }) => {
        const { type, error } = JSON.parse(data);
        if (type === "error") return reject(new NotOpened(error.code === "invalid_api_key" ? NO_KEY : error.message));
        clearTimeout(deadline);
        socket.onmessage = ({ data }) => onEvent(JSON.parse(data));
        socket.onclose = ({ code }) => onClose(code);
        session.#send("session.update", {
          session: {
            type: "realtime",
            audio: { input: { transcription: { model: "default" } } },
            antiphon: { hold: true },
          },
        });
        resolve(session);
      };
    });
  }

  constructor(socket) {
    this.#socket = socket;
  }

  /** 40 ms of the user's voice. */
  hear(base64) {
    if (this.#socket.bufferedAmount > UNSENT_BYTES) this.#socket.close();
    else this.#send("input_audio_buffer.append", { audio: base64 });
  }

  /** What was heard and is not a turn yet is not to be one. */
  forget() {
    this.#send("input_audio_buffer.clear");
  }

  write(text) {
    const content = [{ type: "input_text", text }];
    this.#send("conversation.item.create", { item: { type: "message", role: "user", content } });
    this.#send("response.create");
  }

  cancel(responseId) {
    this.#send("response.cancel", { response_id: responseId });
  }

  /** Only so much of the agent's item was played. */
  truncate(itemId, playedMs) {
    this.#send("conversation.item.truncate", { item_id: itemId, content_index: 0, audio_end_ms: playedMs });
  }

  retrieve(itemId) {
    this.#send("conversation.item.retrieve", { item_id: itemId });
  }

  #send(type, fields) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type, ...fields }));
  }
}

function address() {
  const url = new URL("v1/realtime?model=antiphon", document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** What comes after # in the page's address never leaves the browser by itself. */
function protocols() {
  const key = location.hash.match(/^#key=(.+)$/)?.[1];
  return key ? ["realtime", `openai-insecure-api-key.${key}`] : ["realtime"];
}
