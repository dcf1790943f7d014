"""Finds CosyVoice's library, and opens a model directory with it.

CosyVoice has no package of its own making. The library is a checkout of its source, named by COSYVOICE_HOME,
or else what is installed: cosyvoice2-eu has CosyVoice 1 and 2 as they were in June 2025. Either may run on
versions of other libraries that it was not made with; what it then needs is mended here, each thing by its
own function, and only where it is needed. What a model is asked, and how, is not known here.

Source: https://github.com/FunAudioLLM/CosyVoice, read at ace7c47; https://pypi.org/project/cosyvoice2-eu/
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import io
import logging
import os
import re
import sys
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from conversation.errors import ConfigError
from deployments.weights import catalogue, locate

HOME = "COSYVOICE_HOME"
SOURCE = "https://github.com/FunAudioLLM/CosyVoice"

_CONFIGS = {1: "cosyvoice.yaml", 2: "cosyvoice2.yaml", 3: "cosyvoice3.yaml"}
"""The file by which the library itself tells the versions apart."""


@dataclass(frozen=True, slots=True, repr=False)
class OpenedModel:
    """A model directory, loaded.

    Attributes:
        version: 1, 2 or 3.
        rate_hz: of its speech.
        frontend: the library's CosyVoiceFrontEnd: text and reference sound to what the networks take.
        model: the library's CosyVoiceModel, CosyVoice2Model or CosyVoice3Model.
    """

    version: int
    rate_hz: int
    frontend: Any
    model: Any


def open_model(weights: str, options: Mapping[str, Any]) -> OpenedModel:
    """Loads a model directory. Nothing is ever downloaded.

    Args:
        weights: a catalogue name or a local directory, in the layout of CosyVoice-300M, CosyVoice2-0.5B or
            Fun-CosyVoice3-0.5B.
        options: of the library's constructor, those that are wanted: fp16, load_trt, ...

    Raises ConfigError, which says what was looked for and the remedy, when the directory, a file in it, the
    library or a GPU is missing, or the library does not take an option.
    """
    directory, number = _directory(weights, options)
    library = import_library()
    constructor = getattr(library, f"CosyVoice{number if number > 1 else ''}", None)
    if constructor is None:
        raise ConfigError(
            f"tts: {directory} holds CosyVoice {number}, which the library at {_place(library)} does not "
            f"have; get {SOURCE} with its submodules and let {HOME} name the checkout"
        )
    arguments = _arguments(constructor, number, options)
    with _without_side_effects():
        if options.get("load_vllm"):
            _announce_to_vllm()
        try:
            opened = constructor(str(directory), **arguments)
        except (
            Exception
        ) as error:  # whatever the library and torch raise for files that are not what they should be
            raise ConfigError(
                f"tts: CosyVoice {number} cannot be opened from {directory}: {type(error).__name__}: {error}"
            ) from error
    _mend_fading(opened.model)
    if getattr(opened.frontend, "text_frontend", None) == "":
        logging.getLogger(__name__).warning(
            "tts: CosyVoice has no rules for numbers and abbreviations, they are spoken as written; install "
            "wetext 0.1 or later (older ones download their rules), or ttsfrd"
        )
    return OpenedModel(number, int(opened.sample_rate), opened.frontend, opened.model)


def import_library() -> Any:
    """The module `cosyvoice.cli.cosyvoice`; 5 to 15 s the first time. Raises ConfigError with the remedy."""
    if home := os.environ.get(HOME):
        _use_checkout(Path(home).expanduser())
    with _without_side_effects():
        try:
            _mend_loading_of_sound()
            _mend_autocast()
            _mend_downloading_of_rules()
            try:
                return importlib.import_module("cosyvoice.cli.cosyvoice")
            except ModuleNotFoundError as error:
                if (error.name or "").partition(".")[0] != "tn":
                    raise
                _mend_text_normalisation()
                return importlib.import_module("cosyvoice.cli.cosyvoice")
        except (ImportError, OSError) as error:  # OSError: a native library that does not fit torch
            raise ConfigError(
                f"tts: CosyVoice cannot be imported: {error}. Get {SOURCE} with its submodules, let {HOME} "
                f"name the checkout and install what its requirements.txt names; or install cosyvoice2-eu "
                f"(see docs/adr/0012-environments-of-the-gpu-stages.md)"
            ) from error


def _use_checkout(home: Path) -> None:
    """Puts the checkout before what is installed."""
    matcha = home / "third_party" / "Matcha-TTS"
    for needed in (home / "cosyvoice" / "cli" / "cosyvoice.py", matcha / "matcha" / "__init__.py"):
        if not needed.is_file():
            raise ConfigError(
                f"tts: {HOME} is {home}, but there is no {needed}; it must name a checkout of {SOURCE}, with "
                f"its submodule (git submodule update --init)"
            )
    for path in (str(matcha), str(home)):
        if path not in sys.path:
            sys.path.insert(0, path)


def _place(library: Any) -> Path:
    return Path(library.__file__).parents[2]


def _directory(weights: str, options: Mapping[str, Any]) -> tuple[Path, int]:
    """The model directory and its version. Checked here, since the library would download what it lacks."""
    remedy = (
        f"`python -m deployments.weights {weights if weights in catalogue() else 'NAME'}` fetches what the "
        f"catalogue has by that name"
    )
    try:
        directory = locate(weights).resolve()
    except ConfigError as error:
        raise ConfigError(f"tts: {error}. {remedy}") from error
    number = next((number for number, name in _CONFIGS.items() if (directory / name).is_file()), None)
    if number is None:
        raise ConfigError(
            f"tts: {directory} is no directory of CosyVoice: it has none of {', '.join(_CONFIGS.values())}. "
            f"{remedy}"
        )
    if missing := [name for name in _files(number, options) if not (directory / name).exists()]:
        raise ConfigError(
            f"tts: {directory} is not a whole model of CosyVoice {number}: it lacks {', '.join(missing)}. "
            f"{remedy}"
        )
    return directory, number


def _files(number: int, options: Mapping[str, Any]) -> Iterator[str]:
    """What the library reads, with these options."""
    yield from ("llm.pt", "flow.pt", "hift.pt", "campplus.onnx", f"speech_tokenizer_v{number}.onnx")
    if number > 1:
        yield "CosyVoice-BlankEN"
    if options.get("load_trt"):
        yield "flow.decoder.estimator.fp32.onnx"
    if options.get("load_jit"):
        precision = "fp16" if options.get("fp16") else "fp32"
        parts = ("llm.text_encoder", "llm.llm", "flow.encoder") if number == 1 else ("flow.encoder",)
        yield from (f"{part}.{precision}.zip" for part in parts)


def _arguments(constructor: Any, number: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the constructor of this version is given."""
    takes = list(inspect.signature(constructor).parameters)
    for name in options:
        if name not in takes:
            known = ", ".join(name for name in takes if name != "model_dir")
            raise ConfigError(f"tts options.{name}: CosyVoice {number} has no such option; it takes {known}")
    if options and not _gpu_is_there():
        raise ConfigError(
            f"tts options: {', '.join(options)}: these need a GPU, and torch sees none; give the deployment "
            f"one (num_gpus), or leave them out"
        )
    # Without it cosyvoice2-eu reads llm-original.pt and so on, names that only its own weights have.
    return {**options, "final": True} if "final" in takes else dict(options)


def _gpu_is_there() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _announce_to_vllm() -> None:
    """vLLM is told of the language model's class, which the library leaves to its callers.

    Source: vllm_example.py. Read, and never run here.
    """
    try:
        from vllm import ModelRegistry  # type: ignore[import-not-found]
    except ImportError as error:
        raise ConfigError(f"tts options.load_vllm: vLLM cannot be imported: {error}") from error
    from cosyvoice.vllm.cosyvoice2 import CosyVoice2ForCausalLM

    ModelRegistry.register_model("CosyVoice2ForCausalLM", CosyVoice2ForCausalLM)


def _mend_loading_of_sound() -> None:
    """From 2.9 on `torchaudio.load` is torchcodec's, which wants FFmpeg; without it no WAV file can be read.

    The library reads a reference by `torchaudio.load(path, backend="soundfile")`; so soundfile reads it.
    Source: https://github.com/pytorch/audio/issues/3902
    """
    if not _is_at_least("torchaudio", 2, 9) or find_spec("torchcodec") is not None:
        return
    import soundfile
    import torch
    import torchaudio

    def load(uri: str, **_: Any) -> tuple[Any, int]:
        samples, rate_hz = soundfile.read(uri, dtype="float32", always_2d=True)
        return torch.from_numpy(samples.T.copy()), rate_hz

    torchaudio.load = load


def _mend_autocast() -> None:
    """Torch 2.4 gave `torch.cuda.amp.autocast` a new name and a warning, which every chunk would repeat.

    Source: https://docs.pytorch.org/docs/stable/amp.html
    """
    if not _is_at_least("torch", 2, 4):
        return
    import torch

    def autocast(enabled: bool = True, dtype: Any = torch.float16, cache_enabled: bool = True) -> Any:
        return torch.amp.autocast("cuda", dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)

    torch.cuda.amp.autocast = autocast


def _is_at_least(package: str, *wanted: int) -> bool:
    try:
        numbers = re.findall(r"\d+", version(package))
    except PackageNotFoundError:
        return False
    return tuple(int(number) for number in numbers[: len(wanted)]) >= wanted


def _mend_downloading_of_rules() -> None:
    """wetext before 0.1, which upstream pins, fetches its rules for text from ModelScope whenever it is made.

    What was fetched before is used; else it has none, which upstream's frontend takes silently.
    """
    if find_spec("wetext") is None:
        return
    module: Any = importlib.import_module("wetext.wetext")
    if hasattr(module, "snapshot_download"):
        module.snapshot_download = functools.partial(module.snapshot_download, local_files_only=True)


def _mend_fading(model: Any) -> None:
    """The windows of the fades are arrays that tensors are multiplied by, which NumPy 2 deprecates.

    Source: `fade_in_out` in cosyvoice/utils/common.py,
    https://numpy.org/doc/stable/release/2.0.0-notes.html (`__array_wrap__`)
    """
    if not _is_at_least("numpy", 2):
        return
    import torch

    for name in ("mel_window", "speech_window"):
        if hasattr(model, name):
            setattr(model, name, torch.from_numpy(getattr(model, name)))


def _mend_text_normalisation() -> None:
    """cosyvoice2-eu imports WeTextProcessing (`tn`), of which many platforms have no build.

    wetext has the same rules, compiled, by the same author; upstream itself has used it since June 2025.
    Source: https://pypi.org/project/wetext/
    """
    normalizer = importlib.import_module("wetext").Normalizer

    class Chinese:
        def __init__(self, remove_erhua: bool = False, full_to_half: bool = False, **_: Any) -> None:
            self._rules = normalizer(lang="zh", remove_erhua=remove_erhua, full_to_half=full_to_half)

        def normalize(self, text: str) -> str:
            return str(self._rules.normalize(text))

    class English:
        def __init__(self, **_: Any) -> None:
            self._rules = normalizer(lang="en")

        def normalize(self, text: str) -> str:
            return str(self._rules.normalize(text))

    for language, rules in {"chinese": Chinese, "english": English}.items():
        module: Any = types.ModuleType(f"tn.{language}.normalizer")
        module.Normalizer = rules
        sys.modules[module.__name__] = module
        sys.modules[f"tn.{language}"] = types.ModuleType(f"tn.{language}")
    sys.modules["tn"] = types.ModuleType("tn")


@contextlib.contextmanager
def _without_side_effects() -> Iterator[None]:
    """Around importing the library and loading a model: keeps the root logger as it is, and stdout empty.

    Its import sets the root logger to DEBUG (`logging.basicConfig` in cosyvoice/utils/file_utils.py), by
    which every other library would log its all.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
