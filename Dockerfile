# The image: the bundle on a base that holds Node and no shell. The last stage only copies, so every platform is built on
# any, without emulation: linux/amd64 and linux/arm64 (Node 24 exists for no arm/v7, which older releases had).
# `make image` fills in the arguments. Both bases are arguments, for builds that reach no outside registry.
ARG BUILD_IMAGE=docker.io/library/node:24-trixie-slim
ARG BASE_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

FROM --platform=${BUILDPLATFORM} ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Optional secrets: settings for npm, and certificate authorities that stand before the registry. Neither is kept.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=authorities \
    if [ -f /run/secrets/authorities ]; then \
      export NODE_EXTRA_CA_CERTS=/run/secrets/authorities npm_config_cafile=/run/secrets/authorities; \
    fi; \
    npm ci --ignore-scripts --no-fund --no-audit
COPY . .
# Modes are set, not taken from the checkout, whose umask is anybody's.
RUN node tools/build.ts \
    && install -d /image/app/bin /image/usr/local/bin \
    && cp -R dist package.json LICENSE /image/app/ \
    && cp bin/runtime /image/app/bin/ \
    && cp bin/image-launcher /image/app/bin/kms-vault-operator \
    && chmod -R u=rwX,go=rX /image \
    && chmod 755 /image/app/bin/kms-vault-operator \
    && ln -s /app/bin/kms-vault-operator /image/manager \
    && ln -s /app/bin/kms-vault-operator /image/kms-vault-validating-webhook \
    && ln -s /app/bin/kms-vault-operator /image/usr/local/bin/kms-vault-operator

# The platform is said, though it goes without saying: some versions of Buildah would go on with that of the stage before.
FROM --platform=${TARGETPLATFORM} ${BASE_IMAGE}
ARG GIT_COMMIT="unspecified"
ARG COMMIT_TIMESTAMP="unspecified"
ARG AUTHOR_EMAIL="unspecified"
# Empty: the commit has no tag, or nobody signed it.
ARG GIT_TAG=""
ARG SIGNATURE_KEY=""
LABEL GIT_COMMIT="${GIT_COMMIT}" \
    COMMIT_TIMESTAMP="${COMMIT_TIMESTAMP}" \
    AUTHOR_EMAIL="${AUTHOR_EMAIL}" \
    GIT_TAG="${GIT_TAG}" \
    SIGNATURE_KEY="${SIGNATURE_KEY}" \
    org.opencontainers.image.title="kms-vault-operator" \
    org.opencontainers.image.description="Keeps Vault or OpenBao equal to KMS-encrypted secrets that live in git as Kubernetes objects" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.source="https://github.com/patoarvizu/kms-vault-operator" \
    org.opencontainers.image.revision="${GIT_COMMIT}" \
    org.opencontainers.image.version="${GIT_TAG:-unspecified}"
COPY --from=build /image/ /
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/manager"]
