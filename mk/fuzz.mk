# make fuzz: each target in fuzz/targets for a minute, or for as many seconds as make fuzz SECONDS=600 says; TARGETS="url
# store" for some. make test-tsan: the whole C API from many threads under ThreadSanitizer. make test-models: the parts
# that threads share, in many orders.

.PHONY: fuzz test-tsan test-models

fuzz:
	python3 -B scripts/fuzz.py $(if $(filter file undefined,$(origin SECONDS)),60,$(SECONDS)) $(TARGETS)

# Skipped (77) is no failure.
test-tsan:
	bash tests/tsan.sh 60 || [ $$? = 77 ]

test-models:
	bash tests/models.sh
