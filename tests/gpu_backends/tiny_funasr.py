"""Small FunASR models with random weights, in directories laid out like the published ones.

What they say is nonsense, but always the same: they show that our code and the library's fit together, not
that anything is recognised. Their configurations have the classes, the front ends and the chunks of the
published ones (config.yaml of each model at https://modelscope.cn/organization/iic), and fewer and narrower
layers.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import yaml

_HAN = tuple("天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁律吕调阳云腾致雨露结为霜")
"""The opening of the Thousand Character Classic."""
_PIECES = ("an@@", "ti@@", "phon", "voice", "speech")
TOKENS = ("<blank>", "<s>", "</s>", *_HAN, *_PIECES, "<unk>")
_UNSPOKEN = [TOKENS.index(token) for token in ("<blank>", "<s>", "</s>", "<unk>")]

SPELT = {**{han: han for han in _HAN}, "antiphon": "an@@ ti@@ phon", "voice": "voice", "speech": "speech"}
"""How a hotword is made of tokens: seg_dict."""

PUNCTUATION = ("<unk>", "_", "，", "。", "？", "、")

_TAGS = ("<|zh|>", "<|en|>", "<|nospeech|>", "<|HAPPY|>", "<|NEUTRAL|>", "<|Speech|>", "<|woitn|>")
"""Of the tags that SenseVoice puts before its words, enough to meet some."""

_WIDTH = 32
_NEVER = -1e4
"""A bias that keeps a token from ever being the likeliest."""

_LAYERS: dict[str, Any] = {
    "attention_heads": 2,
    "linear_units": 64,
    "num_blocks": 2,
    "dropout_rate": 0.1,
    "positional_dropout_rate": 0.1,
}
_ENCODER: dict[str, Any] = {
    **_LAYERS,
    "output_size": _WIDTH,
    "attention_dropout_rate": 0.1,
    "input_layer": "pe",
    "pos_enc_class": "SinusoidalPositionEncoder",
    "normalize_before": True,
    "kernel_size": 11,
    "sanm_shfit": 0,
    "selfattention_layer_type": "sanm",
}
_DECODER: dict[str, Any] = {
    **_LAYERS,
    "self_attention_dropout_rate": 0.1,
    "src_attention_dropout_rate": 0.1,
    "att_layer_num": 2,
    "kernel_size": 11,
    "sanm_shfit": 0,
}
_PREDICTOR = {"idim": _WIDTH, "threshold": 1.0, "l_order": 1, "r_order": 1, "tail_threshold": 0.45}
_FEATURES: dict[str, Any] = {
    "fs": 16000,
    "window": "hamming",
    "n_mels": 80,
    "frame_length": 25,
    "frame_shift": 10,
    "dither": 0.0,
    "lfr_m": 7,
    "lfr_n": 6,
}
_CHARACTERS: dict[str, Any] = {
    "tokenizer": "CharTokenizer",
    "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
}

_PARAFORMER: dict[str, Any] = {
    "model": "Paraformer",
    "model_conf": {"ctc_weight": 0.0, "lsm_weight": 0.1, "predictor_bias": 1, "sampling_ratio": 0.75},
    "encoder": "SANMEncoder",
    "encoder_conf": _ENCODER,
    "decoder": "ParaformerSANMDecoder",
    "decoder_conf": _DECODER,
    "predictor": "CifPredictorV2",
    "predictor_conf": _PREDICTOR,
    "frontend": "WavFrontend",
    "frontend_conf": _FEATURES,
    **_CHARACTERS,
}

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "paraformer": _PARAFORMER,
    "seaco": {
        **_PARAFORMER,
        "model": "SeacoParaformer",
        "model_conf": {
            **_PARAFORMER["model_conf"],
            "inner_dim": _WIDTH,
            "bias_encoder_type": "lstm",
            "bias_encoder_bid": False,
            "train_decoder": True,
            "NO_BIAS": TOKENS.index("<unk>") - 1,
        },
        "seaco_decoder": "ParaformerSANMDecoder",
        "seaco_decoder_conf": {
            **{key: value for key, value in _DECODER.items() if key != "att_layer_num"},
            "kernel_size": 21,
            "use_output_layer": False,
            "wo_input_layer": True,
        },
        "predictor": "CifPredictorV3",
        "predictor_conf": {
            **_PREDICTOR,
            "smooth_factor2": 0.25,
            "noise_threshold2": 0.01,
            "upsample_times": 3,
            "use_cif1_cnn": False,
            "upsample_type": "cnn_blstm",
        },
    },
    "paraformer-streaming": {
        **_PARAFORMER,
        "model": "ParaformerStreaming",
        "encoder": "SANMEncoderChunkOpt",
        "encoder_conf": {
            **_ENCODER,
            "input_layer": "pe_online",
            "chunk_size": [12, 15],
            "stride": [8, 10],
            "pad_left": [0, 0],
            "encoder_att_look_back_factor": [4, 4],
            "decoder_att_look_back_factor": [1, 1],
        },
        "decoder_conf": {**_DECODER, "sanm_shfit": 5},
        "frontend": "WavFrontendOnline",
    },
    "sensevoice": {
        "model": "SenseVoiceSmall",
        "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
        "encoder": "SenseVoiceEncoderSmall",
        "encoder_conf": {**_ENCODER, "tp_blocks": 1},
        "frontend": "WavFrontend",
        "frontend_conf": _FEATURES,
        "tokenizer": "SentencepiecesTokenizer",
        "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    },
    "fsmn-vad": {
        "model": "FsmnVADStreaming",
        "model_conf": {
            "sample_rate": 16000,
            "detect_mode": 1,
            "max_end_silence_time": 800,
            "max_start_silence_time": 3000,
            "window_size_ms": 200,
            "sil_to_speech_time_thres": 150,
            "speech_to_sil_time_thres": 150,
            "speech_2_noise_ratio": 1.0,
            "lookback_time_start_point": 200,
            "lookahead_time_end_point": 100,
            "max_single_segment_time": 60000,
            "speech_noise_thres": 0.6,
            "silence_pdf_num": 1,
            "sil_pdf_ids": [0],
            "frame_in_ms": 10,
            "frame_length_ms": 25,
        },
        "encoder": "FSMN",
        "encoder_conf": {
            "input_dim": 400,
            "input_affine_dim": 16,
            "fsmn_layers": 2,
            "linear_dim": 16,
            "proj_dim": 16,
            "lorder": 20,
            "rorder": 0,
            "lstride": 1,
            "rstride": 0,
            "output_affine_dim": 16,
            "output_dim": 8,
        },
        "frontend": "WavFrontendOnline",
        "frontend_conf": {**_FEATURES, "lfr_m": 5, "lfr_n": 1},
    },
    "ct-punc": {
        "model": "CTTransformer",
        "model_conf": {
            "ignore_id": 0,
            "embed_unit": _WIDTH,
            "att_unit": _WIDTH,
            "dropout_rate": 0.1,
            "punc_list": list(PUNCTUATION),
            "punc_weight": [1.0] * len(PUNCTUATION),
            "sentence_end_id": PUNCTUATION.index("。"),
        },
        "encoder": "SANMEncoder",
        "encoder_conf": {**_ENCODER, "input_size": _WIDTH, "padding_idx": 0},
        **_CHARACTERS,
    },
}


def write(into: Path) -> None:
    """One directory a model, named as in CONFIGURATIONS, the same ones each time. Skips what is there."""
    for name, configuration in CONFIGURATIONS.items():
        directory = into / name
        if not (directory / "model.pt").exists():
            directory.mkdir(parents=True, exist_ok=True)
            _write_files(directory, configuration)
            _write_weights(directory)


def _write_files(directory: Path, configuration: dict[str, Any]) -> None:
    named: dict[str, Any] = {"init_param": "model.pt", "config": "config.yaml"}
    if "frontend_conf" in configuration:
        features = configuration["frontend_conf"]["n_mels"] * configuration["frontend_conf"]["lfr_m"]
        (directory / "am.mvn").write_text(_normalisation(features))
        named["frontend_conf"] = {"cmvn_file": "am.mvn"}
    if configuration.get("tokenizer") == "SentencepiecesTokenizer":
        (directory / "pieces.model").write_bytes(_pieces())
        named["tokenizer_conf"] = {"bpemodel": "pieces.model"}
    elif "tokenizer" in configuration:
        (directory / "tokens.json").write_text(json.dumps(TOKENS, ensure_ascii=False))
        named["tokenizer_conf"] = {"token_list": "tokens.json"}
        if "predictor" in configuration:
            spelt = "".join(f"{word} {tokens}\n" for word, tokens in SPELT.items())
            (directory / "seg_dict").write_text(spelt)
            named["tokenizer_conf"]["seg_dict_file"] = "seg_dict"
    if configuration["model"] == "CTTransformer":
        (directory / "jieba_usr_dict").write_text("天地\n玄黄\n")
        named["jieba_usr_dict"] = "jieba_usr_dict"
    (directory / "config.yaml").write_text(yaml.safe_dump(configuration, allow_unicode=True))
    description = {"framework": "pytorch", "model": {"type": "funasr"}, "file_path_metas": named}
    (directory / "configuration.json").write_text(json.dumps(description, indent=2))


def _normalisation(width: int) -> str:
    """Kaldi's text form of "add this, then multiply by that", about what published models have for each."""
    shift, scale = (f"<LearnRateCoef> 0 [ {' '.join([value] * width)} ]" for value in ("-8.3", "0.15"))
    return (
        f"<Nnet>\n<Splice> {width} {width}\n[ 0 ]\n"
        f"<AddShift> {width} {width}\n{shift}\n<Rescale> {width} {width}\n{scale}\n</Nnet>\n"
    )


def _pieces() -> bytes:
    """A SentencePiece model with a piece for each character and each tag."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["".join(_HAN), "antiphon voice speech"]),
        model_writer=model,
        model_type="char",
        vocab_size=200,
        hard_vocab_limit=False,
        user_defined_symbols=list(_TAGS),
        minloglevel=2,
    )
    return model.getvalue()


def _write_weights(directory: Path) -> None:
    """Random ones, seeded; without a model.pt the library leaves what it made."""
    import torch
    from funasr import AutoModel

    model, _ = AutoModel.build_model(model=str(directory.resolve()), device="cpu", ncpu=1, seed=1)
    with torch.no_grad():
        _make_talkative(model, torch)
    unfinished = directory / "model.pt.part"
    torch.save(model.state_dict(), unfinished)
    unfinished.rename(directory / "model.pt")


def _make_talkative(model: Any, torch: Any) -> None:
    """So that some token is always said, and what is heard decides which."""
    kind = type(model).__name__
    if kind in ("Paraformer", "ParaformerStreaming", "SeacoParaformer"):
        model.decoder.output_layer.weight.normal_()
        model.decoder.output_layer.bias[_UNSPOKEN] = _NEVER
    if kind == "SeacoParaformer":
        model.hotword_output_layer.bias[_UNSPOKEN] = _NEVER
    if kind == "CTTransformer":
        model.decoder.bias[PUNCTUATION.index("<unk>")] = _NEVER
