# By twelve digits, since how many git takes by itself grows with the clone: one commit has one name.
VERSION := $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo dev)
# Where git cannot tell the version, Go could not ask it for the commit.
VCS     := $(if $(filter dev,$(VERSION)),false,auto)
TOOL    := go tool -modfile=tools/go.mod

# Arguments for `make run`, as in: make run ARGS="--rpc-bind-port 28081"
ARGS ?=
# Where `make build` builds, and `make packages` and `make release` put what they make.
BINARY ?= bin/connectionsd
DIST   ?= dist
# Flags for the test runs, as in: make test TESTFLAGS="-run Fuzz -v"
TESTFLAGS ?=
# Flags for the measurement, as in: make bench BENCHFLAGS="-runs 9 -markdown table.md"
BENCHFLAGS ?=
# Flags for what the daemon is held against, as in: make soak SOAKFLAGS=-short
SOAKFLAGS ?=
# For how long each target is fuzzed (or 30000x: with so many inputs), how many at once, and which, as in: make fuzz FUZZ=rpc
FUZZTIME     ?= 10m
FUZZPARALLEL ?= 1
FUZZ         ?= .

.DEFAULT_GOAL := help
.PHONY: help build run test fuzz interop bench bench-parts soak lint generate man sbom packages release image clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build bin/connectionsd
	CGO_ENABLED=0 go build -trimpath -buildvcs=$(VCS) -ldflags "-s -w -X main.version=$(VERSION)" -o $(BINARY) ./cmd/connectionsd

run: build ## build, then serve with ARGS
	@exec bin/connectionsd serve $(ARGS)

test: ## run the tests
	go test $(TESTFLAGS) ./...

fuzz: ## fuzz each target for FUZZTIME (10m), FUZZPARALLEL (1) at once
	@FUZZTIME='$(FUZZTIME)' FUZZPARALLEL='$(FUZZPARALLEL)' FUZZ='$(FUZZ)' .ci/fuzz

interop: ## install real peers and run the tests against them
	test/interop/setup
	go test -count=1 -v $(TESTFLAGS) -tags interop ./test/interop/...

bench: ## measure on 108,000 sockets of its own and beside monerod (root, some minutes), with BENCHFLAGS
	go run ./test/bench $(BENCHFLAGS) all

bench-parts: ## run the Go benchmarks beside the code
	go test -run '^$$' -bench . -benchmem ./...

soak: ## hold the daemon against overload, slow clients, kill -9 and half an hour of connections (root, 45 minutes), with SOAKFLAGS
	go run ./test/soak $(SOAKFLAGS) all

lint: ## vet, staticcheck, gofumpt, govulncheck, tidy modules
	go vet -tags interop,packages ./...
	$(TOOL) staticcheck -tags interop,packages ./...
	@echo "gofumpt -l ."; unformatted=$$($(TOOL) gofumpt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; fi
	.ci/govulncheck
	go mod tidy -diff
	go -C tools mod tidy -diff
	go -C packaging mod tidy -diff

generate: ## run go generate
	go generate ./...

man: ## write the manual pages, which are made of what --help says, to packaging/man
	go generate ./cmd/connectionsd

sbom: build ## write what is linked into bin/connectionsd to bin/connectionsd.cdx.json (CycloneDX)
	.ci/sbom bin/connectionsd '$(VERSION)' bin/connectionsd.cdx.json

packages: ## make debs and rpms for amd64 and arm64, in DIST (dist)
	VERSION='$(VERSION)' packaging/make packages '$(DIST)'

release: ## make all that is released: these, tar.gz files, bills of materials and SHA256SUMS
	VERSION='$(VERSION)' packaging/make release '$(DIST)'

image: build ## make the Docker image connectionsd
	docker build --file packaging/docker/Dockerfile --build-arg VERSION='$(VERSION)' --tag connectionsd bin

clean: ## remove what build, packages and release made
	rm -rf bin dist
