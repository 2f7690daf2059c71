# One image for every process: web (the default), worker, reconcile, watch, migrate. Build: make image (docs/operations.md,
# Upgrade). A tag moves; a release names its base by digest, and `make image` refuses another.
ARG BASE_IMAGE=python:3.11-slim

# What is installed. pip stays here; translations go, since no page is translated.
FROM ${BASE_IMAGE} AS build
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 STATIC_ROOT=/app/static
WORKDIR /app
RUN python -m venv --without-pip /venv
COPY requirements.txt .
RUN /usr/local/bin/python -m pip --python /venv/bin/python install --require-hashes -r requirements.txt
RUN find /venv -name "*.[mp]o" -delete
COPY pyproject.toml pyproject.toml
COPY manage.py manage.py
COPY project project
COPY sandboxes sandboxes
RUN SECRET_KEY=build python manage.py collectstatic --noinput
RUN python -m compileall -q project sandboxes

# What runs: as a fixed user, with nothing to write but /app/var (SQLite alone) and /tmp.
FROM ${BASE_IMAGE} AS run
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sandkeeper"
LABEL org.opencontainers.image.description="The control plane for AI sandboxes on Daytona"
LABEL org.opencontainers.image.version=$VERSION
LABEL org.opencontainers.image.revision=$REVISION
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STATIC_ROOT=/app/static
WORKDIR /app
RUN groupadd --system --gid 10001 sandkeeper && useradd --system --uid 10001 --gid 10001 --no-create-home sandkeeper
COPY --from=build /venv /venv
COPY --from=build /app /app
RUN install --directory --owner=10001 --group=10001 /app/var
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web process; compose.yaml and deploy/kubernetes ask the others by `manage.py health`.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/live', timeout=4)"]
CMD ["python", "-m", "project.server", "--bind", "0.0.0.0:8000"]

# For evaluation alone (compose.yaml, profile demo): the same, and the emulator of Daytona and Convex.
FROM build AS demo-build
COPY requirements-emulator.txt .
RUN /usr/local/bin/python -m pip --python /venv/bin/python install --require-hashes -r requirements-emulator.txt

FROM run AS demo
COPY --from=demo-build /venv /venv
COPY emulator emulator

# The last one is what `docker build` makes.
FROM run AS sandkeeper
