"""For every test: nothing of it goes on when it is over. And one Ray for all the tests that need one."""

from __future__ import annotations

import asyncio
import asyncio.tasks
import os
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest

from deployments.local_ray import (
    ROOT,
    LocalRay,
    closed_environment,
    free_ports,
    local_ray,
    serve_environment,
)

os.environ.update(serve_environment() | closed_environment())  # Ray reads it when it is imported

hypothesis.settings.register_profile("ours", deadline=None)  # an example may take long on a busy machine
hypothesis.settings.load_profile("ours")

ENDING_S = 2.0
"""Loop time that a cancelled task may still take to end."""

RAY_CPUS = 8
"""What the test deployments ask for together; shares of time, whatever this machine has."""


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Fails a test that leaves one of our tasks running."""
    before = set(asyncio.tasks._all_tasks)  # type: ignore[attr-defined]
    result = yield
    left = [task for task in asyncio.tasks._all_tasks if task not in before and _is_ours(task)]  # type: ignore[attr-defined]
    for task in left:
        loop = task.get_loop()
        if not loop.is_closed() and not loop.is_running():
            loop.run_until_complete(asyncio.wait([task], timeout=ENDING_S))
    leaked = [task for task in left if not task.done()]
    if leaked:
        pytest.fail(f"{len(leaked)} tasks outlived the test, the first is {leaked[0]}")
    return result


def _is_ours(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    file = "" if code is None else code.co_filename
    return file.startswith(str(ROOT)) and "/site-packages/" not in file


@pytest.fixture(scope="session")
def ray_server() -> Iterator[LocalRay]:
    """Ray and Serve on the data path of production, apart from any other on this machine."""
    with local_ray(free_ports(1)[0], cpus=RAY_CPUS) as server:
        yield server
