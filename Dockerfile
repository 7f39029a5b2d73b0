# Two images from one base: `api` (no torch) and `worker` (torch). Both run as a user without rights, and write
# to /data and /tmp alone (the API also to TMPDIR): their roots may be read-only.

FROM python:3.11.15-slim-bookworm AS base
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    MIMALLOC_ARENA_EAGER_COMMIT=0 \
    HOLDOUT_HOME=/data \
    HOME=/tmp
RUN groupadd --system --gid 10001 holdout \
    && useradd --system --no-create-home --uid 10001 --gid 10001 holdout \
    && mkdir /data /scratch \
    && chown holdout:holdout /data /scratch
WORKDIR /app
COPY LICENSE README.md pyproject.toml constraints.txt ./
COPY api ./api
COPY cli ./cli
COPY data ./data
COPY holdout ./holdout
COPY jobs ./jobs
COPY migrations ./migrations
COPY models ./models
COPY store ./store
COPY training ./training
COPY worker ./worker
STOPSIGNAL SIGTERM

FROM base AS api
RUN pip install --constraint constraints.txt '.[api]'
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["holdout", "api", "--host", "0.0.0.0"]

FROM base AS worker
RUN pip install --constraint constraints.txt '.[worker]'
USER 10001:10001
CMD ["holdout", "worker"]
