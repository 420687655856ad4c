# make docs: the guide, the pages of the languages and the reference of both headers, as HTML in target/docs.

DOCS := target/docs
DOXYGEN ?= doxygen
EXAMPLES := $(sort $(wildcard examples/*/README.md bindings/*/README.md))
RUN_DOXYGEN = ROOT="$(CURDIR)" DOCS="$(DOCS)" EXAMPLES="$(EXAMPLES)" TROPHY_VERSION="$(TROPHY_VERSION)" $(DOXYGEN)

.PHONY: docs

# A warning is a failure. First the C header by itself, where no parameter and no result goes undocumented; C++
# has readers such as ok(), of which one sentence says all. Last, the sources that pages link to. The layout has
# another word for groups since Doxygen 1.9.8.
docs:
	rm -rf $(DOCS)
	@mkdir -p $(DOCS)
	@case "$$($(DOXYGEN) --version)" in 1.[0-8].* | 1.9.[0-7] | 1.9.[0-7]\ *) groups=modules ;; *) groups=topics ;; esac; \
	sed "s/@GROUPS@/$$groups/" docs/layout.xml > $(DOCS)/layout.xml
	@{ cat docs/Doxyfile; echo 'INPUT = include/trophy.h'; echo 'WARN_NO_PARAMDOC = YES'; \
		echo 'HTML_OUTPUT = strict'; } | $(RUN_DOXYGEN) -
	@rm -r $(DOCS)/strict
	@$(RUN_DOXYGEN) docs/Doxyfile
	@grep -oh 'href="files/[^"]*\.txt"' $(DOCS)/html/*.html | sort -u | sed 's|^href="files/\(.*\)\.txt"$$|\1|' \
	| while read -r file; do install -D -m 644 "$$file" "$(DOCS)/html/files/$$file.txt" || exit 1; done
	@echo $(DOCS)/html/index.html
