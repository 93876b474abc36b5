# syntax=docker/dockerfile:1
# One image for every part: `tidegate standalone`, `control-plane`, `data-plane`, and the sample upstream.

FROM node:22-bookworm-slim AS web
WORKDIR /src/web-admin
COPY web-admin/package.json web-admin/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY control-plane/openapi.json ../control-plane/openapi.json
COPY web-admin ./
RUN npm run build

FROM rust:1.95-slim-bookworm AS rust
WORKDIR /src
COPY . .
COPY --from=web /src/web-admin/dist web-admin/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p tidegate -p tidegate-testkit \
    && install -D -t /out target/release/tidegate target/release/sample-upstream

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tidegate \
    && install -d -m 0700 -o tidegate -g tidegate /var/lib/tidegate /run/tidegate
COPY --from=rust /out/ /usr/local/bin/
USER tidegate
# A named volume takes over the owner of the folder that it covers.
VOLUME /var/lib/tidegate
ENV TIDEGATE_DATA_DIR=/var/lib/tidegate
# proxy, admin REST and web admin, config stream, node status
EXPOSE 8000 8001 8005 8100 8101
ENTRYPOINT ["tidegate"]
# Asks the process's own readiness; the compose file says where, for those that listen elsewhere.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s \
    CMD ["tidegate", "status", "--ready", "http://127.0.0.1:8100/readyz"]
CMD ["standalone", "--proxy-listen", "0.0.0.0:8000", "--admin-listen", "0.0.0.0:8001", "--status-listen", "0.0.0.0:8100"]
