# Three small images from one build: `docker build --target vaultd .`, `--target orchestratord .`, `--target vaultctl .`
#
# Each final image holds one static binary, runs as an ordinary user and writes to /var/lib/strongroom alone, so that it can
# be started with a read-only root. Configuration, certificates and root.json are mounted; no image holds a secret.
#
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --ulimit memlock=-1 --ulimit core=0 \
#     -v /etc/strongroom:/etc/strongroom:ro -v strongroom:/var/lib/strongroom -p 8443:8443 -p 8444:8444 -p 8445:8445 vaultd
#
# Inside a container listeners bind 0.0.0.0, which a development root refuses. There is no HEALTHCHECK: health is asked for
# on the admin listener with a client certificate, by whoever watches the vault.
#
# A static vaultd cannot load the PKCS#11 library of an HSM, and says so at the start: a vault whose Root is in one takes a
# build that is linked dynamically, in an image that has the vendor's library.

# Debian's glibc of this release has its name resolution built in, so that a static binary can look up hosts by itself.
FROM rust:1.95.0-bookworm AS builder
WORKDIR /build
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY keys keys
COPY src src
COPY tests tests
# A named target keeps the flag away from build scripts and procedural macros, which cannot be static.
RUN host="$(rustc --print host-tuple)" \
 && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$host" \
      --package strongroom-vault --package strongroom-orchestrator --package strongroom-vaultctl --bins \
 && mkdir -p /out/state \
 && cp "target/$host/release/vaultd" "target/$host/release/orchestratord" "target/$host/release/vaultctl" /out/

FROM scratch AS vaultctl
COPY --from=builder /out/vaultctl /vaultctl
USER 65532:65532
ENTRYPOINT ["/vaultctl"]

FROM scratch AS orchestratord
# Public authorities, for providers whose certificates they signed.
COPY --from=builder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=builder --chown=65532:65532 /out/state /var/lib/strongroom
COPY --from=builder /out/orchestratord /orchestratord
USER 65532:65532
WORKDIR /var/lib/strongroom
EXPOSE 8446
ENTRYPOINT ["/orchestratord"]
CMD ["--config", "/etc/strongroom/orchestratord.toml"]

FROM scratch AS vaultd
COPY --from=builder --chown=65532:65532 /out/state /var/lib/strongroom
COPY --from=builder /out/vaultd /vaultd
USER 65532:65532
WORKDIR /var/lib/strongroom
# Intake, release, admin.
EXPOSE 8443 8444 8445
ENTRYPOINT ["/vaultd"]
CMD ["--config", "/etc/strongroom/vaultd.toml"]
