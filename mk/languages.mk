# make test-languages: the wrappers of all languages that are installed, or of some: make test-languages LANGUAGES="go java"

.PHONY: test-languages

# With TROPHY_LIB_DIR set, the library there is tested; else it is built.
test-languages:
	$(if $(TROPHY_LIB_DIR),,cargo build --workspace)
	bash scripts/test-languages.sh $(LANGUAGES)
