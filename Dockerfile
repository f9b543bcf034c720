# Conclave in a container: built by the same make targets a developer uses; the last stage holds the
# interpreter, the locked packages and our wheel, and runs as nobody in particular.

FROM rust:1.95-bookworm AS rust

FROM node:20-bookworm AS build
COPY --from=rust /usr/local/cargo /usr/local/cargo
COPY --from=rust /usr/local/rustup /usr/local/rustup
ENV PATH=/usr/local/cargo/bin:$PATH RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo
RUN apt-get -qq update && apt-get -qq install --no-install-recommends -y python3 python3-venv python3-dev gcc g++ make
WORKDIR /src
COPY . .
# .git stays outside: docker build --build-arg COMMIT="$(git rev-parse HEAD)" .
ARG COMMIT=
RUN make wheel COMMIT="$COMMIT"
RUN deploy/image/install /opt/conclave requirements.txt dist/*.whl

FROM debian:bookworm-slim
RUN apt-get -qq update \
 && apt-get -qq install --no-install-recommends -y python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/conclave --create-home --shell /usr/sbin/nologin conclave \
 && chmod 700 /var/lib/conclave
COPY --from=build /opt/conclave /opt/conclave
USER 10001
ENV PATH=/opt/conclave/bin:$PATH PYTHONDONTWRITEBYTECODE=1 CONCLAVE_STATE_DIR=/var/lib/conclave
VOLUME /var/lib/conclave
EXPOSE 7880/tcp 7882/udp
HEALTHCHECK --interval=10s --timeout=3s CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7881/readyz', timeout=2)"]
ENTRYPOINT ["conclave"]
CMD ["serve", "--config", "/etc/conclave/conclave.toml"]
