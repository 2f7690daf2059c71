# One image for every process: web (the default), worker, reconcile, watch. Build: make image (docs/operations.md,
# Upgrade). A tag moves; a release names its base by digest, and `make image` refuses another.
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /app

COPY requirements.txt .
RUN python -m pip install --require-hashes -r requirements.txt

COPY manage.py .
COPY project project
COPY sandboxes sandboxes
RUN SECRET_KEY=build python manage.py collectstatic --noinput

RUN useradd --system sandkeeper && chown -R sandkeeper var
USER sandkeeper
EXPOSE 8000
CMD ["python", "-m", "project.server", "--bind", "0.0.0.0:8000"]
