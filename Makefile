# make help lists what there is.
.DEFAULT_GOAL := build

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOTOOL  := go tool -modfile=tools/go.mod

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## build bin/nexus, static
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/nexus ./cmd/nexus

.PHONY: test
test: ## run all tests, and say which could not run here
	./scripts/test.sh ./...
	go -C tools test ./...
	go -C bench test .

.PHONY: race
race: ## run the tests of concurrent code with the race detector
	go test -race -skip 'RunTwice' . ./store
	go test -race -run 'Conflict|AtOnce' ./plan
	go test -race -run 'Served|Acknowledged|RunAgain|Queue|LinearizableTasks|Reader|Cancel|Batch|Conformance/File/(Concurrency|ConcurrentWork|SessionLog|Tx)' ./sqlite

.PHONY: race-postgres
race-postgres: ## the same on PostgreSQL
	go test -race -run 'Outage|Pooler|Conformance/(Concurrency|ConcurrentWork|Tx)$$' ./postgres

.PHONY: torture
torture: ## kill processes hundreds of times, and race many for the same tasks
	NEXUS_TORTURE=1 go test -run 'Torture|Fleet|Linearizab' -v -count=1 -timeout 30m ./sqlite

.PHONY: fuzz
fuzz: ## fuzz every parser for half a minute each
	./scripts/fuzz.sh 30s

.PHONY: lint
lint: ## check format, vet, staticcheck
	@out="$$($(GOTOOL) gofumpt -l .)"; test -z "$$out" || { echo "not gofumpt-ed:"; echo "$$out"; exit 1; }
	go vet ./...
	go -C tools vet ./...
	CGO_ENABLED=0 go -C bench vet ./... # without compiling all of SQLite for it
	$(GOTOOL) staticcheck ./...
	go -C tools tool staticcheck ./...
	cd bench && CGO_ENABLED=0 go tool -modfile=../tools/go.mod staticcheck ./...
	go mod tidy -diff
	go -C tools mod tidy -diff
	go -C bench mod tidy -diff

.PHONY: cross
cross: ## compile for the other platforms
	for platform in linux/arm64 darwin/arm64 windows/amd64; do \
		echo $$platform; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} go build -o /dev/null ./cmd/nexus || exit 1; \
	done

.PHONY: demo
demo: build ## four workers on one plan, one of them killed, in about 20 seconds
	./examples/demo.sh

.PHONY: tour
tour: build ## the commands one after the other, in ./data/nexus.db
	./examples/tour.sh

.PHONY: recovery
recovery: build ## lose everything and get it back, in an empty folder; docs/recovery-session.md is a recording
	./examples/recovery.sh

.PHONY: bench
bench: ## measure speed and size, and print the table of docs/benchmarks.md
	go test -run '^$$' -bench . -benchtime 200ms ./sqlite
	go test -run '^$$' -bench . -benchtime 200ms ./postgres
	go run ./internal/bench

.PHONY: compare
compare: ## measure Nexus beside other stacks, and write bench/RESULTS.md
	go -C bench run .

.PHONY: compare-short
compare-short: ## a little of the same, in about a minute: that it works, not how fast
	go -C bench run . -short

.PHONY: migration
migration: ## write the next migration from the Go columns: make migration NAME=add_owner
	go -C tools run ./migration -name "$(NAME)" -dir ../sqlite/migrations
