# make schemathesis: requests that schemathesis generates, against the sandbox, for ten minutes, or for as many
# seconds as make schemathesis SECONDS=60 says. make test-sdks: the official SDKs against it.
# make screenshots: the pictures of the sandbox's page in docs/images/, made anew.

SECONDS ?= 600

.PHONY: schemathesis test-sdks screenshots

schemathesis:
	$(if $(TROPHY_SANDBOX),,cargo build -p trophy-sandbox)
	bash tests/schemathesis.sh $(SECONDS) || [ $$? = 77 ]

test-sdks:
	$(if $(TROPHY_SANDBOX),,cargo build -p trophy-sandbox)
	bash tests/sdks.sh

# The page's tests take them.
screenshots:
	$(if $(TROPHY_SANDBOX),,cargo build --workspace)
	bash tests/page.sh what the docs show
	install -m 644 $${CARGO_TARGET_DIR:-target}/page/screenshots/*.png docs/images/
