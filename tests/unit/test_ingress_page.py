"""How the files of web/ are handed out."""

from __future__ import annotations

import re

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from deployments.ingress.page import WEB, page

TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


async def got(path: str, method: str = "GET", **headers: str) -> Response:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await page(path, Request({"type": "http", "method": method, "path": f"/{path}", "headers": raw}))


@pytest.mark.parametrize("path", ["", *sorted(file.name for file in WEB.iterdir())])
async def test_every_file_comes_with_its_type_and_may_reach_nobody_else(path: str) -> None:
    answer = await got(path)
    assert answer.status_code == 200
    suffix = re.sub(r".*(?=\.)", "", path or "index.html")
    assert answer.headers["content-type"].split(";")[0] == TYPES[suffix]
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_that_did_not_change_is_not_sent_again() -> None:
    first = await got("app.js")
    assert (await got("app.js", if_none_match=first.headers["etag"])).status_code == 304


@pytest.mark.parametrize("path", ["nothing.js", "../pyproject.toml", "../web", "/etc/passwd", "\0"])
async def test_what_is_not_of_the_page_is_not_found(path: str) -> None:
    with pytest.raises(HTTPException) as refused:
        await got(path)
    assert refused.value.status_code == 404


def test_the_page_names_only_files_that_are_there_and_leaves_none_over() -> None:
    named = {"index.html"}
    for file in WEB.iterdir():
        named |= set(re.findall(r'(?:(?:href|src)=|from |addModule\()"(?:\./)?([^"]+)"', file.read_text()))
    assert named == {file.name for file in WEB.iterdir()}
