# make soak: the long run. A million events take about an hour on an idle machine; a seed is run again with SEED=,
# and SOAK_SECONDS= ends it sooner. make memory: a million events in one process, whose memory must not grow.
# make reliability: takes the figures of what ran into RELIABILITY.md.

EVENTS ?= 1000000
SEED ?= 1
SOAK_SECONDS ?= 7200

.PHONY: soak memory reliability

soak:
	bash tests/soak.sh $(EVENTS) $(SEED) $(SOAK_SECONDS) soak

memory:
	bash tests/memory.sh $(EVENTS)

reliability:
	python3 -B scripts/reliability.py collect
