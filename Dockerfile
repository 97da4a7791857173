# The bot as an image: two stages, no compiler and no source tree in the second, no root, no shell at the start.
#
#   docker build -t vakhta .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v vakhta-data:/var/lib/vakhta -v "$PWD/production.yaml:/etc/vakhta/vakhta.yaml:ro" -p 8080:8080 vakhta
#
# The base is named by its tag because its digest was not known where this was written. Pin it before you rely on the
# image: `docker buildx imagetools inspect python:3.13-slim` shows the digest; write python:3.13-slim@sha256:... below.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
RUN ["python", "-m", "venv", "/opt/vakhta"]
# First what changes seldom, so that an edit of the bot does not install its dependencies again.
COPY requirements.lock ./
RUN ["/opt/vakhta/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", \
     "--require-hashes", "-r", "requirements.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
COPY commands ./commands
COPY runbooks ./runbooks
RUN ["/opt/vakhta/bin/python", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check", \
     "--no-deps", "--no-build-isolation", "."]

FROM ${BASE}
LABEL org.opencontainers.image.title="vakhta" \
      org.opencontainers.image.description="A ChatOps incident-response bot: alerts in, people told." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 vakhta \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/vakhta --shell /usr/sbin/nologin vakhta \
 && install -d -m 0750 -o 10001 -g 10001 /var/lib/vakhta
COPY --from=build /opt/vakhta /opt/vakhta
ENV PATH=/opt/vakhta/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    VAKHTA_CONFIG=/etc/vakhta/vakhta.yaml
# The only place that is written to, and only with SQLite: store.url sqlite:////var/lib/vakhta/vakhta.db (a relative path
# would start from the settings file's folder, which is read-only here).
VOLUME /var/lib/vakhta
WORKDIR /var/lib/vakhta
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
# It asks the port of the examples; with another one in server.listen, give --health-cmd or switch it off.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/livez', timeout=3)"]
ENTRYPOINT ["vakhta"]
CMD ["run"]
