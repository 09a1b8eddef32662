# Debian 12 in both stages: a program built against a newer C library would not start.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN rustup component add llvm-tools && cargo --locked xtask release

FROM gcr.io/distroless/cc-debian12
COPY --from=build /src/target/dist/posthaste /posthaste
VOLUME /data
EXPOSE 4566
# Inside a container only published ports can be reached: publish on 127.0.0.1 (see compose.yaml).
# Say another address here, not by --listen: the health check goes by it.
ENV POSTHASTE_LISTEN=0.0.0.0:4566
ENTRYPOINT ["/posthaste"]
CMD ["--insecure-public", "--data", "/data"]
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/posthaste", "health"]
