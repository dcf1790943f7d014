"""The parts of bench.gpu that need neither torch nor a GPU."""

from __future__ import annotations

import pytest
import yaml

from bench.gpu.__main__ import LISTENERS, STREAMS, parser, report_name
from bench.gpu.architectures import _cosyvoice2_configuration, _paraformer_configuration
from bench.gpu.measures import SpokenChunk, gap_s, latencies, most_streams, phases_s, shares
from bench.gpu.streams import OVERLOADED_MS, Heard, _counted


def test_the_slow_end_of_latencies_is_told_apart() -> None:
    told = latencies([float(ms) for ms in range(1, 101)])
    assert told == {"n": 100, "p50": 50.5, "p90": 90.1, "p99": 99.0, "max": 100.0}
    assert latencies([]) is None


def level(ms: float) -> dict[str, float]:
    return {"n": 1, "p50": ms / 2, "p90": ms, "p99": 2 * ms, "max": 3 * ms}


def test_the_most_streams_are_those_of_the_last_level_before_one_that_fails() -> None:
    levels = {16: level(30.0), 1: level(20.0), 64: level(10.0), 32: level(120.0)}
    assert most_streams(levels, "p50", 100.0) == 64
    assert most_streams(levels, "p90", 100.0) == 16
    assert most_streams({1: level(100.0)}, "p90", 100.0) == 0
    assert most_streams({1: None}, "p50", 100.0) == 0


@pytest.mark.parametrize(
    ("total", "among", "dealt"), [(96, 1, [96]), (7, 3, [3, 2, 2]), (1, 2, [1, 0]), (4, 4, [1, 1, 1, 1])]
)
def test_streams_are_dealt_out_evenly(total: int, among: int, dealt: list[int]) -> None:
    assert shares(total, among) == dealt


def test_streams_come_one_after_the_other() -> None:
    assert phases_s(4, 0.6) == pytest.approx([0.0, 0.15, 0.3, 0.45])


def test_a_gap_is_what_is_not_there_when_it_should_sound() -> None:
    assert gap_s([]) == 0.0
    assert gap_s([SpokenChunk(0.2, 1.0), SpokenChunk(1.1, 1.0), SpokenChunk(2.0, 1.0)]) == 0.0
    late = [SpokenChunk(0.2, 1.0), SpokenChunk(1.5, 0.5), SpokenChunk(2.1, 1.0)]
    assert gap_s(late) == pytest.approx(0.3)


def test_a_level_that_was_given_up_is_late() -> None:
    fine, given_up = Heard([20.0, 30.0], False, 4.5), Heard([20.0], True, 4.5)
    assert _counted([fine, fine]) == [20.0, 30.0, 20.0, 30.0]
    assert _counted([fine, given_up]) == [OVERLOADED_MS]


def test_without_arguments_everything_is_measured_at_full_size() -> None:
    wanted = parser().parse_args([])
    assert (wanted.stages, wanted.device, wanted.layers) == (["asr", "tts"], "cuda:0", None)
    assert (tuple(wanted.streams), tuple(wanted.listeners)) == (STREAMS, LISTENERS)
    assert report_name(wanted) == "gpu"


@pytest.mark.parametrize("trial", [["--device", "cpu"], ["--layers", "2"]])
def test_a_trial_is_not_reported_as_a_measurement(trial: list[str]) -> None:
    assert report_name(parser().parse_args(trial)) == "gpu-trial"
    assert report_name(parser().parse_args([*trial, "--name", "mine"])) == "mine"


@pytest.mark.parametrize("wrong", [["--streams", "0"], ["--layers", "-1"], ["--stages", "llm"]])
def test_what_cannot_be_measured_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(wrong)


def test_the_architectures_are_the_published_ones_unless_cut() -> None:
    def depths(layers: int | None) -> tuple[int, int]:
        configuration = _paraformer_configuration(layers)
        return configuration["encoder_conf"]["num_blocks"], configuration["decoder_conf"]["num_blocks"]

    assert (depths(None), depths(20), depths(2)) == ((50, 16), (20, 16), (2, 2))
    assert "num_mid_blocks: 12" in _cosyvoice2_configuration(None)
    assert "num_mid_blocks: 2" in _cosyvoice2_configuration(2)


def test_the_configuration_is_yaml() -> None:
    class Loader(yaml.SafeLoader):
        """Takes HyperPyYAML's tags for plain values."""

    Loader.add_multi_constructor("!", lambda loader, tag, node: tag)
    assert yaml.load(_cosyvoice2_configuration(None), Loader)["sample_rate"] == 24000
