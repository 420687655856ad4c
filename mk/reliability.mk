# make soak: the long run. A million events take about an hour; a seed is run again with SEED=; SOAK_SECONDS= ends it sooner.
# make reliability: takes the figures of what ran into RELIABILITY.md.

EVENTS ?= 1000000
SEED ?= 1
SOAK_SECONDS ?= 7200

.PHONY: soak reliability

soak:
	bash tests/soak.sh $(EVENTS) $(SEED) $(SOAK_SECONDS) soak

reliability:
	python3 -B scripts/reliability.py collect
