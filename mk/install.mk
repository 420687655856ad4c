# make install, uninstall, dist: the libraries as they ship, the headers, the pkg-config and CMake files, the tool.

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

CARGO ?= cargo
OBJCOPY ?= objcopy
STRIP ?= strip
CARGO_TARGET_DIR ?= target

TROPHY_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
TROPHY_MAJOR := $(firstword $(subst ., ,$(TROPHY_VERSION)))
TROPHY_TARGET := $(or $(CARGO_BUILD_TARGET),$(shell rustc -vV | sed -n 's/^host: //p'))

# What ships has target folders of its own: an rlib among the crate types turns LTO off in silence, and the
# tool's build, whose dependency the library is, would write its libtrophy.so over the one that ships.
SHIP := $(CARGO_TARGET_DIR)/ship
SHIP_LIBS := $(SHIP)/libs
SHIP_TOOL := $(SHIP)/tool
RELEASE := $(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)release
# No path of the machine that builds stays in what ships, so that two machines make the same.
SHIP_FLAGS = $(RUSTFLAGS) --remap-path-prefix=$(CURDIR)=trophy \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo

ifneq ($(findstring -apple-,$(TROPHY_TARGET)),)
SHARED_BUILT := libtrophy.dylib
SHARED := libtrophy.$(TROPHY_VERSION).dylib
SHARED_SONAME := libtrophy.$(TROPHY_MAJOR).dylib
SHARED_LINK := libtrophy.dylib
else
SHARED_BUILT := libtrophy.so
SHARED := libtrophy.so.$(TROPHY_VERSION)
SHARED_SONAME := libtrophy.so.$(TROPHY_MAJOR)
SHARED_LINK := libtrophy.so
endif

# "lib" -> "..", "lib/x86_64-linux-gnu" -> "../..": from the libraries' folder up to the prefix, so that the
# installed tree can be moved. Absolute where the libraries are not below the prefix.
no_space :=
LIB_BELOW := $(patsubst $(PREFIX)/%,%,$(LIBDIR))
LIB_UP := $(subst $(no_space) $(no_space),/,$(foreach part,$(subst /, ,$(LIB_BELOW)),..))
ifeq ($(LIB_BELOW),$(LIBDIR))
PC_PREFIX := $(PREFIX)
CMAKE_PREFIX := $(PREFIX)
LIB_PATH := $(LIBDIR)
else
PC_PREFIX := $${pcfiledir}/../$(LIB_UP)
CMAKE_PREFIX := $${CMAKE_CURRENT_LIST_DIR}/../../$(LIB_UP)
LIB_PATH := $${prefix}/$(LIB_BELOW)
endif
INCLUDE_BELOW := $(patsubst $(PREFIX)/%,%,$(INCLUDEDIR))
INCLUDE_PATH := $(if $(filter $(INCLUDEDIR),$(INCLUDE_BELOW)),$(INCLUDEDIR),$${prefix}/$(INCLUDE_BELOW))

# What a program that links libtrophy.a needs besides, as rustc names it; the tests read it too.
NATIVE_LIBS = $$(cat $(SHIP)/native-libs)
FILL_IN = sed -e 's|@VERSION@|$(TROPHY_VERSION)|g' -e 's|@MAJOR@|$(TROPHY_MAJOR)|g' \
	-e "s|@NATIVE_LIBS@|$(NATIVE_LIBS)|g" \
	-e "s|@NATIVE_LIBS_LIST@|$$(tr ' ' ';' < $(SHIP)/native-libs)|g" \
	-e 's|@SHARED@|$(SHARED)|g' -e 's|@SONAME@|$(SHARED_SONAME)|g'

.PHONY: ship ship-shared ship-static ship-tool install uninstall dist

# Builds what ships, in target/ship: the libraries, stripped, and the tool.
ship: ship-shared ship-static ship-tool

ship-shared:
	RUSTFLAGS="$(SHIP_FLAGS)" $(CARGO) rustc --release --lib --crate-type cdylib --target-dir $(SHIP_LIBS)
	install -m 755 $(SHIP_LIBS)/$(RELEASE)/$(SHARED_BUILT) $(SHIP)/$(SHARED)
ifneq ($(SHARED_BUILT),libtrophy.dylib)
	$(STRIP) --strip-unneeded $(SHIP)/$(SHARED)
else
	$(STRIP) -x $(SHIP)/$(SHARED)
endif

# One object of all there is, and in it nothing global but trophy_*: a host that has a ring, a zlib or a Rust
# library of its own does not meet ours. Apple's linker does the same with -exported_symbol.
ship-static:
	@mkdir -p $(SHIP)
	RUSTFLAGS="$(SHIP_FLAGS)" $(CARGO) rustc --release --lib --crate-type staticlib --target-dir $(SHIP_LIBS) \
		-- --print native-static-libs 2> $(SHIP)/rustc.log || { cat $(SHIP)/rustc.log >&2; exit 1; }
	@sed -n 's/.*native-static-libs: *//p' $(SHIP)/rustc.log | tail -n 1 > $(SHIP)/native-libs
	@test -s $(SHIP)/native-libs || { cat $(SHIP)/rustc.log >&2; echo 'rustc named no native libraries' >&2; exit 1; }
	rm -f $(SHIP)/trophy.o $(SHIP)/libtrophy.a
ifneq ($(SHARED_BUILT),libtrophy.dylib)
	nm -g --defined-only $(SHIP_LIBS)/$(RELEASE)/libtrophy.a 2>/dev/null | sed -n 's/.* T \(trophy_.*\)/-u \1/p' \
		> $(SHIP)/roots
	$(LD) -r --gc-sections --force-group-allocation @$(SHIP)/roots -o $(SHIP)/trophy.o \
		$(SHIP_LIBS)/$(RELEASE)/libtrophy.a
	$(OBJCOPY) --wildcard --keep-global-symbol='trophy_*' --strip-unneeded \
		--remove-section=.llvmbc --remove-section=.llvmcmd $(SHIP)/trophy.o
	$(AR) rcsD $(SHIP)/libtrophy.a $(SHIP)/trophy.o
else
	$(LD) -r -all_load -exported_symbol '_trophy_*' -o $(SHIP)/trophy.o $(SHIP_LIBS)/$(RELEASE)/libtrophy.a
	$(AR) rcs $(SHIP)/libtrophy.a $(SHIP)/trophy.o
endif

ship-tool:
	RUSTFLAGS="$(SHIP_FLAGS)" $(CARGO) build --release -p trophy-cli --target-dir $(SHIP_TOOL)
	@mkdir -p $(SHIP)
	install -m 755 $(SHIP_TOOL)/$(RELEASE)/trophy $(SHIP)/trophy
	$(STRIP) $(SHIP)/trophy

install: ship
	install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(INCLUDEDIR)" "$(DESTDIR)$(LIBDIR)/pkgconfig" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy"
	install -m 755 $(SHIP)/$(SHARED) "$(DESTDIR)$(LIBDIR)/$(SHARED)"
	ln -sf $(SHARED) "$(DESTDIR)$(LIBDIR)/$(SHARED_SONAME)"
	ln -sf $(SHARED_SONAME) "$(DESTDIR)$(LIBDIR)/$(SHARED_LINK)"
	install -m 644 $(SHIP)/libtrophy.a "$(DESTDIR)$(LIBDIR)/libtrophy.a"
	install -m 644 include/trophy.h include/trophy.hpp "$(DESTDIR)$(INCLUDEDIR)/"
	install -m 755 $(SHIP)/trophy "$(DESTDIR)$(BINDIR)/trophy"
	@for name in trophy trophy-static; do \
		$(FILL_IN) -e 's|@PREFIX@|$(PC_PREFIX)|g' -e 's|@LIBDIR@|$(LIB_PATH)|g' -e 's|@INCLUDEDIR@|$(INCLUDE_PATH)|g' \
			packaging/$$name.pc.in > $(SHIP)/$$name.pc && \
		install -m 644 $(SHIP)/$$name.pc "$(DESTDIR)$(LIBDIR)/pkgconfig/$$name.pc" || exit 1; \
	done
	@for name in trophy-config trophy-config-version trophy-targets; do \
		$(FILL_IN) -e 's|@PREFIX@|$(CMAKE_PREFIX)|g' -e 's|@LIBDIR@|$(LIB_PATH)|g' -e 's|@INCLUDEDIR@|$(INCLUDE_PATH)|g' \
			packaging/$$name.cmake.in > $(SHIP)/$$name.cmake && \
		install -m 644 $(SHIP)/$$name.cmake "$(DESTDIR)$(LIBDIR)/cmake/trophy/$$name.cmake" || exit 1; \
	done
	@echo "installed libtrophy $(TROPHY_VERSION) in $(DESTDIR)$(PREFIX)"

uninstall:
	rm -f "$(DESTDIR)$(LIBDIR)/$(SHARED)" "$(DESTDIR)$(LIBDIR)/$(SHARED_SONAME)" \
		"$(DESTDIR)$(LIBDIR)/$(SHARED_LINK)" "$(DESTDIR)$(LIBDIR)/libtrophy.a" \
		"$(DESTDIR)$(INCLUDEDIR)/trophy.h" "$(DESTDIR)$(INCLUDEDIR)/trophy.hpp" \
		"$(DESTDIR)$(LIBDIR)/pkgconfig/trophy.pc" "$(DESTDIR)$(LIBDIR)/pkgconfig/trophy-static.pc" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy/trophy-config.cmake" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy/trophy-config-version.cmake" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy/trophy-targets.cmake" "$(DESTDIR)$(BINDIR)/trophy"
	-rmdir "$(DESTDIR)$(LIBDIR)/cmake/trophy" 2>/dev/null || true

# An archive of the installed tree that unpacks anywhere. Names in order, one time, no owner: the same input
# gives the same bytes.
DIST := trophy-$(TROPHY_VERSION)-$(TROPHY_TARGET)
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
TAR ?= tar
dist:
	rm -rf $(CARGO_TARGET_DIR)/dist/stage
	$(MAKE) --no-print-directory install PREFIX=/$(DIST) DESTDIR="$(abspath $(CARGO_TARGET_DIR)/dist/stage)" \
		BINDIR=/$(DIST)/bin LIBDIR=/$(DIST)/lib INCLUDEDIR=/$(DIST)/include
	for file in README.md LICENSE; do \
		if [ -f $$file ]; then install -m 644 $$file $(CARGO_TARGET_DIR)/dist/stage/$(DIST)/$$file; fi; \
	done
	$(TAR) --sort=name --format=gnu --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner --mode=go-w \
		-C $(CARGO_TARGET_DIR)/dist/stage -cf $(CARGO_TARGET_DIR)/dist/$(DIST).tar $(DIST)
	gzip -9nf $(CARGO_TARGET_DIR)/dist/$(DIST).tar
	@echo $(CARGO_TARGET_DIR)/dist/$(DIST).tar.gz
