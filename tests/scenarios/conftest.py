import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_defect(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A conversation survives its own defects and logs them as errors; here they fail the test."""
    yield
    errors = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.ERROR and record.name.startswith("conversation")
    ]
    assert not errors
