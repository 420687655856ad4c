# make test-platforms: the tests on other machines, under Wine and qemu, and a table of what passed; minutes each. Some:
# make test-platforms PLATFORMS="windows arm64". docs/platforms.md names them.

.PHONY: test-platforms

test-platforms:
	bash scripts/platforms/test.sh $(PLATFORMS)
