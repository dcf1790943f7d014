// What was said, line by line, on the page. Knows no protocol.

/** So near to its end, a reader is following. */
const NEAR_PX = 80;

export class Transcript {
  #list;
  #lines = new Map();

  constructor(list) {
    this.#list = list;
  }

  /** Opens a line for somebody ("user" or "agent"), unless it is there. */
  begin(itemId, who) {
    if (this.#lines.has(itemId)) return;
    const line = element("li", who);
    line.dataset.item = itemId;
    line.setAttribute("aria-busy", "true"); // read out when it is whole
    line.append(element("span", "who", who === "user" ? "You" : "Agent"), element("p", "words"));
    this.#lines.set(itemId, line);
    this.#add(line);
  }

  append(itemId, text) {
    this.#change(itemId, (line, words) => words.append(text));
  }

  /** The words as they stand; the line is whole. */
  finish(itemId, text) {
    this.#change(itemId, (line, words) => {
      if (words.textContent !== text) words.textContent = text;
      line.setAttribute("aria-busy", "false");
    });
  }

  /** Says beside the words what became of them: "interrupted". */
  mark(itemId, note) {
    this.#change(itemId, (line) => {
      line.querySelector(".note")?.remove();
      line.append(element("span", "note", note));
      line.setAttribute("aria-busy", "false");
    });
  }

  played(itemId, ms) {
    const line = this.#lines.get(itemId);
    if (line) line.dataset.playedMs = ms;
  }

  remove(itemId) {
    this.#lines.get(itemId)?.remove();
    this.#lines.delete(itemId);
  }

  /** What comes is another conversation. The lines before stay as they are. */
  divide(text) {
    if (!this.#lines.size) return;
    for (const line of this.#lines.values()) line.setAttribute("aria-busy", "false");
    this.#lines.clear();
    this.#add(element("li", "divider", text));
  }

  #change(itemId, how) {
    const line = this.#lines.get(itemId);
    if (line) this.#following(() => how(line, line.querySelector(".words")));
  }

  #add(line) {
    this.#following(() => this.#list.append(line));
  }

  /** Whoever scrolled back to read stays there. */
  #following(change) {
    const view = this.#list.parentElement;
    const follows = view.scrollHeight - view.scrollTop - view.clientHeight < NEAR_PX;
    change();
    if (follows) view.scrollTop = view.scrollHeight;
  }
}

function element(kind, name, text = "") {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}
