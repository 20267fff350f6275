# hebra: run, test, measure. `make help` lists the targets.

CARGO ?= cargo
# Flags that run, bench, growth, load, bench-protocol and bench-instructions pass on: make run ARGS="--workers 4"
ARGS ?=
# make load: the server to load, HOST:PORT. Without it a server is started.
ADDR ?=
# make stress: how often the tests run, and which of them (by default all).
RUNS ?= 20
TESTS ?=
# make install and uninstall: where to. A package is built with DESTDIR, which stands before PREFIX.
PREFIX ?= /usr/local
DESTDIR ?=
# make fuzz: how long each target runs.
SECONDS ?= 30

.DEFAULT_GOAL := help
.PHONY: run prefix install uninstall static test bench growth bench-protocol bench-instructions instructions-tools load lint fmt doc check test-interop interop-tools descriptors fuzz fuzz-tools mutants mutants-tools deny deny-tools stress help

run: ## Build and start the server on localhost:1234 (ARGS="--workers 4" passes flags on)
	@exec $(CARGO) run --release --locked -- serve $(ARGS)

BIN := $(DESTDIR)$(PREFIX)/bin
SHARE := $(DESTDIR)$(PREFIX)/share
MAN := $(SHARE)/man/man1
BASH := $(SHARE)/bash-completion/completions
ZSH := $(SHARE)/zsh/site-functions
FISH := $(SHARE)/fish/vendor_completions.d
UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system
# hebra-load needs Linux.
PROGRAMS = hebra $(if $(filter Linux,$(shell uname -s)),hebra-load)
TARGET := $(or $(CARGO_TARGET_DIR),target)

# The units name the program below PREFIX.
prefix: export PREFIX := $(PREFIX)
prefix:
	@case "$$PREFIX" in \
	*[!A-Za-z0-9/._+-]*) echo "PREFIX: $$PREFIX has a character other than letters, digits and /._+-"; exit 1 ;; \
	/*) ;; \
	*) echo "PREFIX: \"$$PREFIX\" is not an absolute path, such as /usr/local"; exit 1 ;; \
	esac

# The release profile has line tables for profilers and backtraces. They are most of its size, and are not installed.
install: prefix ## Install hebra and hebra-load, man pages, completions and systemd units (PREFIX=/usr/local DESTDIR=)
	$(CARGO) build --release --locked $(if $(filter hebra-load,$(PROGRAMS)),--features load) $(PROGRAMS:%=--bin %)
	install -d "$(BIN)" "$(MAN)" "$(BASH)" "$(ZSH)" "$(FISH)" "$(UNITS)"
	for program in $(PROGRAMS); do \
		install -s -m 755 "$(TARGET)/release/$$program" "$(BIN)/$$program" && \
		"$(BIN)/$$program" man --dir "$(MAN)" && \
		"$(BIN)/$$program" completions bash >"$(BASH)/$$program" && \
		"$(BIN)/$$program" completions zsh >"$(ZSH)/_$$program" && \
		"$(BIN)/$$program" completions fish >"$(FISH)/$$program.fish" && \
		chmod 644 "$(BASH)/$$program" "$(ZSH)/_$$program" "$(FISH)/$$program.fish" || exit 1; \
	done
	for unit in hebra.service hebra.socket; do \
		sed 's|/usr/local/bin/hebra|$(PREFIX)/bin/hebra|g' examples/deploy/$$unit >"$(UNITS)/$$unit" || exit 1; \
	done
	chmod 644 "$(MAN)"/hebra*.1 "$(UNITS)"/hebra.*

uninstall: prefix ## Remove what install installed (with the same PREFIX and DESTDIR)
	for program in $(PROGRAMS); do \
		rm -f "$(BIN)/$$program" "$(BASH)/$$program" "$(ZSH)/_$$program" "$(FISH)/$$program.fish" || exit 1; \
	done
	rm -f "$(MAN)"/hebra.1 "$(MAN)"/hebra-*.1 "$(UNITS)/hebra.service" "$(UNITS)/hebra.socket"

# With an explicit target the flags do not concern build scripts and macros, which cannot be static. Optimized as a
# whole, the program is a seventh smaller, and the build takes less processor time.
# make static: the program to build, hebra or hebra-load.
PROGRAM ?= hebra
STATIC_TARGET ?= $(shell rustc -vV | sed -n 's/^host: //p')

static: ## Build target/static/hebra, which needs no other file, for containers from scratch (PROGRAM=hebra-load)
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --release --locked --bin $(PROGRAM) --target-dir target/static \
		$(if $(filter hebra-load,$(PROGRAM)),--features load) --target $(STATIC_TARGET) --config 'profile.release.strip=true' \
		--config 'profile.release.lto="fat"' --config 'profile.release.codegen-units=1'
	cp target/static/$(STATIC_TARGET)/release/$(PROGRAM) target/static/$(PROGRAM)

# With hebra-load, which some tests run.
TEST := $(CARGO) test --locked --features load

# Most tests wait for something, so there are more of them at a time than cores.
TEST_THREADS ?= $(shell expr 3 \* $$(getconf _NPROCESSORS_ONLN) / 2)

test: ## Run every test that needs nothing but Rust
	RUST_TEST_THREADS=$(TEST_THREADS) $(TEST)

bench: ## Compare hebra with other servers: tables, JSON and a plot, in a quarter of an hour
	$(CARGO) bench --locked --bench load -- --suite $(ARGS)

growth: ## Measure rate, latency and memory against the number of connections, in five minutes
	$(CARGO) bench --locked --bench load -- --growth $(ARGS)

bench-protocol: ## Measure the protocol core and the cost of an event (ARGS=event: these alone)
	$(CARGO) bench --locked --bench protocol -- $(ARGS)

instructions-tools:
	@command -v valgrind >/dev/null || \
		{ echo "bench-instructions needs valgrind; on Debian or Ubuntu: apt-get install valgrind"; exit 1; }

bench-instructions: instructions-tools ## Count the instructions of a message, an event and a session, and compare (ARGS=--record: record them)
	$(CARGO) bench --locked --bench instructions -- $(ARGS)

load: ## Load a running server and verify every byte (ADDR=host:port, ARGS="--connections 500")
	$(CARGO) bench --locked --bench load -- $(if $(ADDR),--addr $(ADDR)) $(ARGS)

fmt: ## Format the code
	$(CARGO) fmt
	$(CARGO) fmt --manifest-path tests/fuzz/Cargo.toml

lint: ## Check the format, and run clippy on everything and on the bare library
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --features load --all-targets -- -D warnings
	$(CARGO) clippy --locked --test interop -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings

doc: ## Build the documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --lib

check: lint doc test ## Run lint, doc and test: all must pass before a commit

INTEROP_TOOLS := telnet ncat socat strace python3 nft ip nc busybox plink bash haproxy curl systemd-socket-activate jq \
	promtool chromium mandoc lexgrog zsh fish strip systemd-analyze
# .ci/run installs these.
INTEROP_PACKAGES := inetutils-telnet ncat socat strace python3 nftables iproute2 netcat-openbsd busybox putty-tools haproxy \
	curl systemd jq prometheus chromium mandoc man-db zsh fish binutils python3-yaml

interop-tools:
	@missing=; PATH="$$PATH:/usr/sbin"; \
	for tool in $(INTEROP_TOOLS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	python3 -c 'import yaml' 2>/dev/null || missing="$$missing python3-yaml"; \
	if [ -n "$$missing" ]; then \
		echo "test-interop needs:$$missing"; \
		echo "on Debian or Ubuntu: apt-get install $(INTEROP_PACKAGES)"; \
		exit 1; \
	fi

# A test of 10,000 sessions needs a descriptor for each, and some more.
DESCRIPTORS := 10500

descriptors:
	@limit=$$(ulimit -Hn); \
	if [ "$$limit" != unlimited ] && [ "$$limit" -lt $(DESCRIPTORS) ]; then \
		echo "a test of 10,000 sessions needs $(DESCRIPTORS) open descriptors, and the hard limit is $$limit (ulimit -Hn)"; \
		exit 1; \
	fi

# Only the release profile shows how much memory a session takes: without optimization its frames are deeper.
test-interop: interop-tools descriptors ## Run the tests with real clients and bad networks (some need root), and 10,000 sessions
	$(TEST) --test interop
	$(CARGO) test --locked --release --test faults soak::ten -- --ignored

FUZZ := tests/fuzz

fuzz-tools:
	@$(CARGO) fuzz --version >/dev/null 2>&1 || \
		{ echo "fuzz needs cargo-fuzz: cargo install cargo-fuzz --locked"; exit 1; }
	@command -v c++ >/dev/null || \
		{ echo "fuzz needs a C++ compiler; on Debian or Ubuntu: apt-get install g++"; exit 1; }

# There is no unsafe code for a sanitizer to look at; without one a stable toolchain is enough.
fuzz: fuzz-tools ## Search for inputs on which the protocol core or the PROXY parser is wrong, SECONDS for each target
	@for target in bye line proxy; do \
		echo "fuzzing $$target for $(SECONDS) seconds"; \
		mkdir -p $(FUZZ)/found/$$target; \
		$(CARGO) fuzz run --fuzz-dir $(FUZZ) --sanitizer none $$target \
			$(FUZZ)/found/$$target $(FUZZ)/corpus/$$target -- \
			-max_total_time=$(SECONDS) -max_len=4096 -verbosity=0 -print_final_stats=1 || exit 1; \
	done

# In percent, of the changes that compile.
MUTANTS_CAUGHT := 95
# A failure need not be made small, which takes a minute each.
MUTANTS := PROPTEST_MAX_SHRINK_ITERS=0 $(CARGO) mutants --output target --cargo-arg=--lib

mutants-tools:
	@$(CARGO) mutants --version >/dev/null 2>&1 || \
		{ echo "mutants needs cargo-mutants: cargo install cargo-mutants --locked"; exit 1; }

# The unit tests take a second, so they go first. The tests in tests/hebra try only what those did not notice; a change
# that made a unit test hang was noticed. Exit codes 2 and 3 are missed changes and timeouts, and are judged at the end.
mutants: mutants-tools ## Change the protocol core, limits and admission, and show which changes no test notices
	@rm -rf target/mutants.out
	@$(MUTANTS) --timeout 20 || case $$? in 2 | 3) ;; *) exit 1 ;; esac
	@cd target/mutants.out && cat timeout.txt >>caught.txt && cp unviable.txt ../mutants-unviable.txt
	@$(MUTANTS) --timeout 200 --iterate --cargo-arg=--test=hebra || case $$? in 2 | 3) ;; *) exit 1 ;; esac
	@cat target/mutants.out/missed.txt; missed=$$(wc -l <target/mutants.out/missed.txt); \
		viable=$$(($$($(MUTANTS) --list | wc -l) - $$(wc -l <target/mutants-unviable.txt))); \
		echo "missed $$missed of $$viable changes that compile"; \
		[ $$((100 * missed)) -le $$(((100 - $(MUTANTS_CAUGHT)) * viable)) ]

DENY := $(CARGO) deny --config .deny.toml

deny-tools:
	@$(CARGO) deny --version >/dev/null 2>&1 || \
		{ echo "deny needs cargo-deny: cargo install cargo-deny --locked"; exit 1; }

# The advisories are in a database of their own, which is fetched each time.
deny: deny-tools ## Check the licences, duplicates, sources and known faults of all dependencies
	$(DENY) check --hide-inclusion-graph licenses bans sources
	@if timeout 60 $(DENY) fetch db 2>/dev/null; then \
		$(DENY) --offline check --hide-inclusion-graph advisories; \
	else \
		echo "advisories are not checked: their database cannot be fetched"; \
	fi

stress: fuzz-tools descriptors ## Run the long tests, then all tests RUNS times (TESTS=name picks some), then the fuzzer
	$(TEST) --no-run
	$(CARGO) test --locked --release --test faults soak -- --ignored --nocapture --test-threads 1
	@for run in $$(seq $(RUNS)); do \
		echo "run $$run of $(RUNS)"; \
		$(TEST) --quiet --tests $(TESTS) || exit 1; \
	done
	@$(MAKE) --no-print-directory fuzz SECONDS=20

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
