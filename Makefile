# make build     the static program, in $(PROGRAM)
# make check     formatting, lints and all tests, on the real QEMU
# make check-qemus   the tests on the real QEMU with the installed one, and with 10 and 11, fetched into $(QEMUS)
# make check-older   this domstate and older ones side by side: what those have started is watched, told and ended
# make parity    virsh and domstate side by side, live, on an installed libvirt; RECORD=1 renews what virsh told
# make campaign  RUNS random stories that try to make domstate tell a falsehood, from SEED; SWEEP=1 adds every system call
#                of what counts and two of every verb at once, SWEEP=all every error; ONLY=Clock plays those that have the word in
#                them, ONLY='a journey' migrations instead; KEEP=1 keeps the record for RELIABILITY.md
# make load      GUESTS at once, DOMAINS defined, MINUTES of starts and ends: nothing lost, nothing left; KEEP=1 as above
# make power-cuts   the power goes at every moment of each of its stories, and tears every write; as root; KEEP=1 as above
# make demo      the main job on real guests, in some seconds
# make bench     the figures; fails if one is above its gate
# make fuzz      the readers of files and of QMP on what a fuzzer finds; needs a nightly toolchain. READER=journal runs one,
#                RUNS=N each N times, SECONDS=N at most as long, SANITIZER=address under one; KEEP=1 as above
# make model     the fold against the model, on CASES random runs and on all short ones; KEEP=1 as above
# make golden    the state directory as this domstate writes it, for a new format, into tests/golden; as root
# make generate  renews the man page and the completions from the command line
# make install   into $(DESTDIR)$(PREFIX)
#
# What is missing (QEMU, say) is installed by apt-get, as root or by sudo.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
INSTALL ?= install

# Without rustc (sudo make install) it is what rustc says on any glibc Linux.
TARGET ?= $(or $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p'),$(shell uname -m)-unknown-linux-gnu)
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
PROGRAM := $(TARGET_DIR)/$(TARGET)/release/domstate
NEEDS := qemu-system-x86_64=qemu-system-x86 python3=python3 strace=strace as=binutils groff=groff-base qemu-img=qemu-utils
# Only root makes other file systems.
NEEDS += $(if $(filter 0,$(shell id -u)),mkfs.xfs=xfsprogs mkfs.btrfs=btrfs-progs)
QEMUS := $(abspath $(TARGET_DIR))/qemus
# What the stories leave out for want of root, a file system or a control group.
NOT_RUN := $(abspath $(TARGET_DIR))/not-run

# The readers are safe Rust: without a sanitizer a fuzzer finds the same in a fraction of the time, and what it takes of
# memory is the readers' own.
FUZZ := $(abspath $(TARGET_DIR))/fuzz
SECONDS ?= 0
SANITIZER ?= none
READER ?=
FUZZ_RUNS = $(if $(filter command environment,$(firstword $(origin RUNS))),$(RUNS),1000000)

# A static program at a fixed address starts in two thirds of the time and leaves a supervisor half the private
# memory. The flags need --target, else proc-macros get them too and do not build.
STATIC_FLAGS := $(if $(findstring -linux-,$(TARGET)),-C target-feature=+crt-static -C relocation-model=static)
STATIC := RUSTFLAGS='$(strip $(RUSTFLAGS) $(STATIC_FLAGS))'
RELEASE := --locked --release --target $(TARGET)


RUNS ?= 1000
SEED ?=
SWEEP ?=
JOBS ?=
KEEP ?=
ONLY ?=
GUESTS ?= 300
DOMAINS ?= 10000
MINUTES ?= 10
CASES ?= 10000

.PHONY: build check check-qemus check-older parity campaign power-cuts load demo bench fuzz golden model generate install

build:
	$(STATIC) $(CARGO) build $(RELEASE)

check:
	scripts/install-needs $(NEEDS)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test pairs --test campaign --test load --test fuzz -- -D warnings
	rm -f $(NOT_RUN)
	DOMSTATE_NOT_RUN=$(NOT_RUN) $(CARGO) test --locked --no-fail-fast
	$(CARGO) test --locked --test pairs
	RUNS=200 $(CARGO) test --locked --test campaign
	RUNS=30 ONLY='a journey' $(CARGO) test --locked --test campaign
	@if [ -s $(NOT_RUN) ]; then sort -u $(NOT_RUN); echo "$$(sort -u $(NOT_RUN) | wc -l) not run"; \
		else echo 'every story was run'; fi

check-qemus:
	scripts/install-needs $(NEEDS)
	scripts/fetch-qemus $(QEMUS)
	for qemu in qemu-system-x86_64 $(QEMUS)/qemu-10 $(QEMUS)/qemu-11; do \
		$$qemu --version | head -n 1; \
		DOMSTATE_QEMU=$$qemu $(CARGO) test --locked --no-fail-fast --test stories || exit 1; \
		$(CARGO) test --locked --test pairs || exit 1; \
	done

check-older:
	scripts/install-needs $(NEEDS) git=git
	scripts/check-older

# A libvirt that is there already is left alone: the tests start their own, without privileges. STORIES=saves plays a
# theme, or the stories with this in their name.
parity:
	PATH="$$PATH:/usr/sbin" scripts/install-needs qemu-system-x86_64=qemu-system-x86 qemu-img=qemu-utils \
		virsh=libvirt-clients 'libvirtd=libvirt-daemon libvirt-daemon-driver-qemu'
	DOMSTATE_UNDER_TEST=both DOMSTATE_RECORD=$(RECORD) DOMSTATE_STORIES='$(STORIES)' \
		$(CARGO) test --quiet --locked --test stories parity:: -- --nocapture --test-threads=1

campaign:
	scripts/install-needs $(NEEDS)
	RUNS='$(RUNS)' SEED='$(SEED)' SWEEP='$(SWEEP)' JOBS='$(JOBS)' ONLY='$(ONLY)' $(if $(KEEP),DOMSTATE_KEEP_RECORD=1) \
		$(CARGO) test --quiet --locked --release --test campaign

load:
	scripts/install-needs $(NEEDS)
	GUESTS='$(GUESTS)' DOMAINS='$(DOMAINS)' MINUTES='$(MINUTES)' $(if $(KEEP),DOMSTATE_KEEP_RECORD=1) \
		$(STATIC) $(CARGO) test --quiet $(RELEASE) --test load

# As root: the stories are recorded in another boot than that in which they are judged.
power-cuts:
	scripts/install-needs $(NEEDS)
	DOMSTATE_EVERY_CRASH=1 $(if $(KEEP),DOMSTATE_KEEP_RECORD=1) \
		$(CARGO) test --locked --release --test stories power_cuts:: -- --nocapture

demo:
	@scripts/install-needs qemu-system-x86_64=qemu-system-x86
	@echo 'Building (half a minute)'
	@$(STATIC) $(CARGO) build --quiet $(RELEASE)
	@scripts/demo $(PROGRAM)

bench:
	scripts/install-needs qemu-system-x86_64=qemu-system-x86 valgrind=valgrind strace=strace
	$(STATIC) $(CARGO) bench $(subst --release ,,$(RELEASE)) --bench figures

fuzz:
	scripts/fuzz-needs $(FUZZ)
	PATH="$(FUZZ)/bin:$$PATH" CARGO_TARGET_DIR=$(FUZZ) cargo +nightly fuzz build --release --debug-assertions \
		--no-trace-compares --sanitizer $(SANITIZER)
	DOMSTATE_FUZZ_RUNS=$(FUZZ_RUNS) DOMSTATE_FUZZ_SECONDS=$(SECONDS) DOMSTATE_FUZZ_READER=$(READER) \
		DOMSTATE_FUZZ_SANITIZER=$(SANITIZER) $(if $(KEEP),DOMSTATE_KEEP_RECORD=1) \
		DOMSTATE_FUZZERS=$(FUZZ)/$$(rustc -vV | sed -n 's/^host: //p')/release \
		$(CARGO) test --quiet --locked --test fuzz

model:
	DOMSTATE_MODEL_CASES='$(CASES)' $(if $(KEEP),DOMSTATE_KEEP_RECORD=1) $(CARGO) test --quiet --locked --release --test model

# What is there stays as it was made: a new format gets a new folder.
golden:
	scripts/install-needs $(NEEDS)
	$(CARGO) build --locked --bin domstate
	scripts/make-golden $(TARGET_DIR)/debug/domstate \
		tests/golden/state-$$(sed -n 's/^pub const FOLD_FORMAT: u64 = \([0-9]*\);/\1/p' src/journal/fold_json.rs)

generate:
	$(CARGO) run --quiet --locked --example generate

# What was built before is installed as it is: root may have no cargo.
install:
	test -x $(PROGRAM) || $(MAKE) build
	$(INSTALL) -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/domstate
	$(INSTALL) -D -m 644 man/domstate.1 $(DESTDIR)$(PREFIX)/share/man/man1/domstate.1
	$(INSTALL) -D -m 644 man/domstate-states.7 $(DESTDIR)$(PREFIX)/share/man/man7/domstate-states.7
	$(INSTALL) -D -m 644 completions/domstate.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/domstate
	$(INSTALL) -D -m 644 completions/_domstate $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_domstate
	$(INSTALL) -D -m 644 completions/domstate.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/domstate.fish
