VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL    := go tool -modfile=tools/go.mod

# Arguments for `make run`, as in: make run ARGS="--rpc-bind-port 28081"
ARGS ?=
# Flags for the test runs, as in: make test TESTFLAGS="-run Fuzz -v"
TESTFLAGS ?=
# Flags for the measurement, as in: make bench BENCHFLAGS="-runs 9 -markdown table.md"
BENCHFLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help build run test interop bench bench-parts lint generate clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build bin/connectionsd
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/connectionsd ./cmd/connectionsd

run: build ## build, then serve with ARGS
	@exec bin/connectionsd serve $(ARGS)

test: ## run the tests
	go test $(TESTFLAGS) ./...

interop: ## install real peers and run the tests against them
	test/interop/setup
	go test -count=1 -v $(TESTFLAGS) -tags interop ./test/interop/...

bench: ## measure on 108,000 sockets of its own and beside monerod (root, some minutes), with BENCHFLAGS
	go run ./test/bench $(BENCHFLAGS) all

bench-parts: ## run the Go benchmarks beside the code
	go test -run '^$$' -bench . -benchmem ./...

lint: ## vet, staticcheck, gofumpt, govulncheck, tidy modules
	go vet -tags interop ./...
	$(TOOL) staticcheck -tags interop ./...
	@echo "gofumpt -l ."; unformatted=$$($(TOOL) gofumpt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "not formatted by gofumpt:"; echo "$$unformatted"; exit 1; fi
	.ci/govulncheck
	go mod tidy -diff
	go -C tools mod tidy -diff

generate: ## run go generate
	go generate ./...

clean: ## remove what build made
	rm -rf bin
