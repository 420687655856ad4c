# make packages: the packages of the languages, with the shared library inside, in dist/ or in PACKAGES=folder;
# make package-python and so on: one of them. They have the library of this machine's platform; NATIVE_DIR names a
# folder of others, NATIVE_DIR/<Rust's name of a platform>/, each with its libtrophy.so.1.0.0 or trophy.dll there, or
# in lib/ or bin/ of it.

PACKAGES ?= dist
NATIVE_DIR ?=
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
LANGUAGES_PACKED := csharp go java node python ruby swift

# "platform=library" of each. One of NATIVE_DIR that is this machine's wins over the one in target/ship.
natives_of = $(foreach folder,$(patsubst %/,%,$(wildcard $1/*-*/)),$(addprefix $(notdir $(folder))=,$(firstword \
	$(wildcard $(foreach at,. lib bin,$(folder)/$(at)/libtrophy.so.$(TROPHY_VERSION) $(folder)/$(at)/trophy.dll)))))
NATIVES = $(if $(NATIVE_DIR),$(call natives_of,$(NATIVE_DIR)))
HERE = $(if $(filter $(TROPHY_TARGET)=%,$(NATIVES)),,$(TROPHY_TARGET)=$(SHIP)/$(SHARED))
MAKE_PACKAGES = SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) python3 packaging/packages.py --out "$(PACKAGES)" \
	--work "$(CARGO_TARGET_DIR)/packages" $(addprefix --native ,$(HERE) $(NATIVES))

.PHONY: packages $(addprefix package-,$(LANGUAGES_PACKED))

# A language whose tool is missing (77) is said, and no failure.
packages: $(if $(HERE),ship-shared)
	@$(MAKE_PACKAGES) $(LANGUAGES_PACKED) || [ $$? = 77 ]
$(addprefix package-,$(LANGUAGES_PACKED)): package-%: $(if $(HERE),ship-shared)
	@$(MAKE_PACKAGES) $*
