# A read-only image that runs as nobody and needs no network:
#   docker build -t onnxspec .
#   docker buildx build --platform linux/amd64,linux/arm64 -t onnxspec .
#   docker run --rm --read-only --network none --cap-drop ALL --tmpfs /tmp -v "$PWD:/work:ro" onnxspec check model.onnx
# tools/container_check.py runs the same scripts in an empty Debian root where there is no container engine.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
WORKDIR /src
COPY container container
RUN sh container/packages.sh build
COPY pyproject.toml README.md LICENSE ./
COPY onnxspec onnxspec
COPY tools/trim_site_packages.py tools/trim_site_packages.py
RUN sh container/build.sh

FROM ${BASE}
COPY container/packages.sh /tmp/packages.sh
RUN sh /tmp/packages.sh && rm /tmp/packages.sh
COPY --from=build /opt/onnxspec /opt/onnxspec
ENV NUMBA_CPU_NAME=generic \
    NUMBA_CPU_FEATURES= \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/opt/onnxspec/env/bin/onnxspec"]
CMD ["--help"]
