"""The page at /: the files of web/, and the headers that let it do no more than it must.

Knows where the page lies and how browsers should treat it; nothing of sessions or Ray.
"""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

WEB = Path(__file__).parents[2] / "web"

HEADERS = {
    # A new version of the server brings a new page: ask each time whether it changed.
    "Cache-Control": "no-cache",
    # Nothing comes from elsewhere and nothing goes elsewhere; 'self' is also the socket of this origin.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_files = StaticFiles(directory=WEB)


async def page(path: str, request: Request) -> Response:
    """A file of the page, or 304. Raises Starlette's HTTPException (404, 405)."""
    answer = await _files.get_response(path or "index.html", request.scope)
    answer.headers.update(HEADERS)
    return answer
