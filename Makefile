# Coldsign: `make demo` shows the main job on real parts, `make test` proves it. Both set up what they need.
GO      ?= go
BIN     := build/bin
STORIES := ./scripts/demo
REFUSALS := ./cmd/coldsign ./cmd/coldsign/internal/home ./cmd/coldsign/internal/keystore ./cmd/coldsign/internal/signing ./cmd/exchanged ./cmd/warmctl

.PHONY: help demo demo-shell test referees lint docs setup build tools attacks attacks-mutate fuzz bench clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing (Debian packages, pinned tools); says what it does
	@sh scripts/setup.sh

build: ## build the three programs into build/bin
	@mkdir -p $(BIN)
	CGO_ENABLED=1 $(GO) build -o $(BIN)/coldsign ./cmd/coldsign
	CGO_ENABLED=1 $(GO) build -o $(BIN)/warmctl ./cmd/warmctl
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/exchanged ./cmd/exchanged

build-static: ## build coldsign and warmctl without PKCS#11, static, into build/static
	@mkdir -p build/static
	CGO_ENABLED=0 $(GO) build -trimpath -o build/static/coldsign ./cmd/coldsign
	CGO_ENABLED=0 $(GO) build -trimpath -o build/static/warmctl ./cmd/warmctl

demo: setup build ## play the main job and the exchange on a real node and SoftHSM; pictures and transcript in out/demo
	$(GO) run ./scripts/demo

demo-shell: setup build ## start node and daemon, and open a shell for the README tour
	$(GO) run ./scripts/demo --shell

test: setup build ## all tests: unit, fuzz seeds, SoftHSM, command stories, end to end on a real node, referees, a browser
	$(GO) test ./...
	@$(MAKE) --no-print-directory referees exchange-tour browser

referees: ## have bitcoinjs, scure, Caravan, bitcoinerlab and Electrum judge our Bitcoin work (needs Node.js and npm)
	@sh scripts/setup.sh referees
	$(GO) test -tags referees -count=1 -v ./scripts/referees

lint: setup ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l cmd internal hsm scripts)" || { gofmt -l cmd internal hsm scripts; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(BIN)/staticcheck ./...
	$(BIN)/staticcheck -tags referees ./scripts/referees
	$(BIN)/staticcheck -tags clients ./scripts/demo
	$(BIN)/staticcheck -tags browser ./cmd/exchanged

docs: ## write docs/cli.md and docs/man from what the programs print for --help, and the examples in docs/refusals
	$(GO) run ./scripts/gendocs
	$(GO) test -count=1 -run '^TestRefusalsOf' $(REFUSALS) -update
	$(GO) test -count=1 ./scripts/refusals -update

attacks: setup ## run the tests of every attack of docs/attacks.md, one line for each; fails when a required one does not hold
	@$(GO) run ./scripts/attacks

attacks-mutate: setup ## take each check out in turn and show that its test then fails (about six minutes)
	@$(GO) run ./scripts/attacks --mutate

.PHONY: bench-matching
bench-matching: ## play one tape of orders through our order book and through others, side by side (BENCH, e.g. --ops 200000)
	cd scripts/matchbench && $(GO) run . $(BENCH)

.PHONY: bench-api
bench-api: ## print how many orders a second go through the whole path, and what garbage does to them (BENCH, e.g. "-garbage -seconds 3")
	$(GO) run ./scripts/apibench $(BENCH)

.PHONY: crash bench-journal
crash: setup ## kill a running engine CRASH times (default 500) at every boundary of a write, and prove that nothing was lost
	@$(GO) run ./scripts/crash -n $${CRASH:-500}

bench-journal: setup ## print durable commands a second on SQLite and PostgreSQL beside bare flushes (BENCH, e.g. "-replay 10000000 -orders 1000000")
	@$(GO) run ./scripts/journalbench $(BENCH)

# npm's programs, exactly as the lock file says; nothing of them runs while they are installed.
scripts/clients/node_modules/.installed: scripts/clients/package-lock.json
	@command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || { echo "ccxt needs Node.js 20.19 or newer with npm: install both (https://nodejs.org has packages), then run this again" >&2; exit 1; }
	@echo "setup: installing ccxt and Binance's connector with npm ci, exactly as scripts/clients/package-lock.json says"
	@cd scripts/clients && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && cp package-lock.json node_modules/.installed

.PHONY: exchange-shell exchange-tour
exchange-shell: setup build scripts/clients/node_modules/.installed ## start an exchange on a real node, and open a shell with a bot in ccxt for the README's tour
	$(GO) run ./scripts/demo --exchange-shell --dir out/exchange

exchange-tour: setup scripts/clients/node_modules/.installed ## type the README's tour of the exchange on a terminal, as it stands there
	$(GO) test -tags clients -count=1 -run TheReadmesTourOfTheExchange ./scripts/demo

.PHONY: clients
clients: scripts/clients/node_modules/.installed ## run ccxt and Binance's connector against an exchange of this tree (needs Node.js and npm; CLIENTS, e.g. --updates 2000)
	$(GO) run ./scripts/clients $(CLIENTS)

.PHONY: scale-out
scale-out: setup build ## break each part of an exchange of many processes under load, and prove that nothing is lost (SCALE, e.g. -long)
	$(GO) run ./scripts/scaleout $(SCALE)

.PHONY: browser
browser: ## have a customer use passkeys in Chromium without a screen, with pictures in out/browser (installs chromium)
	@sh scripts/setup.sh browser
	$(GO) test -tags browser -count=1 -run InABrowser ./cmd/exchanged

.PHONY: soak sim
soak: setup build ## run a real exchange under mixed load with kills, and fail when something grows or differs (SOAK=1h; SOAK_FLAGS, e.g. "-store postgres")
	$(GO) run ./scripts/soak -for $${SOAK:-3m} $(SOAK_FLAGS)

sim: ## play engines, crashes, takeovers and lost replies in simulated time, by seed (SIM, e.g. "-for 1h" or "-seed 7")
	$(GO) test ./internal/engine -count=1 -timeout 0 -v -run '^TestSimulatedEnginesLoseNothing$$' -args $(or $(SIM),-for 3m)

fuzz: setup ## run each fuzz target for FUZZTIME (default 20s, or e.g. 1000000x)
	@sh scripts/fuzz.sh $${FUZZTIME:-20s}

bench: setup build ## print what signing costs, beside the bare work and beside the referees that are installed (some minutes)
	@$(GO) run ./scripts/bench

clean: ## remove what the build made
	rm -rf build out
