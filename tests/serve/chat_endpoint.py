"""A language model's endpoint that says one sentence, whatever it is asked. OpenAI's protocol, streamed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatEndpoint:
    def __init__(self, url: str, asked: list[dict[str, Any]]) -> None:
        self.url, self.asked = url, asked


@contextmanager
def chat_endpoint(sentence: str) -> Iterator[ChatEndpoint]:
    """On this machine, with what it was asked so far; a character is a token."""
    asked: list[dict[str, Any]] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for character in sentence:
                self._event(choices=[{"index": 0, "delta": {"content": character}}])
            self._event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
            self._event(choices=[], usage={"prompt_tokens": 9, "completion_tokens": len(sentence)})
            self.wfile.write(b"data: [DONE]\n\n")

        def _event(self, **content: Any) -> None:
            event = {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "scripted",
                **content,
            }
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield ChatEndpoint(f"http://127.0.0.1:{server.server_address[1]}/v1", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
