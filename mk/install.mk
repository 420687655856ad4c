# make install, uninstall: the libraries as they ship, the headers, the pkg-config and CMake files, the tool with its
# man pages and completions. With SMALL=1, for devices: libraries without what docs/embedding.md names, and no tool.

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
PWSHCOMPDIR ?= $(PREFIX)/share/trophy

CARGO ?= cargo
OBJCOPY ?= objcopy
STRIP ?= strip
NM ?= nm
CARGO_TARGET_DIR ?= target

TROPHY_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
TROPHY_MAJOR := $(firstword $(subst ., ,$(TROPHY_VERSION)))
TROPHY_TARGET := $(or $(CARGO_BUILD_TARGET),$(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p'))

# What ships has target folders of its own: an rlib among the crate types turns LTO off in silence, and the
# tool's build, whose dependency the library is, would write its libtrophy.so over the one that ships.
SHIP := $(CARGO_TARGET_DIR)/ship$(if $(SMALL),-small)
SHIP_LIBS := $(SHIP)/libs
SHIP_TOOL := $(SHIP)/tool
PROFILE := $(if $(SMALL),small,release)
RELEASE := $(if $(CARGO_BUILD_TARGET),$(CARGO_BUILD_TARGET)/)$(PROFILE)
# No path of the machine that builds stays in what ships, so that two machines make the same. Frame pointers make it 2 %
# smaller: what unwinding needs to know of a function is less than what the function grows by.
SHIP_FLAGS = $(RUSTFLAGS) -C force-frame-pointers=yes --remap-path-prefix=$(CURDIR)=trophy \
	--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo
# Functions that are the same are one (1 % of the size), where rustc links with LLD, as it does on this platform since
# 1.90: GNU ld does not know how.
RUSTC_MINOR := $(shell rustc -V 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
FOLD := $(if $(filter x86_64-unknown-linux-gnu,$(TROPHY_TARGET)),$(shell \
	[ "$(or $(RUSTC_MINOR),0)" -ge 90 ] && echo -C link-arg=-Wl,--icf=all))
# What it is made of: nothing is built again, and no cargo is needed (sudo make install), until one is newer.
LIBRARY_SOURCES := Cargo.toml Cargo.lock build.rs cbindgen.toml $(shell find src -type f)
TOOL_SOURCES := $(LIBRARY_SOURCES) $(shell find examples/cli -type f)

ifneq ($(findstring -apple-,$(TROPHY_TARGET)),)
APPLE := yes
SHARED_BUILT := libtrophy.dylib
SHARED := libtrophy.$(TROPHY_VERSION).dylib
SHARED_SONAME := libtrophy.$(TROPHY_MAJOR).dylib
SHARED_LINK := libtrophy.dylib
else ifneq ($(findstring -windows-gnu,$(TROPHY_TARGET)),)
# Programs look for a DLL beside them and in PATH, so it is in BINDIR; what they link is its import library.
WINDOWS := yes
SHARED_BUILT := trophy.dll
SHARED := trophy.dll
SHARED_LINK := libtrophy.dll.a
EXE := .exe
else
SHARED_BUILT := libtrophy.so
SHARED := libtrophy.so.$(TROPHY_VERSION)
SHARED_SONAME := libtrophy.so.$(TROPHY_MAJOR)
SHARED_LINK := libtrophy.so
endif

.PHONY: ship ship-shared ship-static ship-tool ship-pages install install-library install-tool uninstall

# Builds what ships, in target/ship: the libraries, stripped, and the tool with its pages. SMALL=1: in target/ship-small.
ship: ship-shared ship-static $(if $(SMALL),,ship-tool ship-pages)
ship-shared: $(SHIP)/$(SHARED)
ship-static: $(SHIP)/libtrophy.a
ship-tool: $(SHIP)/trophy$(EXE)
ship-pages: $(SHIP)/pages/done

# Both libraries in one run of rustc, since LTO takes most of the time. rustc names what a program that links
# libtrophy.a needs besides.
$(SHIP)/libs.built: $(LIBRARY_SOURCES)
	@mkdir -p $(SHIP)
	@echo 'building the shared and the static library, optimised as a whole (one to two minutes on two cores) …'
	RUSTFLAGS="$(SHIP_FLAGS)" $(CARGO) rustc --profile $(PROFILE) $(if $(SMALL),--no-default-features) --lib \
		--crate-type cdylib,staticlib --target-dir $(SHIP_LIBS) \
		-- --print native-static-libs=$(abspath $(SHIP))/native-libs $(FOLD)
	@test -s $(SHIP)/native-libs || { echo 'rustc named no native libraries' >&2; exit 1; }
	@touch $@

$(SHIP)/$(SHARED): $(SHIP)/libs.built
	install -m 755 $(SHIP_LIBS)/$(RELEASE)/$(SHARED_BUILT) $@
	$(STRIP) $(if $(APPLE),-x,--strip-unneeded) $@
ifdef WINDOWS
	install -m 644 $(SHIP_LIBS)/$(RELEASE)/$(SHARED_LINK) $(SHIP)/$(SHARED_LINK)
endif

# One object of all there is, and in it nothing global but trophy_*: packaging/one-object.sh says why. Apple's linker
# does the same with -exported_symbol.
$(SHIP)/libtrophy.a: $(SHIP)/libs.built packaging/one-object.sh
ifdef APPLE
	@rm -f $@
	$(LD) -r -all_load -exported_symbol '_trophy_*' -o $(SHIP)/trophy.o $(SHIP_LIBS)/$(RELEASE)/libtrophy.a
	$(AR) rcs $@ $(SHIP)/trophy.o
else ifdef WINDOWS
	$(STRIP) --strip-debug --enable-deterministic-archives -o $@ $(SHIP_LIBS)/$(RELEASE)/libtrophy.a
else
	NM="$(NM)" LD="$(LD)" OBJCOPY="$(OBJCOPY)" AR="$(AR)" \
		sh packaging/one-object.sh $(SHIP_LIBS)/$(RELEASE)/libtrophy.a $@
endif

# The tool does without the optimisation as a whole, which would take as long again and gain nothing that a person
# at a terminal notices.
$(SHIP)/trophy$(EXE): $(TOOL_SOURCES)
	@mkdir -p $(SHIP)
	@echo 'building the command-line tool (about a minute on two cores) …'
	RUSTFLAGS="$(SHIP_FLAGS)" $(CARGO) build --release -p trophy-cli --target-dir $(SHIP_TOOL) \
		--config profile.release.lto=false --config profile.release.codegen-units=16
	install -m 755 $(SHIP_TOOL)/$(RELEASE)/trophy$(EXE) $@
	$(STRIP) $@

# Man pages and completions, by the tool itself; one that is built for another machine is asked through one that is
# built for this.
TOOL_HERE := $(if $(CARGO_BUILD_TARGET),env -u CARGO_BUILD_TARGET $(CARGO) run -q -p trophy-cli \
	--target-dir $(SHIP)/here --,$(SHIP)/trophy)
$(SHIP)/pages/done: $(SHIP)/trophy$(EXE)
	@rm -rf $(SHIP)/pages
	@mkdir -p $(SHIP)/pages
	$(TOOL_HERE) man $(SHIP)/pages/man
	for shell in bash zsh fish powershell; do \
		$(TOOL_HERE) completions $$shell > $(SHIP)/pages/$$shell || exit 1; \
	done
	@touch $@

# "lib" -> "..", "lib/x86_64-linux-gnu" -> "../..": from the libraries' folder up to the prefix, so that the
# installed tree can be moved. Absolute where the libraries are not below the prefix.
# make splits at spaces, which a path may have: there, they are ?.
no_space :=
space := $(no_space) $(no_space)
as_word = $(subst $(space),?,$1)
as_path = $(subst ?,$(space),$1)
below_prefix = $(call as_path,$(patsubst $(call as_word,$(PREFIX))/%,%,$(call as_word,$1)))
LIB_BELOW := $(call below_prefix,$(LIBDIR))
LIB_UP := $(subst $(space),/,$(foreach part,$(subst /, ,$(call as_word,$(LIB_BELOW))),..))
ifeq ($(LIB_BELOW),$(LIBDIR))
# For sed, and then for pkg-config: a space is escaped, as pkg-config itself does in pcfiledir.
PC_PREFIX := $(subst $(space),\\$(space),$(PREFIX))
PC_LIB_PATH := $(subst $(space),\\$(space),$(LIBDIR))
CMAKE_PREFIX := $(PREFIX)
LIB_PATH := $(LIBDIR)
else
PC_LIB_PATH := @ROOT@/$(LIB_BELOW)
PC_PREFIX := $${pcfiledir}/../$(LIB_UP)
CMAKE_PREFIX := $${_trophy_here}/../../$(LIB_UP)
LIB_PATH := @ROOT@/$(LIB_BELOW)
endif
BIN_BELOW := $(call below_prefix,$(BINDIR))
BIN_PATH := $(if $(filter /%,$(call as_word,$(BIN_BELOW))),$(BINDIR),@ROOT@/$(BIN_BELOW))
INCLUDE_BELOW := $(call below_prefix,$(INCLUDEDIR))
ifeq ($(INCLUDE_BELOW),$(INCLUDEDIR))
INCLUDE_PATH := $(INCLUDEDIR)
PC_INCLUDE_PATH := $(subst $(space),\\$(space),$(INCLUDEDIR))
else
PC_INCLUDE_PATH := @ROOT@/$(INCLUDE_BELOW)
INCLUDE_PATH := @ROOT@/$(INCLUDE_BELOW)
endif

# In CMake's list "-framework Security" stays one item.
FILL_IN = sed -e 's|@VERSION@|$(TROPHY_VERSION)|g' -e 's|@MAJOR@|$(TROPHY_MAJOR)|g' \
	-e "s|@NATIVE_LIBS@|$$(cat $(SHIP)/native-libs)|g" \
	-e "s|@NATIVE_LIBS_LIST@|$$(sed 's/ -/;-/g' $(SHIP)/native-libs)|g" \
	-e 's|@SHARED@|$(SHARED)|g' -e 's|@SONAME@|$(SHARED_SONAME)|g' -e 's|@IMPLIB@|$(if $(WINDOWS),$(SHARED_LINK))|g' \
	-e 's|@STATIC@|libtrophy.a|g'

install: install-library $(if $(SMALL),,install-tool)
	@echo "installed libtrophy $(TROPHY_VERSION)$(if $(SMALL),$(space)(small)) in $(DESTDIR)$(PREFIX)"

install-library: ship
	install -d "$(DESTDIR)$(INCLUDEDIR)" "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(LIBDIR)/cmake/trophy"
ifdef WINDOWS
	install -d "$(DESTDIR)$(BINDIR)"
	install -m 755 $(SHIP)/$(SHARED) "$(DESTDIR)$(BINDIR)/$(SHARED)"
	install -m 644 $(SHIP)/$(SHARED_LINK) "$(DESTDIR)$(LIBDIR)/$(SHARED_LINK)"
else
	install -m 755 $(SHIP)/$(SHARED) "$(DESTDIR)$(LIBDIR)/$(SHARED)"
	ln -sf $(SHARED) "$(DESTDIR)$(LIBDIR)/$(SHARED_SONAME)"
	ln -sf $(SHARED_SONAME) "$(DESTDIR)$(LIBDIR)/$(SHARED_LINK)"
endif
	install -m 644 $(SHIP)/libtrophy.a "$(DESTDIR)$(LIBDIR)/libtrophy.a"
	install -m 644 include/trophy.h include/trophy.hpp "$(DESTDIR)$(INCLUDEDIR)/"
	@for name in trophy.pc trophy-static.pc; do \
		$(FILL_IN) -e 's|@PREFIX@|$(PC_PREFIX)|g' -e 's|@LIBDIR@|$(PC_LIB_PATH)|g' \
			-e 's|@INCLUDEDIR@|$(PC_INCLUDE_PATH)|g' -e 's|@ROOT@|$${prefix}|g' packaging/$$name.in \
			> $(SHIP)/$$name && \
		install -m 644 $(SHIP)/$$name "$(DESTDIR)$(LIBDIR)/pkgconfig/$$name" || exit 1; \
	done
	@for name in trophy-config.cmake trophy-config-version.cmake trophy-targets.cmake; do \
		$(FILL_IN) -e 's|@PREFIX@|$(CMAKE_PREFIX)|g' -e 's|@LIBDIR@|$(LIB_PATH)|g' \
			-e 's|@SHAREDDIR@|$(if $(WINDOWS),$(BIN_PATH),$(LIB_PATH))|g' -e 's|@INCLUDEDIR@|$(INCLUDE_PATH)|g' -e 's|@ROOT@|$${_trophy_prefix}|g' packaging/$$name.in \
			> $(SHIP)/$$name && \
		install -m 644 $(SHIP)/$$name "$(DESTDIR)$(LIBDIR)/cmake/trophy/$$name" || exit 1; \
	done

install-tool: ship
	install -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(BASHCOMPDIR)" "$(DESTDIR)$(ZSHCOMPDIR)" \
		"$(DESTDIR)$(FISHCOMPDIR)" "$(DESTDIR)$(PWSHCOMPDIR)"
	install -m 755 $(SHIP)/trophy$(EXE) "$(DESTDIR)$(BINDIR)/trophy$(EXE)"
	install -m 644 $(SHIP)/pages/man/*.1 "$(DESTDIR)$(MANDIR)/man1/"
	install -m 644 $(SHIP)/pages/bash "$(DESTDIR)$(BASHCOMPDIR)/trophy"
	install -m 644 $(SHIP)/pages/zsh "$(DESTDIR)$(ZSHCOMPDIR)/_trophy"
	install -m 644 $(SHIP)/pages/fish "$(DESTDIR)$(FISHCOMPDIR)/trophy.fish"
	install -m 644 $(SHIP)/pages/powershell "$(DESTDIR)$(PWSHCOMPDIR)/trophy.ps1"

uninstall:
	rm -f "$(DESTDIR)$(if $(WINDOWS),$(BINDIR),$(LIBDIR))/$(SHARED)" $(if $(SHARED_SONAME),"$(DESTDIR)$(LIBDIR)/$(SHARED_SONAME)") \
		"$(DESTDIR)$(LIBDIR)/$(SHARED_LINK)" "$(DESTDIR)$(LIBDIR)/libtrophy.a" \
		"$(DESTDIR)$(INCLUDEDIR)/trophy.h" "$(DESTDIR)$(INCLUDEDIR)/trophy.hpp" \
		"$(DESTDIR)$(LIBDIR)/pkgconfig/trophy.pc" "$(DESTDIR)$(LIBDIR)/pkgconfig/trophy-static.pc" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy/trophy-config.cmake" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy/trophy-config-version.cmake" \
		"$(DESTDIR)$(LIBDIR)/cmake/trophy/trophy-targets.cmake" "$(DESTDIR)$(BINDIR)/trophy$(EXE)" \
		"$(DESTDIR)$(MANDIR)/man1/trophy.1" "$(DESTDIR)$(MANDIR)/man1"/trophy-*.1 \
		"$(DESTDIR)$(BASHCOMPDIR)/trophy" "$(DESTDIR)$(ZSHCOMPDIR)/_trophy" \
		"$(DESTDIR)$(FISHCOMPDIR)/trophy.fish" "$(DESTDIR)$(PWSHCOMPDIR)/trophy.ps1"
	@rmdir "$(DESTDIR)$(LIBDIR)/cmake/trophy" "$(DESTDIR)$(PWSHCOMPDIR)" 2>/dev/null || true
