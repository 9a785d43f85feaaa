# `make` says what there is. Every target installs the Debian packages that it needs and that are missing.
SEEDS ?= 1000
CYCLES ?= 5
MINUTES ?= 0
BASE ?= debian:bookworm-slim
BENCH_OPTIONS ?=
export CTEST_PARALLEL_LEVEL ?= $(shell nproc)

.DEFAULT_GOAL := help
.PHONY: help run test build simulate simulate-mutants chaos bench bench-failover figures lint format images clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Train on a cluster on this machine: configs/quickstart.yaml
	scripts/install-dependencies figures
	build/bin/psctl run configs/quickstart.yaml

test: build ## Build and run all tests
	cmake --build --preset release
	ctest --preset release

build: ## Build the programs in release mode, into build/bin
	scripts/install-dependencies build
	cmake --preset release
	cmake --build --preset release --target programs
	ln -sf build/compile_commands.json compile_commands.json

simulate: build ## Run SEEDS (default 1000) random fault schedules through the simulator
	cmake --build --preset release --target ringps-sim
	build/bin/ringps-sim --seeds $(SEEDS) --jobs $$(nproc)

simulate-mutants: ## Check that the simulator notices deliberate protocol bugs: tests/sim/mutants
	scripts/install-dependencies build mutants
	scripts/simulate-mutants

chaos: build ## Kill, pause, cut, add and drain real processes: CYCLES (default 5) runs, or MINUTES
	cmake --build --preset release --target ringps-chaos
	build/bin/ringps-chaos --cycles $(CYCLES) --minutes $(MINUTES)
	build/bin/ringps-chaos --local --cycles $(CYCLES) --minutes $(MINUTES) --out runs/chaos-local

bench-failover: build ## Measure how long training stands still when a server dies (50 runs)
	cmake --build --preset release --target ringps-chaos
	build/bin/ringps-chaos --failover 50 --out runs/failover

bench: build ## Measure ringps beside raw ZeroMQ, into runs/bench; BENCH_OPTIONS='--report BENCHMARKS.md'
	scripts/install-dependencies figures
	cmake --build --preset release --target benches
	for bench in tests/bench/*_bench.cpp; do build/bin/$$(basename $$bench .cpp) || exit 1; done
	build/bin/ps-bench --commit $$(git describe --always --dirty) $(BENCH_OPTIONS)

figures: build ## Reproduce the published figures, into runs/figures
	scripts/install-dependencies figures
	scripts/figures

lint: build ## Check format, code and scripts
	scripts/install-dependencies lint
	scripts/lint

format: ## Format all C++ files in place
	scripts/install-dependencies lint
	git ls-files -z '*.cpp' '*.hpp' | xargs -0 clang-format-14 -i

images: ## Build the container images on BASE (default debian:bookworm-slim)
	scripts/install-dependencies images
	BASE='$(BASE)' scripts/build-images

clean: ## Remove everything that was built
	rm -rf build build-* compile_commands.json
