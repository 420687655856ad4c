# make test-swift: the Swift wrapper, with a Swift 6 from PATH, or in a Debian 13 made for it.

.PHONY: test-swift

# With TROPHY_LIB_DIR and TROPHY_SANDBOX set, what they name is tested. Skipped (77) is no failure.
test-swift:
	[ -n "$$TROPHY_LIB_DIR" ] || cargo build -p trophy -p trophy-sandbox
	sh bindings/swift/test.sh || [ $$? = 77 ]
