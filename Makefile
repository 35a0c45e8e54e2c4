# Every command of this repository. Needed: git, make, npm (any Node), and for the real servers Go and Python 3 (or
# internet access in place of Go). Everything runs on the Node 24 that npm puts into node_modules/.bin.
# REPORTS=<directory> also writes each test run's results there as JSON (.ci/run counts them).

NODE := node_modules/.bin/node
BIN := node_modules/.bin
# Lets our downloads use the proxy of HTTPS_PROXY, as npm, go and pip do.
export NODE_USE_ENV_PROXY = 1

vitest = $(NODE) $(BIN)/vitest run --project $(1) $(if $(REPORTS),--reporter=default --reporter=json --outputFile.json=$(REPORTS)/$(1).json)

.DEFAULT_GOAL := help
.PHONY: help demo test ok bench build image verify-image generate sbom provenance clean install toolchain \
  test-unit test-integration test-model test-slow test-chaos test-image check-format check-lint check-types check-architecture check-unused check-generated

help: ## list the commands (default)
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: build ## see it work on real servers in your terminal; ARGS=--once checks every step and ends
	@$(NODE) tools/demo/main.ts $(ARGS)

test: test-unit test-integration test-model ## all tests but the slow ones

ok: check-format check-lint check-types check-architecture check-unused check-generated test-unit ## every check, and the unit tests

build: install ## bundle dist/, so that bin/kms-vault-operator works
	@$(NODE) tools/build.ts

test-unit: install ## tests that touch nothing outside the process
	$(call vitest,unit)

test-integration: install toolchain build ## tests on real servers
	@$(NODE) tools/toolchain/main.ts moto_server glauth vault-auth-plugins >/dev/null
	@$(NODE) tools/toolchain/main.ts crane cosign supply-python actionlint promtool >/dev/null
	$(call vitest,integration)

test-model: install toolchain ## random sequences of all that can happen, against a model; two minutes, or MODEL_SECONDS
	$(call vitest,model)

test-slow: install toolchain ## tests that need real seconds: leases, token life, fail-over
	$(call vitest,slow)

test-chaos: install toolchain build ## ten minutes of faults: servers killed, links cut and stalled, credentials rotated, load
	@$(NODE) tools/toolchain/main.ts toxiproxy-server >/dev/null
	$(call vitest,chaos) $(if $(REPORTS),,--reporter=default) --reporter=./test/chaos/reporter.ts

test-image: install toolchain ## build the image twice, compare, and run it on real servers; needs buildah, mmdebstrap, gpg
	@$(NODE) tools/toolchain/main.ts crane >/dev/null
	$(call vitest,image)

bench: install toolchain build ## measure the operator on real servers, next to the targets; ARGS=--help tells more
	@$(NODE) bench/main.ts $(ARGS)

generate: install ## write the generated files again (CRDs, values of the chart, deploy/, docs/reference)
	@$(NODE) tools/generate.ts

image: install ## build the image of the commit; IMAGE=… PLATFORM=linux/amd64,linux/arm64 BASE_IMAGE=… OUTPUT=<OCI archive>
	@IMAGE='$(IMAGE)' PLATFORM='$(PLATFORM)' BASE_IMAGE='$(BASE_IMAGE)' BUILD_IMAGE='$(BUILD_IMAGE)' OUTPUT='$(OUTPUT)' \
	  $(NODE) tools/image/make-image.ts

verify-image: install ## hold an image's labels against its commit, tag, signature and key in this clone; IMAGE=… KEY=<fingerprint>
	@$(NODE) tools/image/verify-image.ts '$(IMAGE)' '$(KEY)'

sbom: install ## list what is in an image, as SPDX and CycloneDX; IMAGE=registry/name@sha256:…
	@$(NODE) tools/sbom.ts '$(IMAGE)' $(if $(PLATFORM),--platform $(PLATFORM)) --output $(or $(OUTPUT),attestations)

provenance: install ## say where an image comes from, as SLSA asks; IMAGE=… BUILDER=<your URI> BASE_IMAGE=…@sha256:…
	@$(NODE) tools/provenance.ts '$(IMAGE)' $(if $(PLATFORM),--platform $(PLATFORM)) --builder '$(BUILDER)' \
	  --base-image '$(BASE_IMAGE)' $(if $(BUILD_IMAGE),--build-image '$(BUILD_IMAGE)') --output $(or $(OUTPUT),attestations)

toolchain: install ## find or make the servers: etcd, kube-apiserver, kubectl, OpenBao
	@$(NODE) tools/toolchain/main.ts >/dev/null

clean: ## remove what was built here (the servers' cache stays)
	rm -rf dist coverage attestations .demo *.tsbuildinfo

check-format: install
	$(NODE) $(BIN)/biome format .

check-lint: install
	$(NODE) $(BIN)/oxlint --type-aware --deny-warnings

check-types: install
	$(NODE) $(BIN)/tsc --noEmit

check-architecture: install
	$(NODE) tools/check-architecture.ts

check-unused: install
	$(NODE) $(BIN)/knip --config tools/knip.json

check-generated: install
	$(NODE) tools/generate.ts --check

# What was installed last tells whether there is anything to do; comparing contents, not times, survives switching
# branches. Where npm has no Node 24 for the machine (Apple silicon), its own serves if it is new enough.
install:
	@cmp -s package-lock.json node_modules/.installed-lock.json || { \
	  command -v npm >/dev/null || { echo "npm is missing: install Node.js (any version) with npm" >&2; exit 1; }; \
	  echo "installing the npm packages"; \
	  npm ci --ignore-scripts --no-fund --no-audit --loglevel=error && cp package-lock.json node_modules/.installed-lock.json; }
	@test -x $(NODE) || { \
	  [ "$$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 24 ] || { \
	    echo "Node 24 is missing: npm has none for this machine; install it from nodejs.org" >&2; exit 1; }; \
	  ln -sf "$$(command -v node)" $(NODE); }
