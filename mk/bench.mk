# make bench: libtrophy as it ships against raw sockets, libcurl, SQLite and the official SDKs; about 10 minutes.
# It prints a table and writes BENCHMARKS.md. make bench-quick: everything once, under a minute, nothing judged.
# BENCH_ONLY="latency throughput" runs some of latency, counted, throughput, queue, weight, profile.

CARGO_TARGET_DIR ?= target

.PHONY: bench bench-quick

bench: ship-shared ship-static
	bash benches/sdks.sh $(CARGO_TARGET_DIR)/bench/sdks
	python3 -B benches/run.py $(CARGO_TARGET_DIR)

# The SDKs only if they are installed already.
bench-quick: ship-shared ship-static
	BENCH_QUICK=1 python3 -B benches/run.py $(CARGO_TARGET_DIR)
