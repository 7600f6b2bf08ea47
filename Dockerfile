# flowgate as an image: the binary, ONNX Runtime and the Debian libraries that both need; no shell, no
# Python, no package manager. docs/image.md says how to build it, run it and build it again.
#
# BuildKit (or buildah) is needed for the cache mounts; there is no `# syntax=` line, since that
# would download a frontend whose version nobody pins.
#
# All files are of 1970. The commit's time would do for building it again as well, but a layer with
# the same content would be another one at each commit, to be stored and pulled again.

# Pin by digest where it matters: --build-arg RUST_IMAGE=rust@sha256:... (docs/image.md).
ARG RUST_VERSION=1.95.0
ARG RUST_IMAGE=rust:${RUST_VERSION}-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

# --- ONNX Runtime: the library that scripts/onnxruntime.txt pins by hash -------------------------
FROM ${DEBIAN_IMAGE} AS onnxruntime
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates python3-pip && \
    rm -rf /var/lib/apt/lists/*
COPY scripts/onnxruntime.sh scripts/onnxruntime.txt /src/scripts/
RUN CARGO_TARGET_DIR=/target /src/scripts/onnxruntime.sh && mv /target/onnxruntime/* /onnxruntime

# --- The binary ----------------------------------------------------------------------------------
FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY src src
COPY LICENSE ./
# `flowgate_build_info` tells it.
ARG FLOWGATE_GIT_SHA=
# Paths of the build stay out of the binary. The touch has Cargo compile this crate although its
# files may be older than what another commit left in the cache. Symbols go: they are 11 MB, and the
# compiler gives some of them another suffix in each build (where the code is the same, to the byte).
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    export RUSTFLAGS="--remap-path-prefix=/usr/local/cargo/registry/src=/cargo \
--remap-path-prefix=/src=/flowgate" \
           CFLAGS="-ffile-prefix-map=/usr/local/cargo/registry/src=/cargo \
-ffile-prefix-map=/src=/flowgate" \
           SOURCE_DATE_EPOCH=0 FLOWGATE_GIT_SHA="${FLOWGATE_GIT_SHA}" && \
    touch src/lib.rs src/main.rs && \
    cargo build --release --locked --features tract && \
    mkdir -p /out/usr/local/bin && \
    strip --strip-all --remove-section=.note.gnu.build-id \
      -o /out/usr/local/bin/flowgate target/release/flowgate && \
    install -D -m 644 LICENSE /out/usr/share/doc/flowgate/LICENSE && \
    find /out -exec touch -h -d @0 {} +

# --- The root file system: files of Debian packages, listed for scanners as distroless does ------
FROM ${DEBIAN_IMAGE} AS packages
# Lines for apt's list of sources, in place of the base image's: an archive of one moment fixes the
# packages' versions (docs/image.md).
ARG DEBIAN_SOURCES=
RUN if [ -n "${DEBIAN_SOURCES}" ]; then \
      rm -rf /etc/apt/sources.list.d/* && \
      printf '%s\n' "${DEBIAN_SOURCES}" > /etc/apt/sources.list; \
    fi && \
    mkdir /packages && cd /packages && apt-get update && \
    apt-get -o APT::Sandbox::User=root download \
      base-files ca-certificates gcc-12-base libc6 libgcc-s1 libstdc++6 locales && \
    rm -rf /var/lib/apt/lists/*

FROM packages AS rootfs
COPY --from=onnxruntime /onnxruntime /onnxruntime
COPY scripts/rootfs.sh /src/scripts/
RUN /src/scripts/rootfs.sh /packages /onnxruntime /rootfs

# --- The image -----------------------------------------------------------------------------------
FROM scratch AS image
COPY --from=rootfs /rootfs/ /
COPY --from=build /out/ /
ENV PATH=/usr/local/bin \
    FLOWGATE_HOST=0.0.0.0 \
    FLOWGATE_CACHE_DIR=/var/cache/flowgate \
    ORT_DYLIB_PATH=/usr/local/lib/libonnxruntime.so
USER 65532:65532
EXPOSE 8080 8082
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/flowgate"]
CMD ["serve", "/models"]
# Docker's one signal is for whoever waits for the container or sends it requests, so it is that of
# `/ready`; a first version may be fetched for long.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5m --retries=3 \
    CMD ["/usr/local/bin/flowgate", "probe"]
ARG VERSION=
ARG FLOWGATE_GIT_SHA=
ARG CREATED=1970-01-01T00:00:00Z
ARG SOURCE=
LABEL org.opencontainers.image.title="flowgate" \
      org.opencontainers.image.description="A model server for MLflow ONNX models" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${FLOWGATE_GIT_SHA}" \
      org.opencontainers.image.created="${CREATED}"

FROM ${DEBIAN_IMAGE} AS models
COPY models /out/models
RUN chmod -R u=rwX,go=rX /out && find /out -exec touch -h -d @0 {} +

FROM image AS demo
COPY --from=models /out/ /

# The last stage is the one that is built where none is named.
FROM image AS flowgate
