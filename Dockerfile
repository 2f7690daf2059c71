# One image for every process: web (the default), worker, reconcile, watch, migrate. Build: make image (docs/operations.md,
# Upgrade). A tag moves; a release names its base by digest, and `make image` refuses another.
ARG BASE_IMAGE=python:3.11-slim

# What is installed. pip stays here. Gone is what no process reads: the parts of Daytona's SDK for who works inside a sandbox,
# translations, since no page is translated, and the symbols that debuggers want.
FROM ${BASE_IMAGE} AS packages
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 STATIC_ROOT=/app/static
WORKDIR /app
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends binutils
RUN python -m venv --without-pip /venv
COPY requirements.txt .
RUN /usr/local/bin/python -m pip --python /venv/bin/python install --require-hashes -r requirements.txt
RUN /usr/local/bin/python -m pip --python /venv/bin/python uninstall --yes obstore httpx-ws daytona-api-client daytona-toolbox-api-client daytona-toolbox-api-client-async daytona-analytics-api-client daytona-analytics-api-client-async
RUN find /venv -name "*.[mp]o" -delete
RUN find /venv -name "*.so" -exec strip --strip-unneeded {} +

# Static files are served from /app/static alone: without their sources' maps, and no second time from the packages.
FROM packages AS build
COPY pyproject.toml pyproject.toml
COPY manage.py manage.py
COPY project project
COPY sandboxes sandboxes
RUN SECRET_KEY=build python manage.py collectstatic --noinput --ignore "redoc*"
RUN find /app/static -name "*.map*" -delete
RUN find /venv -path "*/static/*" -delete
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

# For evaluation alone (compose.yaml, profile demo): the same with the emulator of Daytona and Convex, and with the packages'
# static files, which a process with DEBUG serves from there.
FROM packages AS demo-packages
COPY requirements-emulator.txt .
RUN /usr/local/bin/python -m pip --python /venv/bin/python install --require-hashes -r requirements-emulator.txt

FROM run AS demo
COPY --from=demo-packages /venv /venv
COPY emulator emulator

# The last one is what `docker build` makes.
FROM run AS sandkeeper
