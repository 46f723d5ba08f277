# SPDX-License-Identifier: Apache-2.0
# strata: `make` builds into $(BUILD); `make help` lists the targets. Out of tree, non-recursive, one library per room.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/libexec/strata
DATADIR ?= $(PREFIX)/share
VERSION := $(shell sed -n 's/^## \([0-9][^ ]*\).*/\1/p' CHANGELOG.md 2>/dev/null | head -n1)

ROOMS := base layer unionfs imagestore builder virtio microvm container network runtime oci engine cli
PROGRAMS := strata strata-image strata-monitor strata-server strata-vmm strata-init strata-unionfs strata-net strata-oci \
	strata-reap
# by users and other programs, so installed in BINDIR
CALLED := strata strata-unionfs strata-oci

CC ?= gcc
AR ?= ar
OPT ?= -O2
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wpointer-arith -Wwrite-strings \
	-Wno-missing-field-initializers
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DSTRATA_VERSION='"$(or $(VERSION),0)"' \
	-DLIBEXECDIR='"$(LIBEXECDIR)"'
CFLAGS += -std=gnu17 -g $(OPT) $(WARN) -ffunction-sections -fdata-sections -fno-strict-aliasing -pthread
LDFLAGS += -pthread -Wl,--gc-sections -Wl,-z,relro,-z,now
BANNED := -include base/banned.h
STATIC := -static

ifeq ($(WERROR),1)
CFLAGS += -Werror
endif
# Every flavour keeps to a folder of its own, so that switching costs no rebuild.
ifeq ($(SAN),1)
override BUILD := $(BUILD)/asan
CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=address,undefined
STATIC :=
else ifeq ($(SAN),thread)
override BUILD := $(BUILD)/tsan
CFLAGS += -fsanitize=thread
LDFLAGS += -fsanitize=thread
STATIC :=
else
CFLAGS += -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' $(1) $(2);)

.PHONY: all help
KERNEL_CONFIGS := $(notdir $(wildcard microvm/guest/kernel*.config))
all: $(PROGRAMS:%=$(BUILD)/%) $(BUILD)/kernel-build $(KERNEL_CONFIGS:%=$(BUILD)/%)

help:
	@echo 'make            the programs, in $(BUILD)/'
	@echo 'make demo       installs what is missing, builds all and shows an image as container and as microVM'
	@echo 'make check      installs what tests need and runs every test'
	@echo 'make check-ROOM the unit tests of one room; make check-bats: the whole-program tests'
	@echo 'make fuzz       runs each fuzz target for FUZZ_SECONDS (60)'
	@echo 'make lint       clang-tidy, cppcheck, shellcheck, gcc -fanalyzer, tools/rooms'
	@echo 'make kernel     the guest kernel, from the cache or built'
	@echo 'make bench      the benchmarks of bench/, see docs/BENCH.md'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR='
	@echo 'V=1 shows commands; SAN=1, SAN=thread sanitizers; WERROR=1'

# ---- rooms ----

room_src = $(filter-out $(MAINS) microvm/guest/%,$(wildcard $(1)/*.c $(1)/*/*.c))
MAINS := $(wildcard cli/strata.c cli/strata-*.c)
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

define room_rules
$(BUILD)/lib$(1).a: $(call objs,$(call room_src,$(1)))
lib$(1): $(BUILD)/lib$(1).a
.PHONY: lib$(1)
endef
$(foreach r,$(ROOMS),$(eval $(call room_rules,$(r))))

$(BUILD)/lib%.a:
	$(call say,AR,$@)rm -f $@ && $(AR) rcsD $@ $^

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(BANNED) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

ROOM_LIBS := $(ROOMS:%=$(BUILD)/lib%.a)
LINK_ROOMS = -Wl,--start-group $(ROOM_LIBS) -Wl,--end-group

# ---- programs: who links what is docs/ARCHITECTURE.md's process table ----

# Kept out of the run path: what loads here costs every command. jansson and libcrypto (SHA-256 alone) are static.
LIGHT_LIBS := -Wl,-Bstatic -ljansson -lcrypto -Wl,-Bdynamic
HEAVY_LIBS := -larchive -lzstd -lisal -lz -lcurl
# libcurl and libarchive bring libcrypto as a shared library; a second, static one beside it would be mixed up with it.
SHARED_LIBS := -Wl,-Bstatic -ljansson -Wl,-Bdynamic -lcrypto
SECCOMP_LIBS := -Wl,-Bstatic -lseccomp -Wl,-Bdynamic
STATIC_LIBS := -ljansson -lseccomp -lcrypto

$(BUILD)/strata: $(BUILD)/obj/cli/strata.o $(ROOM_LIBS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $< $(LINK_ROOMS) $(SECCOMP_LIBS) $(LIGHT_LIBS)

$(BUILD)/strata-image: $(BUILD)/obj/cli/strata-image.o $(ROOM_LIBS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $< $(LINK_ROOMS) $(HEAVY_LIBS) $(SECCOMP_LIBS) $(SHARED_LIBS)

$(BUILD)/strata-server: $(BUILD)/obj/cli/strata-server.o $(ROOM_LIBS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $< $(LINK_ROOMS) $(LIGHT_LIBS)

$(BUILD)/strata-monitor $(BUILD)/strata-vmm $(BUILD)/strata-unionfs $(BUILD)/strata-oci $(BUILD)/strata-reap: $(BUILD)/%: $(BUILD)/obj/cli/%.o $(ROOM_LIBS)
	$(call say,LD,$@)$(CC) $(STATIC) $(LDFLAGS) -o $@ $< $(LINK_ROOMS) $(STATIC_LIBS)

# What it loads costs milliseconds, and it runs for moments: nothing else is linked with libnftables.
NET_LIBS := -lnftables -lmnl
$(BUILD)/strata-net: $(BUILD)/obj/cli/strata-net.o $(ROOM_LIBS)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $< $(LINK_ROOMS) $(NET_LIBS)

# The guest's init is always static and never sanitized: it runs alone in its initramfs.
# With musl's libc, where that is, it is an eighth of what it is with glibc's: each boot copies it. The kernel's own headers
# stand beside the C library's. Objects of the two are never mixed: a folder for each.
MUSL := $(shell command -v musl-gcc)
INIT_CC := $(if $(MUSL),musl-gcc -idirafter /usr/include -idirafter /usr/include/$(shell $(CC) -print-multiarch),$(CC))
INIT_OBJ := $(BUILD)/init-$(if $(MUSL),musl,libc)
INIT_BASE := base/dir.c base/err.c base/fd.c base/file.c base/mem.c base/proc_stat.c base/str.c $(wildcard base/tree_*.c)
INIT_OBJS := $(patsubst %.c,$(INIT_OBJ)/%.o,$(wildcard microvm/guest/*.c) $(INIT_BASE))
$(INIT_OBJ)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)$(INIT_CC) $(BANNED) $(CPPFLAGS) -std=gnu17 -g -Os $(WARN) -ffunction-sections -fdata-sections -MMD -MP -c -o $@ $<

$(BUILD)/strata-init: $(INIT_OBJS)
	$(call say,LD,$@)$(INIT_CC) -static -s -Wl,--gc-sections -o $@ $^

# What builds kernels, for `strata kernel build`.
$(BUILD)/kernel-build: tools/kernel
	@mkdir -p $(@D)
	@install $< $@
$(KERNEL_CONFIGS:%=$(BUILD)/%): $(BUILD)/%: microvm/guest/%
	@mkdir -p $(@D)
	@install -m 644 $< $@

# ---- tests ----

TEST_SRC := $(filter-out tests/fuzz/%,$(wildcard tests/*/*.c))
TEST_BIN := $(TEST_SRC:%.c=$(BUILD)/%)
TEST_LIBS := -lcmocka $(NET_LIBS) $(HEAVY_LIBS) $(SECCOMP_LIBS) $(SHARED_LIBS)
# Each file of tests has folders, networks and names of its own. Most of them wait for a guest of one CPU, of some 500 MB.
JOBS ?= $(shell n=$$(nproc); echo $$((n < 4 ? n : 4)))
PROVE := prove --timer --failures --comments --jobs $(JOBS) -e tests/run
FAILED := $(BUILD)/failed
# What failed stands at the end once more: where it happened hundreds of lines may follow.
prove_all = @rm -rf $(FAILED); mkdir -p $(FAILED); TEST_FAILED=$(abspath $(FAILED)) STRATA_BUILD=$(abspath $(BUILD)) \
	$(PROVE) $(1) || { tests/failed $(FAILED); exit 1; }

$(TEST_BIN): $(BUILD)/%: $(BUILD)/obj/%.o $(filter-out $(BUILD)/libcli.a,$(ROOM_LIBS))
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LIBS)

# The union suite for a guest: libc alone, never sanitized.
ATTACHED := $(BUILD)/tests/unionfs/attached
$(ATTACHED): tests/unionfs/suite.c $(wildcard tests/unionfs/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(BANNED) $(CPPFLAGS) -std=gnu17 -g -O2 $(WARN) -DSUITE_ATTACHED -static -o $@ $<

FUZZ_SRC := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
FUZZ_BIN := $(FUZZ_SRC:%.c=$(BUILD)/%)
$(FUZZ_BIN): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/obj/tests/fuzz/replay.o $(filter-out $(BUILD)/libcli.a,$(ROOM_LIBS))
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(TEST_LIBS)

.PHONY: check check-all check-bats tests kernel testbed-kernel demo bench lint fuzz install clean
tests: $(TEST_BIN) $(FUZZ_BIN) $(ATTACHED)

define check_room
check-$(1): $(filter $(BUILD)/tests/$(1)/%,$(TEST_BIN))
	@$(PROVE) $$^
.PHONY: check-$(1)
endef
$(foreach r,$(filter-out cli,$(ROOMS)),$(eval $(call check_room,$(r))))

# Who says nothing of jobs has as many as there are CPUs.
ALL_CPUS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

# Packages first, in a make of its own: what is built depends on them.
check:
	@tools/deps build run test
	@$(MAKE) --no-print-directory $(ALL_CPUS) check-all

check-all: all kernel tests
	@tools/kernel testbed >/dev/null
	$(call prove_all,$(sort $(TEST_BIN)) $(sort $(FUZZ_BIN)) $(wildcard tests/*.bats))

check-bats: all
	$(call prove_all,$(wildcard tests/*.bats))

# ---- the rest ----

# The guest kernel comes from the cache of tools/kernel, whose key is what goes in; a copy stands beside the programs.
kernel: $(BUILD)/vmlinux
$(BUILD)/vmlinux: microvm/guest/kernel.config microvm/guest/kernel-guest.config tools/kernel
	@mkdir -p $(@D)
	@cp "$$(tools/kernel guest)" $@.new && mv $@.new $@
testbed-kernel:
	@tools/kernel testbed

demo:
	@tools/deps build run
	@$(MAKE) --no-print-directory $(ALL_CPUS) all kernel
	@STRATA_BUILD=$(abspath $(BUILD)) tools/demo

bench: all
	@STRATA_BUILD=$(abspath $(BUILD)) bench/run

lint:
	@tools/deps test build
	@tools/lint

fuzz:
	@tools/deps test build
	@BUILD=$(BUILD) FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) tools/fuzz

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR)/man/man1 \
		$(DESTDIR)$(DATADIR)/bash-completion/completions
	install $(CALLED:%=$(BUILD)/%) $(DESTDIR)$(BINDIR)/
	install $(filter-out $(CALLED:%=$(BUILD)/%),$(PROGRAMS:%=$(BUILD)/%)) $(DESTDIR)$(LIBEXECDIR)/
	install $(BUILD)/kernel-build $(DESTDIR)$(LIBEXECDIR)/
	install -m 644 $(KERNEL_CONFIGS:%=$(BUILD)/%) $(DESTDIR)$(LIBEXECDIR)/
	test ! -e $(BUILD)/vmlinux || install $(BUILD)/vmlinux $(DESTDIR)$(LIBEXECDIR)/
	install -m 644 docs/man/*.1 $(DESTDIR)$(DATADIR)/man/man1/
	install -m 644 cli/completion.bash $(DESTDIR)$(DATADIR)/bash-completion/completions/strata

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj $(INIT_OBJ) -name '*.d' 2>/dev/null)
