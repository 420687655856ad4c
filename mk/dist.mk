# make dist: what a release has, in dist/: DIST_TARGETS="native deb" makes some of it. scripts/dist.sh says more.
# make deb: the Debian packages alone. make test-dist: all that the archives and packages promise, for every platform.

DIST ?= dist

.PHONY: dist deb test-dist

dist:
	DIST="$(DIST)" DIST_TARGETS="$(DIST_TARGETS)" bash scripts/dist.sh

deb: ship
	bash scripts/deb.sh "$(DIST)"

test-dist:
	TROPHY_DIST_ALL=1 bash scripts/test.sh dist
