# make bench: libtrophy as it ships against raw sockets, libcurl, reqwest, hyper, SQLite and the official SDKs; about a
# quarter of an hour after what it builds. It prints tables and writes BENCHMARKS.md and docs/images/bench-*.svg.
# make bench-quick: everything once, in half a minute, nothing judged.
# BENCH_ONLY="latency throughput" runs some of host_thread, latency, counted, throughput, enqueue, backlog, cold_start,
# weight, profile. BENCH_BACKLOG says how many events are in the backlog, a million else.

CARGO_TARGET_DIR ?= target

.PHONY: bench bench-tools bench-quick

bench: ship-shared ship-static bench-tools
	$(MAKE) --no-print-directory ship-shared ship-static SMALL=1
	python3 -B benches/run.py $(CARGO_TARGET_DIR)

# What is measured beside it and drawn with: what cannot be had is said, and done without.
bench-tools:
	bash benches/sdks.sh $(CARGO_TARGET_DIR)/bench/sdks
	bash benches/rust_peers.sh $(abspath $(CARGO_TARGET_DIR))/bench/rust_peers
	bash benches/matplotlib.sh $(CARGO_TARGET_DIR)/bench/matplotlib

# With those tools that are installed already.
bench-quick: ship-shared ship-static
	BENCH_QUICK=1 python3 -B benches/run.py $(CARGO_TARGET_DIR)
