# The entry points. `make help` lists them.

CARGO ?= cargo
# Under CI every lint and every unlisted skip is an error.
PROFILE := $(if $(CI),ci,default)

.DEFAULT_GOAL := help
.PHONY: help build demo demo-github tools lint test bench mutants soak github-emulator github-sandbox

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build both programs
	$(CARGO) build --locked -p molt-coordinator -p molt-agent

# Without etcd, which the demo does not use: its client needs `protoc` to build.
demo: ## show the whole job on this machine; REPO=. shows it on a copy of a repository
	$(CARGO) build --locked -p molt-coordinator -p molt-agent -p molt-tests --no-default-features
	target/debug/molt-coordinator demo $(if $(REPO),--repo $(REPO))

demo-github: ## tell twenty gated merges at a simulated GitHub as a story
	@tests/tools.sh
	$(CARGO) build --locked -p molt-coordinator -p molt-agent
	$(CARGO) test --locked -p molt-tests --test github story::demo -- --ignored --nocapture

tools: ## install what lint and test need, saying what
	@tests/tools.sh

lint: tools ## formatting, clippy, documentation, dependency policy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet
	cargo-deny --log-level error check bans licenses sources

test: lint ## every lint and every test; ends in a count
	$(CARGO) nextest run --locked -p molt-domain --features seeded-bugs -E 'binary(seeded_bugs)' --profile $(PROFILE)
	$(CARGO) nextest run --locked --workspace --profile $(PROFILE)
	@CARGO="$(CARGO)" tests/skips.sh

bench: ## measure a fleet beside etcd, and the agent's commands; CHECK=1 judges
	@tests/tools.sh bench
	$(CARGO) build --release --locked -p molt-coordinator -p molt-agent -p molt-tests --features molt-tests/peers \
		--bin molt-coordinator --bin molt-agent --bin molt-bench
	target/release/molt-bench $(if $(CHECK),--check)

github-emulator: ## take the product's steps at a GitHub that others wrote; needs Node
	@tests/tools.sh
	@CARGO="$(CARGO)" tests/emulator/run.sh

github-sandbox: ## take them, and land, at GitHub itself; says which variables name a repository
	@tests/tools.sh
	$(CARGO) nextest run --locked --workspace --test github --run-ignored only \
		-E 'test(=outside::sandbox::the_steps_and_a_gated_merge_at_github)'

mutants: ## switch seeded bugs on, one at a time, and show what catches each
	$(CARGO) test --locked -p molt-domain --features seeded-bugs --test seeded_bugs -- --nocapture
	$(CARGO) test --locked -p molt-tests --features seeded-bugs --test sim mutants -- --nocapture

soak: ## a million steps each of the rules and of a simulated fleet, printing seeds; STEPS=n for more
	HISTORY_COMMANDS=$(or $(STEPS),1000000) $(CARGO) test --release --locked -p molt-domain --test histories -- --nocapture
	MOLT_SIM_STEPS=$(or $(STEPS),1000000) $(CARGO) test --release --locked -p molt-tests --test sim a_fleet_under_faults -- --nocapture
