# SPDX-License-Identifier: MIT
# libvcpu and the debugger's commands for WebAssembly, in the folder web of a build: `make web' calls this Makefile there with
#     top        the source tree
#     version    of the package
#     sources    the lists of Makefile.am
# The folder has what frontends/web/fetch puts there.
CC = clang-19
AWK = awk
OPT = -O3
zlib = $(wildcard source/zlib-*)
zydis = $(wildcard source/*zydis-*)

flags = --target=wasm32-wasi $(OPT)
flags_c = $(flags) -std=gnu11 -fno-strict-aliasing -fno-math-errno -ffp-contract=off -fwrapv -fvisibility=hidden \
	-ffunction-sections
flags_own = -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Werror -include $(top)/frontends/web/wasi.h \
	-D_WASI_EMULATED_SIGNAL -DPACKAGE_VERSION='"$(version)"' -DHAVE_ZYDIS=1 -DHAVE_DECL_FOPENCOOKIE=1 -DHAVE_DECL_FDATASYNC=1 \
	-DHAVE_DECL_MEMFD_CREATE=1 -I$(top)/frontends/web/wasi -I$(top) -I$(top)/lib -I$(top)/frontends/debugger
flags_foreign = -w -DHAVE_UNISTD_H -DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD
includes = -I$(zlib) -Isource/include -I$(zydis)/include -I$(zydis)/src
# What the newer browsers have, and a second build for the others.
flags_vcpu = -msimd128 -mtail-call -DVCPU_TAIL=1 -DVCPU_STITCH=1
flags_plain = -DVCPU_TAIL=0

zlib_sources = $(addprefix $(zlib)/,adler32.c compress.c crc32.c deflate.c infback.c inffast.c inflate.c inftrees.c \
	trees.c uncompr.c zutil.c)
zydis_sources = $(wildcard $(zydis)/src/*.c)
own_sources = $(addprefix $(top)/,$(filter %.c,$(sources)) frontends/web/wasi.c frontends/web/web.c)
objects = $(patsubst $(top)/%.c,%.o,$(own_sources)) $(patsubst source/%.c,%.o,$(zlib_sources) $(zydis_sources))

web = $(top)/frontends/web
site_files = $(addprefix $(web)/,index.html course.html page.css page.js course.js timeline.js terminal.js panels.js \
	keys.js worker.js files.js vcpu.js stitch.js vcpu.d.ts wasi.js package.json guests.json) source/xterm/lib/xterm.mjs source/xterm/css/xterm.css vcpu.wasm plain.wasm
# Guests to try, as far as they are there.
guest_files = $(wildcard ../demo_guest.elf ../guest/vmlinuz ../guest/initrd.img /usr/share/seabios/bios-256k.bin \
	/usr/share/seabios/vgabios-stdvga.bin)

all: site
site: $(site_files) $(guest_files) $(web)/bundle.mjs
	@mkdir -p site/guests
	@cp $(site_files) site
	@cp $(guest_files) site/guests || :
	@! command -v node > /dev/null || { node $(web)/bundle.mjs site > site/vcpu.html.new && mv site/vcpu.html.new site/vcpu.html; }
	@touch site

# The handlers end in tail calls: see tail_calls.awk.
vcpu/cpu/%.o: $(top)/cpu/%.c $(top)/frontends/web/tail_calls.awk
	@mkdir -p $(@D)
	@echo '  WASM     $@'
	@$(CC) $(flags_c) $(flags_vcpu) $(flags_own) $(includes) -MD -MP -MT $@ -MF $(@:.o=.d) -S -emit-llvm -o $@.ll $<
	@$(AWK) -f $(top)/frontends/web/tail_calls.awk $@.ll > $@.new.ll
	@$(CC) $(flags) $(filter -m%,$(flags_vcpu)) -Xclang -disable-llvm-passes -c -o $@ $@.new.ll
	@rm $@.ll $@.new.ll

define build
$(1)/%.o: $(top)/%.c
	@mkdir -p $$(@D)
	@echo '  WASM     $$@'
	@$(CC) $(flags_c) $(flags_$(1)) $(flags_own) $(includes) -MD -MP -c -o $$@ $$<
$(1)/%.o: source/%.c
	@mkdir -p $$(@D)
	@echo '  WASM     $$@'
	@$(CC) $(flags_c) $(flags_$(1)) $(flags_foreign) $(includes) -c -o $$@ $$<
$(1).wasm: $(addprefix $(1)/,$(objects)) $(top)/frontends/web/web.mk
	@echo '  WASMLD   $$@'
	@$(CC) --target=wasm32-wasi -mexec-model=reactor \
		-Wl,--strip-all,--gc-sections,--export-dynamic,--export=malloc,--export=free,--export-table,--growable-table,--export=__stack_pointer,-z,stack-size=1048576 \
		-o $$@ $$(filter %.o,$$^) -lwasi-emulated-signal -lm
-include $(patsubst %.o,$(1)/%.d,$(objects))
endef
$(eval $(call build,vcpu))
$(eval $(call build,plain))

.PHONY: all
