# Recado without embedded servers: it needs RECADO_DATABASE_URL and RECADO_REDIS_URL.

FROM python:3.11-slim AS build
WORKDIR /app
# Compiled here once: the user that runs it may not write beside the code.
ENV UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir --disable-pip-version-check uv && uv venv /app/.venv
COPY requirements.lock ./
RUN uv pip sync --no-cache --python /app/.venv/bin/python requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY plugins plugins
RUN uv pip install --no-cache --python /app/.venv/bin/python --no-deps . \
    && rm -rf core plugins

FROM python:3.11-slim
RUN useradd --system --create-home --uid 10001 recado && install --directory --owner recado --mode 0700 /data
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY platform.toml ./
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 RECADO_HOST=0.0.0.0 RECADO_DATA=/data
USER recado
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["recado"]
CMD ["api"]
