# Thin: it calls cargo, cc and the scripts.
.PHONY: build demo test lint header clean

# A debug build of the library, the sandbox and the header.
build:
	cargo build --workspace

# Starts a local service and runs the C examples; with DEMO=live, or a key of your own in TROPHY_API_KEY, one of
# them against the real one.
demo:
	cargo build -p trophy -p trophy-sandbox
	bash examples/c/demo.sh

# All tests, ending in a total. What a tool is missing for is counted as skipped.
test:
	bash scripts/test.sh

# The same, of one group: make test-group GROUP=c
test-group:
	bash scripts/test.sh $(GROUP)

lint:
	bash scripts/test.sh lint

# include/trophy.h is written by build.rs.
header:
	touch build.rs && cargo build

clean:
	cargo clean

-include mk/*.mk
