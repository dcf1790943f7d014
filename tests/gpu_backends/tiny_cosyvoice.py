"""Writes small CosyVoice model directories with random weights, in the layouts of the published ones.

    CosyVoice-300M (version 1, 8 MB), CosyVoice2-0.5B (2, 43 MB), Fun-CosyVoice3-0.5B (3, 46 MB)

The library's own classes make the networks, from a configuration with the published one's keys and small
numbers. What they say is noise of a voice. How long it takes follows from the text alone, or nearly:

- 1 and 3 never end by themselves, so the library ends them at its limit, 20 tokens for each one of the text;
- 2 may end from the library's least length on, 2 tokens for each one, and soon does.

In its folder voices/ are two reference voices that go with it: hums, with words.

Layouts: https://huggingface.co/FunAudioLLM/CosyVoice-300M, https://huggingface.co/FunAudioLLM/CosyVoice2-0.5B,
https://huggingface.co/FunAudioLLM/Fun-CosyVoice3-0.5B-2512
"""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np

from conversation.audio import Audio, to_pcm16

SPEECH_TOKENS = 243
WIDTH = 32
SEED = 1986

ENDOFPROMPT = 151_646
"""The id that CosyVoice3LM looks for; in Qwen2's tokenizer it is the fourth after the vocabulary."""


def write(into: Path, version: int) -> None:
    """Generates the directory of one version; the same every time. `into` is made if it is not there."""
    import torch

    from deployments.tts.cosyvoice_library import import_library

    import_library()
    from hyperpyyaml import load_hyperpyyaml

    into.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    overrides = {}
    if version > 1:
        qwen = into / "CosyVoice-BlankEN"
        _write_qwen(qwen, version)
        overrides["qwen_pretrain_path"] = str(qwen)
    _write_speaker_encoder(into / "campplus.onnx")
    _write_speech_tokenizer(into / f"speech_tokenizer_v{version}.onnx", tokens_hz=50 if version == 1 else 25)
    config = _CONFIGS[version]
    (into / f"cosyvoice{version if version > 1 else ''}.yaml").write_text(config)
    parts = load_hyperpyyaml(config, overrides=overrides)
    with torch.no_grad():
        _choose_the_end(parts["llm"], version)
    for part in ("llm", "flow", "hift"):
        torch.save(parts[part].state_dict(), into / f"{part}.pt")
    write_voice(into / "voices", "default", 180)
    write_voice(into / "voices", "other", 250)


def write_voice(into: Path, name: str, pitch_hz: int) -> None:
    """A reference voice as deployments/tts/voices.py reads it, 3.2 s at 24 kHz, about the shortest."""
    into.mkdir(exist_ok=True)
    times = np.arange(int(3.2 * 24_000)) / 24_000
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * times)
    hum = Audio((0.3 * syllables * np.sin(2 * np.pi * pitch_hz * times)).astype(np.float32), 24_000)
    with wave.open(str(into / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(hum.rate_hz)
        file.writeframes(to_pcm16(hum))
    (into / f"{name}.txt").write_text("It hums, and these are its words.\n")


def _choose_the_end(llm: Any, version: int) -> None:
    """Decides when the language model ends a sentence; see the module's documentation."""
    if version == 3:
        # Its last layer has no bias. So all speech tokens get a large common part, which the network carries
        # through to the last layer, and every special token a row against it.
        llm.speech_embedding.weight[:, 0] = 20.0
        llm.llm_decoder.weight[:, 0] = 0.0
        llm.llm_decoder.weight[SPEECH_TOKENS:] = 0.0
        llm.llm_decoder.weight[SPEECH_TOKENS:, 0] = -1e3
        return
    llm.llm_decoder.bias[SPEECH_TOKENS:] = -1e4
    if version == 2:
        # One to two against all others together. cosyvoice2-eu draws again when it may not end yet, up to 100
        # times: certainty would be an error.
        llm.llm_decoder.bias[SPEECH_TOKENS] = 5.0


def _write_qwen(into: Path, version: int) -> None:
    """A Qwen2 and its tokenizer, which has a token for every byte."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Config, Qwen2ForCausalLM

    words = sorted(ByteLevel.alphabet())
    if version == 3:
        words += [f"<unused {number}>" for number in range(len(words), ENDOFPROMPT - 3)]
    into.mkdir(exist_ok=True)
    (into / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (into / "merges.txt").write_text("#version: 0.2\n")
    specials = {
        str(len(words) + number): {
            "content": word,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "single_word": False,
            "special": True,
        }
        for number, word in enumerate(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    }
    (into / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "Qwen2Tokenizer",
                "added_tokens_decoder": specials,
                "eos_token": "<|endoftext|>",
                "pad_token": "<|endoftext|>",
                "model_max_length": 32768,
            }
        )
    )
    config = Qwen2Config(
        vocab_size=len(words) + 512,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(into)


def _write_speaker_encoder(path: Path) -> None:
    """Filter banks (1, frames, 80) to an embedding (1, 192): a random projection of their mean."""
    import onnx
    from onnx import TensorProto, helper

    projection = np.random.default_rng(SEED).standard_normal((80, 192)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["feats"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("MatMul", ["mean", "projection"], ["embedding"]),
        ],
        "campplus",
        [helper.make_tensor_value_info("feats", TensorProto.FLOAT, [1, "frames", 80])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 192])],
        [onnx.numpy_helper.from_array(projection, "projection")],
    )
    onnx.save(_model(graph), path)


def _write_speech_tokenizer(path: Path, tokens_hz: int) -> None:
    """Whisper's mel frames (1, 128, n), 100 for a second, to token ids (1, m): the loudness now and then."""
    import onnx
    from onnx import TensorProto, helper

    def constant(name: str, value: Any, dtype: Any = np.int64) -> Any:
        return onnx.numpy_helper.from_array(np.array(value, dtype), name)

    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["feats"], ["loudness"], axes=[1], keepdims=0),
            helper.make_node("Slice", ["loudness", "start", "end", "axis", "step"], ["some"]),
            helper.make_node("Mul", ["some", "spread"], ["spread out"]),
            helper.make_node("Cast", ["spread out"], ["whole"], to=TensorProto.INT64),
            helper.make_node("Mod", ["whole", "tokens"], ["indices"]),
        ],
        "speech_tokenizer",
        [
            helper.make_tensor_value_info("feats", TensorProto.FLOAT, [1, 128, "frames"]),
            helper.make_tensor_value_info("feats_length", TensorProto.INT32, [1]),
        ],
        [helper.make_tensor_value_info("indices", TensorProto.INT64, [1, "length"])],
        [
            constant("start", [0]),
            constant("end", [1 << 30]),
            constant("axis", [1]),
            constant("step", [100 // tokens_hz]),
            constant("spread", 1000.0, np.float32),
            constant("tokens", SPEECH_TOKENS),
        ],
    )
    onnx.save(_model(graph), path)


def _model(graph: Any) -> Any:
    from onnx import helper

    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


_SAMPLING = """
  sampling: !name:cosyvoice.utils.common.ras_sampling
    top_p: 0.8
    top_k: 25
    win_size: 10
    tau_r: 0.1
"""

_ENCODER = """
    attention_heads: 2
    linear_units: 64
    num_blocks: 1
    dropout_rate: 0.1
    positional_dropout_rate: 0.1
    attention_dropout_rate: 0.0
    normalize_before: true
    input_layer: linear
    pos_enc_layer_type: rel_pos_espnet
    selfattention_layer_type: rel_selfattn
    use_cnn_module: false
    macaron_style: false
"""

_QWEN_LLM = f"""
  llm_input_size: {WIDTH}
  llm_output_size: {WIDTH}
  speech_token_size: {SPEECH_TOKENS}
  length_normalized_loss: true
  lsm_weight: 0
  mix_ratio: [5, 15]
  llm: !new:cosyvoice.llm.llm.Qwen2Encoder
    pretrain_path: !ref <qwen_pretrain_path>
{_SAMPLING}
"""

_FLOW = f"""
  output_size: 80
  spk_embed_dim: 192
  output_type: mel
  vocab_size: {SPEECH_TOKENS}
  only_mask_loss: true
"""

_MATCHING = """
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
"""

_UNET = """
      in_channels: 320
      out_channels: 80
      dropout: 0.0
      attention_head_dim: 8
      n_blocks: 1
      num_mid_blocks: 1
      num_heads: 2
      act_fn: gelu
"""

_HIFT = """
  in_channels: 80
  base_channels: 32
  nb_harmonics: 8
  sampling_rate: !ref <sample_rate>
  nsf_alpha: 0.1
  nsf_sigma: 0.003
  nsf_voiced_threshold: 10
  istft_params:
    n_fft: 16
    hop_len: 4
  resblock_kernel_sizes: [3]
  resblock_dilation_sizes: [[1, 3, 5]]
  lrelu_slope: 0.1
  audio_limit: 0.99
"""

_HIFT_22_KHZ = """
  upsample_rates: [8, 8]
  upsample_kernel_sizes: [16, 16]
  source_resblock_kernel_sizes: [7, 11]
  source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5]]
"""

_HIFT_24_KHZ = """
  upsample_rates: [8, 5, 3]
  upsample_kernel_sizes: [16, 11, 7]
  source_resblock_kernel_sizes: [7, 7, 11]
  source_resblock_dilation_sizes: [[1, 3, 5], [1, 3, 5], [1, 3, 5]]
"""

_F0 = """
    num_class: 1
    in_channels: 80
    cond_channels: 16
"""

_MEL = """
feat_extractor: !name:matcha.utils.audio.mel_spectrogram
  num_mels: 80
  sampling_rate: !ref <sample_rate>
  fmin: 0
  center: false
"""

_MEL_24_KHZ = f"{_MEL}  n_fft: 1920\n  hop_size: 480\n  win_size: 1920\n  fmax: null\nallowed_special: all\n"

_COSYVOICE = f"""
sample_rate: 22050
llm: !new:cosyvoice.llm.llm.TransformerLM
  text_encoder_input_size: {WIDTH}
  llm_input_size: {WIDTH}
  llm_output_size: {WIDTH}
  text_token_size: 51866
  speech_token_size: {SPEECH_TOKENS}
  length_normalized_loss: true
  lsm_weight: 0
  spk_embed_dim: 192
  text_encoder: !new:cosyvoice.transformer.encoder.ConformerEncoder
    input_size: {WIDTH}
    output_size: {WIDTH}
    use_dynamic_chunk: false
    use_dynamic_left_chunk: false
    static_chunk_size: 1
{_ENCODER}
  llm: !new:cosyvoice.transformer.encoder.TransformerEncoder
    input_size: {WIDTH}
    output_size: {WIDTH}
    attention_heads: 2
    linear_units: 64
    num_blocks: 2
    dropout_rate: 0.1
    positional_dropout_rate: 0.1
    attention_dropout_rate: 0.0
    input_layer: linear_legacy
    pos_enc_layer_type: rel_pos_espnet
    selfattention_layer_type: rel_selfattn
    static_chunk_size: 1
{_SAMPLING}
flow: !new:cosyvoice.flow.flow.MaskedDiffWithXvec
  input_size: {WIDTH}
  input_frame_rate: 50
{_FLOW}
  encoder: !new:cosyvoice.transformer.encoder.ConformerEncoder
    input_size: {WIDTH}
    output_size: {WIDTH}
{_ENCODER}
  length_regulator: !new:cosyvoice.flow.length_regulator.InterpolateRegulator
    channels: 80
    sampling_ratios: [1, 1, 1, 1]
  decoder: !new:cosyvoice.flow.flow_matching.ConditionalCFM
{_MATCHING}
    estimator: !new:cosyvoice.flow.decoder.ConditionalDecoder
      channels: [16, 16]
{_UNET}
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
{_HIFT}
{_HIFT_22_KHZ}
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
{_F0}
get_tokenizer: !name:whisper.tokenizer.get_tokenizer
  multilingual: true
  num_languages: 100
  language: en
  task: transcribe
allowed_special: all
{_MEL}  n_fft: 1024
  hop_size: 256
  win_size: 1024
  fmax: 8000
"""

# The encoder's width is written into the class.
_COSYVOICE2 = f"""
sample_rate: 24000
qwen_pretrain_path: ''
llm: !new:cosyvoice.llm.llm.Qwen2LM
{_QWEN_LLM}
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
  input_size: 512
  input_frame_rate: 25
  token_mel_ratio: 2
  pre_lookahead_len: 3
{_FLOW}
  encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
    input_size: 512
    output_size: 512
    static_chunk_size: 25
{_ENCODER}
  decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
{_MATCHING}
    estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
      channels: [16]
      static_chunk_size: 50
      num_decoding_left_chunks: -1
{_UNET}
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
{_HIFT}
{_HIFT_24_KHZ}
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
{_F0}
get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
  token_path: !ref <qwen_pretrain_path>
  skip_special_tokens: true
{_MEL_24_KHZ}
"""

_COSYVOICE3 = f"""
sample_rate: 24000
qwen_pretrain_path: ''
llm: !new:cosyvoice.llm.llm.CosyVoice3LM
{_QWEN_LLM}
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithDiT
  input_size: 80
  input_frame_rate: 25
  token_mel_ratio: 2
  pre_lookahead_len: 3
{_FLOW}
  pre_lookahead_layer: !new:cosyvoice.transformer.upsample_encoder.PreLookaheadLayer
    in_channels: 80
    channels: {WIDTH}
    pre_lookahead_len: 3
  decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
{_MATCHING}
    estimator: !new:cosyvoice.flow.DiT.dit.DiT
      dim: 64
      depth: 2
      heads: 2
      dim_head: 32
      ff_mult: 2
      mel_dim: 80
      mu_dim: 80
      spk_dim: 80
      out_channels: 80
      static_chunk_size: 50
      num_decoding_left_chunks: -1
hift: !new:cosyvoice.hifigan.generator.CausalHiFTGenerator
  conv_pre_look_right: 4
{_HIFT}
{_HIFT_24_KHZ}
  f0_predictor: !new:cosyvoice.hifigan.f0_predictor.CausalConvRNNF0Predictor
{_F0}
get_tokenizer: !name:cosyvoice.tokenizer.tokenizer.get_qwen_tokenizer
  token_path: !ref <qwen_pretrain_path>
  skip_special_tokens: true
  version: cosyvoice3
{_MEL_24_KHZ}
"""

_CONFIGS = {1: _COSYVOICE, 2: _COSYVOICE2, 3: _COSYVOICE3}
