# syntax=docker/dockerfile:1
# One binary in an image that needs nothing else of it: no shell, a user without rights, and a root
# file system that may be mounted read-only (the quick start alone writes, to /tmp).

# Another base with the C library of Debian 12, libgcc and certificates will do (debian:bookworm-slim with them installed).
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

# The image of the builder brings the C compiler, make and perl of the vendored C libraries, but not cmake. It has
# the C library of the runtime image: keep both on the same Debian release.
FROM rust:1-bookworm AS builder
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# What the binary embeds at compile time.
COPY migrations ./migrations
COPY configs ./configs
# For `rowtide_build_info`: the checkout's own folder does not come here.
ARG COMMIT=unknown
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    ROWTIDE_COMMIT=${COMMIT} cargo build --release --locked --bin rowtide \
    && install -D target/release/rowtide /out/rowtide

# Debian 12's C library, libgcc and certificates, and nothing else: no shell, no package manager.
FROM ${RUNTIME}
ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title=rowtide \
      org.opencontainers.image.description="Polls relational tables into Kafka, exactly once" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${COMMIT}
COPY --from=builder /out/rowtide /usr/local/bin/rowtide
# OpenSSL is compiled in and does not know where Debian keeps its certificates.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# Numeric, so that an orchestrator can verify that it is not root.
USER 65532:65532
WORKDIR /etc/rowtide
EXPOSE 8083
STOPSIGNAL SIGTERM
# The binary asks itself; compose and Docker restart nothing for it, Kubernetes has probes of its own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=6 CMD ["rowtide", "health"]
ENTRYPOINT ["rowtide"]
CMD ["--help"]
