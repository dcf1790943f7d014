# A server on CPUs, and every pod of a cluster that has no GPU.
#
#   docker build -f deploy/cpu.Dockerfile -t antiphon-cpu .
#   docker run --rm -p 8765:8765 -e ANTIPHON_API_KEYS=$(openssl rand -hex 32) antiphon-cpu
#
# The version of Python is that of deploy/gpu.Dockerfile: pods of both images make one Ray cluster, and Ray wants one Python, to
# the patch.

FROM python:3.11.14-slim-bookworm AS build
COPY requirements.txt /build/
RUN python -m venv /opt/antiphon \
    && /opt/antiphon/bin/pip install --no-cache-dir --no-deps -r /build/requirements.txt

FROM python:3.11.14-slim-bookworm
# wget: the probes of KubeRay and the health check below. tini: Ray's processes outlive their parents, and somebody must bury them.
# Unpinned, as all of Debian's packages here: the archive of a release keeps only the newest, and the base's tag fixes the release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home antiphon \
    && install -d -o antiphon /models
COPY --from=build /opt/antiphon /opt/antiphon
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
    ANTIPHON_CACHE=/models \
    CONFIG=configs/laptop.yaml

# The models are put into the image here. Empty: they are fetched at the first start, into /models, which is then a volume.
ARG MODELS=configs/laptop.yaml
RUN if [ -n "$MODELS" ]; then python -m deployments.weights --config "$MODELS"; fi

EXPOSE 8765
# Until every stage answers; models take seconds to load, and a fetch at the first start minutes.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10m --retries=3 \
    CMD ["wget", "--quiet", "--output-document=/dev/null", "http://127.0.0.1:8765/healthz"]
# KubeRay puts `ray start` in the place of this.
ENTRYPOINT ["tini", "-g", "--"]
CMD ["deploy/start.sh"]
