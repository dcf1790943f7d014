"""Where the time of one call goes: by part of a model, and by kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypedDict

TOP = 12


class Profile(TypedDict):
    """Of one call. Times in ms.

    Attributes:
        took: by the clock, without the profiler; the device has finished.
        parts: of each named part, by the clock with the profiler and on the device; what a part starts is
            its own.
        kernels: the TOP by time, on the device where there is one, else on the CPU.
        launches: how many kernels were started: each costs the CPU some microseconds.
    """

    took: float
    parts: dict[str, dict[str, float]]
    kernels: list[dict[str, Any]]
    launches: int


@contextmanager
def named(thing: Any, method: str, part: str) -> Iterator[None]:
    """Meanwhile that method of that one object counts as a part."""
    from torch.profiler import record_function

    inner = getattr(thing, method)

    def outer(*args: Any, **kwargs: Any) -> Any:
        with record_function(part):
            return inner(*args, **kwargs)

    object.__setattr__(thing, method, outer)
    try:
        yield
    finally:
        object.__delattr__(thing, method)


def profiled(call: Callable[[], Any], parts: Sequence[str]) -> Profile:
    """Calls three times on this thread: to warm up, by the clock, and under torch's profiler."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    on_gpu = torch.cuda.is_available()

    def finish() -> None:
        if on_gpu:
            torch.cuda.synchronize()

    call()
    finish()
    began_s = time.perf_counter()
    call()
    finish()
    took_ms = (time.perf_counter() - began_s) * 1000
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        call()
        finish()
    events = profiler.key_averages()
    kernels = _kernels(events, parts, on_gpu)
    return Profile(
        took=round(took_ms, 2),
        parts={event.key: _part(event) for event in events if event.key in parts and not _on_device(event)},
        kernels=kernels[:TOP],
        launches=sum(kernel["calls"] for kernel in kernels),
    )


def _part(event: Any) -> dict[str, float]:
    """Torch counts in microseconds."""
    return {
        "cpu": round(event.cpu_time_total / 1000, 2),
        "device": round(getattr(event, "device_time_total", 0) / 1000, 2),
    }


def _on_device(event: Any) -> bool:
    return "cuda" in str(event.device_type).lower()


def _kernels(events: Iterable[Any], parts: Sequence[str], on_gpu: bool) -> list[dict[str, Any]]:
    """Those of the device, or the operators where there is only a CPU; the longest first."""
    found = []
    for event in events:
        is_kernel = _on_device(event) if on_gpu else event.key.startswith("aten::")
        if is_kernel and event.key not in parts:
            spent_us = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            ms = round(spent_us / 1000, 3)
            found.append({"name": event.key[:120], "calls": int(event.count), "ms": ms})
    return sorted(found, key=lambda kernel: -float(kernel["ms"]))
