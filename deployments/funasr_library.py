"""Opens one FunASR model, and asks it, without what the library does beside that.

FunASR's `AutoModel` looks for updates, downloads what it does not find, takes over the root logger, seeds
every random generator of the process, and its `generate` keeps the settings of a call in the object, so that
calls can exchange them. Here a model is built from a local directory by `AutoModel.build_model` and asked
through its own `inference`. What goes in and comes out is known by the file of each model, not here.
Library: https://github.com/modelscope/FunASR (1.4).
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from conversation.errors import ConfigError, StageFailed
from deployments.weights import catalogue, locate

_LAYOUT = "config.yaml, configuration.json, model.pt and what configuration.json names"
"""The files of a FunASR model, as ModelScope and Hugging Face hold them."""


@dataclass(frozen=True, slots=True, repr=False)
class OpenedModel:
    """A model ready to be asked, by one thread at a time.

    Attributes:
        stage: whose failures its failures are: "vad" or "asr".
        kind: FunASR's name of its class, e.g. "ParaformerStreaming".
        device: where it runs, e.g. "cpu" or "cuda:0".
        network: the torch module, in evaluation mode. FunASR adds `inference` to it.
        settings: what `inference` wants to be told each time: the tokenizer, the front end, all of
            config.yaml. Never written to.
    """

    stage: str
    kind: str
    device: str
    network: Any
    settings: Mapping[str, Any] = field(hash=False)

    def infer(self, inputs: Sequence[Any], **options: Any) -> list[dict[str, Any]]:
        """What the model makes of each input, in FunASR's own form; nothing at all where it heard nothing.

        Raises StageFailed when the model fails.

        Args:
            inputs: float32 arrays of shape (n,) at 16 kHz, or texts. Many at once only where the model can.
            options: of this call alone: `cache`, `is_final`, `language`, ...
        """
        import torch

        keys = [str(number) for number in range(len(inputs))]
        told = {**self.settings, **options}
        try:
            with torch.inference_mode():
                answer = self.network.inference(data_in=list(inputs), key=keys, **told)
        except Exception as error:  # the library's errors and torch's have no common base
            raise StageFailed(
                self.stage, f"the {self.kind} failed: {type(error).__name__}: {error}"
            ) from error
        return list(answer[0]) if answer else []


def open_model(
    weights: str,
    stage: str,
    *,
    kinds: Collection[str] = (),
    device: str | None = None,
    threads: int = 1,
    **options: Any,
) -> OpenedModel:
    """A model from a local directory or a name of the catalogue; nothing is ever downloaded.

    Raises ConfigError, which names the stage, what was looked for and the remedy, when a file is missing, the
    weights do not fit the configuration, the directory holds another kind of model, the device is not there
    or FunASR is not installed.

    Args:
        weights: a catalogue name, or a directory with config.yaml, configuration.json, model.pt and what
            configuration.json names.
        stage: "vad" or "asr": whose configuration names it.
        kinds: classes of FunASR that will do, e.g. {"Paraformer"}; empty: any.
        device: "cpu", "cuda:0", ...; None: the first GPU, or the CPU where there is none.
        threads: of the CPU, for one operator. Torch has one such number for the whole process.
        options: override what config.yaml says, e.g. fp16=True. Dither, noise that some configurations add to
            the sound before its features are computed, is off: the same sound gives the same answer.
    """
    directory = _directory(weights, stage)
    kind = _kind(directory, stage, kinds)
    auto_model = _imported(stage)
    settings = {
        **options,
        "model": str(directory),  # absolute, so that it is never taken for one of FunASR's own names
        "device": _device(device, stage),
        "ncpu": threads,
        "trust_remote_code": False,
        "ignore_init_mismatch": False,
        "frontend_conf": {**options.get("frontend_conf", {}), "dither": 0.0},
    }
    with _without_side_effects() as printed:
        try:
            network, settings = auto_model.build_model(**settings)
        except (
            Exception
        ) as error:  # whatever the library and torch raise for files that are not what they should be
            raise ConfigError(
                f"{stage}: FunASR cannot open {directory} as a {kind}: {type(error).__name__}: {error}"
            ) from error
    missing = [line for line in printed.getvalue().splitlines() if "miss key in ckpt" in line]
    if missing:  # the library would leave them at random values
        raise ConfigError(
            f"{stage}: the weights in {directory} are not those of its config.yaml; {len(missing)} are "
            f"missing, the first: {missing[0]}. Fetch the directory again, whole"
        )
    return OpenedModel(stage, kind, settings["device"], network, settings)


def _directory(weights: str, stage: str) -> Path:
    try:
        directory = locate(weights).resolve()
    except ConfigError as error:
        raise ConfigError(f"{stage}: {error}\nA directory must hold {_LAYOUT}. {_remedy(weights)}") from error
    if missing := _missing(directory):
        raise ConfigError(
            f"{stage}: {directory} is not a whole FunASR model, it lacks {', '.join(missing)}; "
            f"it must hold {_LAYOUT}. {_remedy(weights)}"
        )
    return directory


def _remedy(weights: str) -> str:
    name = weights if weights in catalogue() else "NAME"
    return f"`python -m deployments.weights {name}` fetches what the catalogue has by that name"


def _missing(directory: Path) -> list[str]:
    """The files that are not there. The library itself does without those that configuration.json names."""
    description = directory / "configuration.json"
    needed = {"config.yaml", "model.pt"}
    if description.is_file():
        with contextlib.suppress(ValueError):  # then it names nothing; build_model fails with a reason
            needed |= set(_texts(json.loads(description.read_text()).get("file_path_metas", {})))
    return sorted(name for name in needed if not (directory / name).exists())


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)


def _kind(directory: Path, stage: str, kinds: Collection[str]) -> str:
    path = directory / "config.yaml"
    try:
        kind = yaml.safe_load(path.read_text())["model"]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{stage}: {path} does not say which `model:` it is of") from error
    if kinds and kind not in kinds:
        raise ConfigError(
            f"{stage}: {directory} holds a {kind}, but {' or '.join(sorted(kinds))} is wanted here; "
            f"does `weights:` name the right thing?"
        )
    return str(kind)


def _imported(stage: str) -> Any:
    """FunASR's AutoModel. The first import takes seconds: it imports every model that it has."""
    with _without_side_effects():
        try:
            import kaldi_native_fbank  # noqa: F401  # for the features; the library would miss it at the first sound only
            from funasr import AutoModel
        except ImportError as error:
            raise ConfigError(
                f"{stage}: FunASR cannot be imported: {error}. torch, funasr and kaldi-native-fbank must be "
                f"in the environment of this stage; see docs/adr/0012-environments-of-the-gpu-stages.md"
            ) from error
    logging.getLogger("jieba").setLevel(logging.WARNING)  # ct-punc's, which tells how it reads its dictionary
    return AutoModel


def _device(device: str | None, stage: str) -> str:
    import torch

    gpus = torch.cuda.device_count()
    if device is None:
        return "cuda:0" if gpus else "cpu"
    if device.startswith("cuda") and (torch.device(device).index or 0) >= gpus:
        raise ConfigError(
            f"{stage}: device {device!r} is not there: torch {torch.__version__} sees {gpus} GPUs; "
            f"give the deployment one (num_gpus), or set device: cpu"
        )
    return device


@contextlib.contextmanager
def _without_side_effects() -> Iterator[io.StringIO]:
    """Around importing the library and building a model; yields what it prints.

    Its random seed, its messages and warnings, and what it makes of the root logger, stay here. Its log
    lines are dropped from now on: they go to the root logger itself and hold transcripts and hotwords.
    """
    root = logging.getLogger()
    root.addFilter(_not_from_funasr)
    if not root.handlers and logging.lastResort is not None:
        root.addHandler(logging.lastResort)  # as if there were none; else logging.info() would set one up
    handlers, level = root.handlers[:], root.level
    chances, numpy_chances = random.getstate(), np.random.get_state()
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
            warnings.simplefilter("ignore")
            yield printed
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        random.setstate(chances)
        np.random.set_state(numpy_chances)


def _not_from_funasr(record: logging.LogRecord) -> bool:
    """A filter of the root logger sees what is logged to it by name, not what other loggers pass up."""
    return record.levelno >= logging.ERROR or "/funasr/" not in record.pathname
