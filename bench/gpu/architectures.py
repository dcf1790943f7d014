"""Model directories with the published architectures and random weights, for the real classes to open.

Weights decide how much is said, and so what it costs. Here they are chosen so that both models say about as
much as people do: the recogniser finds a token every 220 ms, the synthesiser ends a sentence when its library
first allows it, at two speech tokens for each of the text's, which is a quarter of a second for a character.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from bench.speech import speech_set

SEED = 1

# --- Paraformer

VOCABULARY = 8404
_ENCODER_LAYERS, _DECODER_LAYERS = 50, 16
_WIDTH = 512
_BANDS, _JOINED = 80, 7

TOKEN_MS = 220
"""Mandarin has four to five syllables a second, and a token is a syllable."""
_FRAME_MS = 60

_LAYER = {
    "attention_heads": 4,
    "linear_units": 2048,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
}


def paraformer_streaming(into: Path, layers: int | None = None) -> None:
    """Of speech_paraformer-large_asr_nat-zh-cn-16k-common-vocab8404-online: 220 million weights, 0.9 GB.

    Args:
        into: made if it is not there.
        layers: at most so many in the encoder and the decoder; None: the published 50 and 16.

    Source: config.yaml of https://modelscope.cn/models/iic/speech_paraformer-large_asr_nat-zh-cn-16k-common-
    vocab8404-online; classes of FunASR 1.4.16.
    """
    import torch
    from funasr import AutoModel

    into.mkdir(parents=True, exist_ok=True)
    (into / "config.yaml").write_text(yaml.safe_dump(_paraformer_configuration(layers)))
    syllables = [chr(ord("一") + number) for number in range(VOCABULARY - 4)]
    tokens = ["<blank>", "<s>", "</s>", *syllables, "<unk>"]
    (into / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False))
    width = _BANDS * _JOINED
    (into / "am.mvn").write_text(_normalisation(width, shift=-8.3, scale=0.15))
    files = {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"token_list": "tokens.json"},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    }
    description = {"framework": "pytorch", "model": {"type": "funasr"}, "file_path_metas": files}
    (into / "configuration.json").write_text(json.dumps(description))
    model, _ = AutoModel.build_model(model=str(into.resolve()), device="cpu", ncpu=1, seed=SEED)
    fires = _FRAME_MS / TOKEN_MS  # of a token, in each frame
    with torch.no_grad():
        model.predictor.cif_output.weight.zero_()
        model.predictor.cif_output.bias.fill_(math.log(fires / (1 - fires)))
        model.decoder.output_layer.bias[[0, 1, 2, VOCABULARY - 1]] = -1e4  # never silent
    torch.save(model.state_dict(), into / "model.pt")


def _paraformer_configuration(layers: int | None) -> dict[str, Any]:
    return {
        "model": "ParaformerStreaming",
        "model_conf": {"ctc_weight": 0.0, "lsm_weight": 0.1, "predictor_bias": 1, "sampling_ratio": 0.75},
        "encoder": "SANMEncoderChunkOpt",
        "encoder_conf": {
            **_LAYER,
            "output_size": _WIDTH,
            "num_blocks": _at_most(layers, _ENCODER_LAYERS),
            "attention_dropout_rate": 0.1,
            "input_layer": "pe_online",
            "pos_enc_class": "SinusoidalPositionEncoder",
            "normalize_before": True,
            "kernel_size": 11,
            "sanm_shfit": 0,
            "selfattention_layer_type": "sanm",
            "chunk_size": [12, 15],
            "stride": [8, 10],
            "pad_left": [0, 0],
            "encoder_att_look_back_factor": [4, 4],
            "decoder_att_look_back_factor": [1, 1],
        },
        "decoder": "ParaformerSANMDecoder",
        "decoder_conf": {
            **_LAYER,
            "num_blocks": _at_most(layers, _DECODER_LAYERS),
            "att_layer_num": _at_most(layers, _DECODER_LAYERS),
            "self_attention_dropout_rate": 0.1,
            "src_attention_dropout_rate": 0.1,
            "kernel_size": 11,
            "sanm_shfit": 5,
        },
        "predictor": "CifPredictorV2",
        "predictor_conf": {
            "idim": _WIDTH,
            "threshold": 1.0,
            "l_order": 1,
            "r_order": 1,
            "tail_threshold": 0.45,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": {
            "fs": 16000,
            "window": "hamming",
            "n_mels": _BANDS,
            "frame_length": 25,
            "frame_shift": 10,
            "dither": 0.0,
            "lfr_m": _JOINED,
            "lfr_n": 6,
        },
        "tokenizer": "CharTokenizer",
        "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
    }


def _normalisation(width: int, *, shift: float, scale: float) -> str:
    """Kaldi's text form of "add this, then multiply by that"."""
    shifts, scales = (" ".join([str(value)] * width) for value in (shift, scale))
    return (
        f"<Nnet>\n<Splice> {width} {width}\n[ 0 ]\n"
        f"<AddShift> {width} {width}\n<LearnRateCoef> 0 [ {shifts} ]\n"
        f"<Rescale> {width} {width}\n<LearnRateCoef> 0 [ {scales} ]\n</Nnet>\n"
    )


def _at_most(layers: int | None, published: int) -> int:
    return published if layers is None else min(layers, published)


# --- CosyVoice 2

SPEECH_TOKENS = 6561
TOKENS_HZ = 25
_QWEN = {
    "vocab_size": 151_936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32_768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
}
"""Source: config.json of https://huggingface.co/Qwen/Qwen2-0.5B"""

_THE_END = 3.5
"""Bias of the token that ends a sentence. Among the 25 candidates that sampling leaves of 6561 it is then
drawn one time in three, so a sentence ends soon after it may. While it must not, the library draws again, up
to 100 times; at a bias of 6 it drew six times for every token (measured), which published weights do not.
"""

REFERENCE = "librivox-0870"
"""The voice that is copied: a clip of the set."""

SENTENCE = "今天的天气真不错，我们吃完午饭以后一起去公园里散步吧。"
"""26 characters, about 6 s."""


def cosyvoice2(into: Path, layers: int | None = None) -> None:
    """Of CosyVoice2-0.5B: 500 million weights in the language model, 110 in the flow, 20 in HiFT; 4.5 GB.

    What computes a reference voice's tokens and embedding is a stand-in: it is used once for each voice.

    Args:
        into: made if it is not there.
        layers: at most so many in each stack of the language model and the flow; None: as published.

    Source: examples/libritts/cosyvoice2/conf/cosyvoice2.yaml of https://github.com/FunAudioLLM/CosyVoice at
    1c062ab, less what is for training only.
    """
    import torch

    from deployments.tts.cosyvoice_library import import_library

    import_library()
    from hyperpyyaml import load_hyperpyyaml

    into.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    _write_qwen(into / "CosyVoice-BlankEN", layers)
    _write_constant(into / "campplus.onnx", "feats", [1, "n", 80], _embedding())
    tokens = np.arange(round(_reference_s() * TOKENS_HZ), dtype=np.int64)[None] % SPEECH_TOKENS
    _write_constant(into / "speech_tokenizer_v2.onnx", "feats", [1, 128, "n"], tokens, lengths="feats_length")
    configuration = _cosyvoice2_configuration(layers)
    (into / "cosyvoice2.yaml").write_text(configuration)
    parts = load_hyperpyyaml(configuration, {"qwen_pretrain_path": str(into / "CosyVoice-BlankEN")})
    with torch.no_grad():
        parts["llm"].llm_decoder.bias[SPEECH_TOKENS:] = -1e4
        parts["llm"].llm_decoder.bias[SPEECH_TOKENS] = _THE_END
    for part in ("llm", "flow", "hift"):
        torch.save(parts[part].state_dict(), into / f"{part}.pt")


def voices(into: Path) -> None:
    """A directory of reference voices, with one."""
    into.mkdir(parents=True, exist_ok=True)
    clip = _reference()
    shutil.copy(clip.path, into / "default.wav")
    (into / "default.txt").write_text(clip.text or "")


def _reference() -> Any:
    [clip] = [clip for clip in speech_set(origin="human") if clip.name == REFERENCE]
    return clip


def _reference_s() -> float:
    return float(_reference().audio().duration_s)


def _embedding() -> Any:
    return np.random.default_rng(SEED).standard_normal((1, 192)).astype(np.float32)


def _write_qwen(into: Path, layers: int | None) -> None:
    """With a tokenizer that has a token for every byte, three for a Chinese character."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Config, Qwen2ForCausalLM

    words = {word: number for number, word in enumerate(sorted(ByteLevel.alphabet()))}
    special = {
        str(len(words) + number): {"content": content, "special": True}
        for number, content in enumerate(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    }
    for entry in special.values():
        entry |= dict.fromkeys(("lstrip", "rstrip", "normalized", "single_word"), False)
    into.mkdir(exist_ok=True)
    (into / "vocab.json").write_text(json.dumps(words))
    (into / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": special,
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": _QWEN["max_position_embeddings"],
    }
    (into / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    size = {**_QWEN, "num_hidden_layers": _at_most(layers, int(_QWEN["num_hidden_layers"]))}
    Qwen2ForCausalLM(Qwen2Config(**size, rope_theta=1e6)).save_pretrained(into)


def _write_constant(
    path: Path, name: str, shape: list[int | str], value: Any, lengths: str | None = None
) -> None:
    """An ONNX model that answers `value`, whatever it hears."""
    import onnx
    from onnx import TensorProto, helper

    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
    if lengths is not None:
        inputs.append(helper.make_tensor_value_info(lengths, TensorProto.INT32, [1]))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["value"], ["answer"])],
        path.stem,
        inputs,
        [helper.make_tensor_value_info("answer", kind, value.shape)],
        [onnx.numpy_helper.from_array(value, "value")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)


def _cosyvoice2_configuration(layers: int | None) -> str:
    encoder, block, middle = (_at_most(layers, published) for published in (6, 4, 12))
    return f"""
sample_rate: 24000
qwen_pretrain_path: ''
llm: !new:cosyvoice.llm.llm.Qwen2LM
  llm_input_size: 896
  llm_output_size: 896
  speech_token_size: {SPEECH_TOKENS}
  length_normalized_loss: true
  lsm_weight: 0
  mix_ratio: [5, 15]
  llm: !new:cosyvoice.llm.llm.Qwen2Encoder
    pretrain_path: !ref <qwen_pretrain_path>
  sampling: !name:cosyvoice.utils.common.ras_sampling
    top_p: 0.8
    top_k: 25
    win_size: 10
    tau_r: 0.1
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
  input_size: 512
  output_size: 80
  spk_embed_dim: 192
  output_type: mel
  vocab_size: {SPEECH_TOKENS}
  input_frame_rate: {TOKENS_HZ}
  only_mask_loss: true
  token_mel_ratio: 2
  pre_lookahead_len: 3
  encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
    output_size: 512
    attention_heads: 8
    linear_units: 2048
    num_blocks: {encoder}
    dropout_rate: 0.1
    positional_dropout_rate: 0.1
    attention_dropout_rate: 0.1
    normalize_before: true
    input_layer: linear
    pos_enc_layer_type: rel_pos_espnet
    selfattention_layer_type: rel_selfattn
    input_size: 512
    use_cnn_module: false
    macaron_style: false
    static_chunk_size: {TOKENS_HZ}
  decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
    in_channels: 240
    n_spks: 1
    spk_emb_dim: 80
    cfm_params: !new:omegaconf.DictConfig
      content:
        sigma_min: 1.0e-06
        solver: euler
        t_scheduler: cosine
        training_cfg_rate: 0.2
        inference_cfg_rate: 0.7
        reg_loss_type: l1
    estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
      in_channels: 320
      out_channels: 80
      channels: [256]
      dropout: 0.0
      attention_head_dim: 64
      n_blocks: {block}
      num_mid_blocks: {middle}
      num_heads: 8
      act_fn: gelu
      static_chunk_size: {2 * TOKENS_HZ}
      num_decoding_left_chunks: -1
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
  in_channels: 80
  base_channels: 512
  nb_harmonics: 8
  sampling_rate: 24000
  nsf_alpha: 0.1
  nsf_sigma: 0.003
  nsf_voiced_threshold: 10
  upsample_rates: [8, 5, 3]
  upsample_kernel_sizes: [16, 11, 7]
  istft_params:
    n_fft: 16
    hop_len: 4
  resblock_kernel_sizes: [3, 7, 11]
  resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
  source_resblock_kernel_sizes: [7, 7, 11]
  source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
  lrelu_slope: 0.1
  audio_limit: 0.99
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
    num_class: 1
    in_channels: 80
    cond_channels: 512
get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
  token_path: !ref <qwen_pretrain_path>
  skip_special_tokens: true
allowed_special: all
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
  n_fft: 1920
  num_mels: 80
  sampling_rate: 24000
  hop_size: 480
  win_size: 1920
  fmin: 0
  fmax: 8000
  center: false
"""
