# make schemathesis: requests that schemathesis generates, against the sandbox, for ten minutes, or for as many
# seconds as make schemathesis SECONDS=60 says. make test-sdks: the official SDKs against it.

SECONDS ?= 600

.PHONY: schemathesis test-sdks

schemathesis:
	$(if $(TROPHY_SANDBOX),,cargo build -p trophy-sandbox)
	bash tests/schemathesis.sh $(SECONDS) || [ $$? = 77 ]

test-sdks:
	$(if $(TROPHY_SANDBOX),,cargo build -p trophy-sandbox)
	bash tests/sdks.sh
