// Why there is no session, in words. A browser hides the status of a refused WebSocket, so the server is asked.

const ANSWER_MS = 5_000;

/** The sentence to show when a session could not be opened. */
export async function whyNotOpened() {
  const health = await ask();
  if (!health) return "The server does not answer.";
  if (health.waiting_for.length) return `The server is not ready; it waits for: ${health.waiting_for.join(", ")}.`;
  if (health.sessions >= health.max_sessions) return `The server is full: all ${places(health.max_sessions)} taken.`;
  return "The server did not let this page in. A place may have become free just now; else its log says why.";
}

/** The sentence for a session that ended by itself, from its close code. */
export function whyClosed(code) {
  switch (code) {
    case 1008:
      return "The connection was too slow, and the server ended the conversation.";
    case 1011:
      return "The server had an error and ended the conversation.";
    case 1012:
      return "The server is restarting. The conversation is over.";
    default:
      return "The connection to the server is lost.";
  }
}

async function ask() {
  try {
    const answer = await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) });
    const health = await answer.json();
    return Array.isArray(health.waiting_for) ? health : null;
  } catch {
    return null;
  }
}

function places(count) {
  return count === 1 ? "1 place is" : `${count} places are`;
}
