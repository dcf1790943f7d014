# A server on GPUs: FunASR in the server's environment, CosyVoice in its own (docs/adr/0012).
#
#   docker build -f deploy/gpu.Dockerfile -t antiphon-gpu .
#   docker run --rm --gpus all --shm-size 2g -p 8765:8765 -v antiphon-models:/models -v $PWD/voices:/app/voices:ro \
#     -e ANTIPHON_API_KEYS=... -e LLM_BASE_URL=... -e LLM_MODEL=... -e LLM_API_KEY=... antiphon-gpu
#
# No image of NVIDIA's below it: torch's wheels bring CUDA's libraries, 13 for FunASR and 12.1 for CosyVoice, and the driver is the
# host's (580 or newer for CUDA 13), put in by the NVIDIA container toolkit. CosyVoice's torch 2.3.1 knows devices up to Hopper.
# Neither this image nor what is in it has run on a GPU yet.

FROM python:3.11.14-slim-bookworm AS build
# For the requirements that have no wheel, and the checkout.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential ca-certificates git \
    && rm -rf /var/lib/apt/lists/*

COPY requirements-funasr.txt /build/
RUN python -m venv /opt/antiphon \
    && /opt/antiphon/bin/pip install --no-cache-dir --no-deps -r /build/requirements-funasr.txt

COPY requirements-cosyvoice.txt deploy/cosyvoice-build.txt /build/
RUN python -m venv /opt/cosyvoice \
    && PIP_CONSTRAINT=/build/cosyvoice-build.txt \
       /opt/cosyvoice/bin/pip install --no-cache-dir --no-deps -r /build/requirements-cosyvoice.txt

# For `load_trt: true`: 10.13.3.9, CosyVoice's pin. It comes from NVIDIA's index, and its engine is built at the first start.
ARG TENSORRT=""
RUN if [ -n "$TENSORRT" ]; then \
        /opt/cosyvoice/bin/pip install --no-cache-dir --extra-index-url https://pypi.nvidia.com "tensorrt-cu12==$TENSORRT"; \
    fi

# For a language model on the cluster itself (deploy/llm-application.yaml): 1. Some 10 GB more.
ARG VLLM=""
COPY requirements-vllm.txt /build/
RUN mkdir /opt/vllm \
    && if [ -n "$VLLM" ]; then \
        python -m venv /opt/vllm \
        && /opt/vllm/bin/pip install --no-cache-dir --no-deps -r /build/requirements-vllm.txt; \
    fi

# There is no official package. The commit is the one whose requirements deploy/cosyvoice.in repeats; it fixes Matcha-TTS's too.
ARG COSYVOICE_COMMIT=ace7c47f41bbd303aa6bf1ea80e6f9fbd595cd40
WORKDIR /opt/CosyVoice
RUN git init --quiet . \
    && git fetch --quiet --depth 1 https://github.com/FunAudioLLM/CosyVoice.git "$COSYVOICE_COMMIT" \
    && git checkout --quiet FETCH_HEAD \
    && git submodule --quiet update --init --depth 1 third_party/Matcha-TTS \
    && rm -rf .git asset docker runtime

FROM python:3.11.14-slim-bookworm
# wget: the probes of KubeRay and the health check below. tini: Ray's processes outlive their parents, and somebody must bury them.
# gcc: Triton, which torch and vLLM use, compiles a launcher for each kernel when it first runs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev tini wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home antiphon \
    && install -d -o antiphon /models
COPY --from=build /opt/antiphon /opt/antiphon
COPY --from=build /opt/cosyvoice /opt/cosyvoice
COPY --from=build /opt/CosyVoice /opt/CosyVoice
COPY --from=build /opt/vllm /opt/vllm
WORKDIR /app
COPY conversation conversation
COPY deployments deployments
COPY realtime realtime
COPY web web
COPY configs configs
COPY graph.py serve_config.yaml ./
COPY deploy/serve_config.cpu.yaml deploy/start.sh deploy/
USER 1000
ENV PATH=/opt/antiphon/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    COSYVOICE_HOME=/opt/CosyVoice \
    ANTIPHON_CACHE=/models \
    CONFIG=configs/gpu-zh.yaml \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Empty: the models, some 8 GB, are fetched at the first start, into /models, which is then a volume. With configs/gpu-zh.yaml they
# are put into the image.
ARG MODELS=""
RUN if [ -n "$MODELS" ]; then python -m deployments.weights --config "$MODELS"; fi

EXPOSE 8765
# Until every stage answers; models take a minute or two to load, and a fetch at the first start much longer.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60m --retries=3 \
    CMD ["wget", "--quiet", "--output-document=/dev/null", "http://127.0.0.1:8765/healthz"]
# KubeRay puts `ray start` in the place of this.
ENTRYPOINT ["tini", "-g", "--"]
CMD ["deploy/start.sh"]
