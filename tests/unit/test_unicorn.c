/* SPDX-License-Identifier: MIT */
/* libvcpu-unicorn beside Unicorn itself: both run the same programs, and what their hooks and calls give must be the
 * same. Unicorn is loaded when the test runs, since both have the same names. */
#include <check.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

#define FUNCTIONS(X) \
	X(uc_open) X(uc_close) X(uc_mem_map) X(uc_mem_map_ptr) X(uc_mem_unmap) X(uc_mem_protect) X(uc_mem_read) \
	X(uc_mem_write) X(uc_mem_regions) X(uc_free) X(uc_mmio_map) X(uc_reg_read) X(uc_reg_write) X(uc_emu_start) \
	X(uc_emu_stop) X(uc_hook_add) X(uc_hook_del) X(uc_context_alloc) X(uc_context_save) X(uc_context_restore) \
	X(uc_context_reg_read) X(uc_context_free) X(uc_query) X(uc_ctl)

/* The functions of one of the two. */
static struct api {
#define MEMBER(name) __typeof__(name) *name;
	FUNCTIONS(MEMBER)
#undef MEMBER
} u;

static const struct api ours = {
#define OURS(name) .name = name,
	FUNCTIONS(OURS)
#undef OURS
};

/* It is to call its own functions, not those of the same names here. Sanitizers do not allow that. */
static bool load_theirs(struct api *out)
{
#ifdef __SANITIZE_ADDRESS__
	void *library = NULL;
#else
	void *library = dlopen("libunicorn.so.2", RTLD_NOW | RTLD_DEEPBIND);
#endif

	if (!library)
		return false;
#define THEIRS(name) *(void **)&out->name = dlsym(library, #name); if (!out->name) return false;
	FUNCTIONS(THEIRS)
#undef THEIRS
	return true;
}

/* ---- what happened, as numbers ---- */

enum { ENTRIES = 512 };
static struct trace { unsigned n; uint64_t entry[ENTRIES]; } now;

static void note(uint64_t value)
{
	if (now.n < ENTRIES)
		now.entry[now.n++] = value;
}

/* ---- a program ---- */

enum { AT = 0x1000, DATA = 0x4000, STACK = 0x8000, DEVICE = 0x20000, FAR = 0x100000 };

static uc_engine *uc;

static void engine(uc_mode mode, const void *code, size_t len)
{
	uint64_t sp = STACK;

	note(u.uc_open(UC_ARCH_X86, mode, &uc));
	note(u.uc_mem_map(uc, AT, 0x1000, UC_PROT_ALL));
	note(u.uc_mem_map(uc, DATA, 0x4000, UC_PROT_READ | UC_PROT_WRITE));
	note(u.uc_mem_write(uc, AT, code, len));
	u.uc_reg_write(uc, mode == UC_MODE_64 ? UC_X86_REG_RSP : UC_X86_REG_ESP, &sp);
}
#define ENGINE(mode, code) engine(mode, code, sizeof code - 1)

static uint64_t get(int reg)
{
	uint64_t value = 0;

	u.uc_reg_read(uc, reg, &value);
	return value;
}

static void set(int reg, uint64_t value) { note(u.uc_reg_write(uc, reg, &value)); }

/* After an error Unicorn's EIP may be that of the block. */
static void run(uint64_t until, size_t count)
{
	static const int regs[] = { UC_X86_REG_EAX, UC_X86_REG_EBX, UC_X86_REG_ECX, UC_X86_REG_EDX, UC_X86_REG_ESI,
				    UC_X86_REG_EDI, UC_X86_REG_ESP, UC_X86_REG_EBP };
	uc_err error = u.uc_emu_start(uc, AT, until, 0, count);

	note(error);
	for (unsigned i = 0; i < sizeof regs / sizeof *regs; i++)
		note(get(regs[i]));
	note(error ? 0 : get(UC_X86_REG_EIP));
}

static void on_code(uc_engine *e, uint64_t address, uint32_t size, void *user)
{
	(void)e, (void)user;
	note(address);
	note(size);
	note(get(UC_X86_REG_EAX));
}

static void on_memory(uc_engine *e, uc_mem_type type, uint64_t address, int size, int64_t value, void *user)
{
	(void)e, (void)user;
	note(type);
	note(address);
	note((uint64_t)size);
	note((uint64_t)value);
}

static bool map_it(uc_engine *e, uc_mem_type type, uint64_t address, int size, int64_t value, void *user)
{
	on_memory(e, type, address, size, value, user);
	note(u.uc_mem_map(e, address & ~0xfffull, 0x1000, UC_PROT_ALL));
	return true;
}

static bool give_up(uc_engine *e, uc_mem_type type, uint64_t address, int size, int64_t value, void *user)
{
	on_memory(e, type, address, size, value, user);
	return false;
}

static void hook(int type, void *call, ...)
{
	uc_hook h;

	note(u.uc_hook_add(uc, &h, type, call, NULL, 1, 0));
}

/* push 5; pop ecx; l: add [DATA], ecx; add eax, [DATA]; loop l; mov word [DATA+10h], 1234h; call f; jmp end; f: ret */
static void accesses(void)
{
	static const char code[] = "\x6a\x05\x59\x01\x0d\x00\x40\x00\x00\x03\x05\x00\x40\x00\x00\xe2\xf2"
				   "\x66\xc7\x05\x10\x40\x00\x00\x34\x12\xe8\x02\x00\x00\x00\xeb\x01\xc3";

	ENGINE(UC_MODE_32, code);
	hook(UC_HOOK_CODE, on_code);
	hook(UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, on_memory);
	run(AT + sizeof code - 1, 0);
}

/* mov eax, [FAR]; inc ebx; mov [FAR+1000h], eax */
static const char far_code[] = "\xa1\x00\x00\x10\x00\x43\xa3\x00\x10\x10\x00";

static void missing(void)
{
	ENGINE(UC_MODE_32, far_code);
	run(AT + sizeof far_code - 1, 0);
	hook(UC_HOOK_MEM_UNMAPPED, give_up);
	run(AT + sizeof far_code - 1, 0);
	hook(UC_HOOK_MEM_UNMAPPED, map_it);
	run(AT + sizeof far_code - 1, 0);
}

/* Rights are only given: Unicorn 2.0.1 does not notice that they are taken from a page that was accessed. */
static void rights(void)
{
	ENGINE(UC_MODE_32, far_code);
	note(u.uc_mem_map(uc, FAR, 0x2000, UC_PROT_NONE));
	note(u.uc_mem_protect(uc, AT, 0x1000, UC_PROT_READ));
	run(AT + sizeof far_code - 1, 0);
	note(u.uc_mem_protect(uc, AT, 0x1000, UC_PROT_ALL));
	run(AT + sizeof far_code - 1, 0); /* the read is not allowed */
	note(u.uc_mem_protect(uc, FAR, 0x2000, UC_PROT_READ));
	run(AT + sizeof far_code - 1, 0); /* the write is not */
	note(u.uc_mem_protect(uc, FAR + 0x1000, 0x1000, UC_PROT_READ | UC_PROT_WRITE));
	run(AT + sizeof far_code - 1, 0);
}

static void regions(void)
{
	uc_mem_region *all;
	uint32_t count;
	char bytes[8];

	ENGINE(UC_MODE_32, far_code);
	note(u.uc_mem_unmap(uc, DATA + 0x1000, 0x1000));
	note(u.uc_mem_unmap(uc, DATA + 0x1000, 0x1000));
	note(u.uc_mem_map(uc, DATA, 0x1000, UC_PROT_ALL));
	note(u.uc_mem_map(uc, FAR + 1, 0x1000, UC_PROT_ALL));
	note(u.uc_mem_map(uc, FAR, 0x1000, 8));
	note(u.uc_mem_map(uc, FAR, 0, UC_PROT_ALL));
	note(u.uc_mem_read(uc, DATA + 0xffc, bytes, 8));
	note(u.uc_mem_write(uc, DATA + 0xffc, bytes, 4));
	note(u.uc_mem_regions(uc, &all, &count));
	note(count);
	for (uint64_t at = 0, i; at < 0x10000; at += 0x1000) /* the order is the library's affair */
		for (i = 0; i < count; i++)
			if (all[i].begin == at) {
				note(all[i].begin);
				note(all[i].end);
				note(all[i].perms);
			}
	u.uc_free(all);
}

static void on_interrupt(uc_engine *e, uint32_t number, void *user)
{
	(void)e, (void)user;
	note(number);
	note(get(UC_X86_REG_EIP));
}

/* int 80h; int3; inc ebx; ud2 */
static void interrupts(void)
{
	static const char code[] = "\xcd\x80\xcc\x43\x0f\x0b";

	ENGINE(UC_MODE_32, code);
	note(u.uc_emu_start(uc, AT, AT + 4, 0, 0));
	hook(UC_HOOK_INTR, on_interrupt);
	run(AT + 4, 0);
	note(u.uc_emu_start(uc, AT, AT + 6, 0, 0));
}

static uint32_t on_in(uc_engine *e, uint32_t port, int size, void *user)
{
	(void)e, (void)user;
	note(port);
	note((uint64_t)size);
	return 0x1234;
}

static void on_out(uc_engine *e, uint32_t port, int size, uint32_t value, void *user)
{
	on_in(e, port, size, user);
	note(value);
}

static int on_cpuid(uc_engine *e, void *user)
{
	(void)e, (void)user;
	set(UC_X86_REG_EBX, 77);
	return 1;
}

/* in ax, 3fh; out 46h, ax; cpuid */
static void instructions(void)
{
	static const char code[] = "\x66\xe5\x3f\x66\xe7\x46\x0f\xa2";
	uc_hook h[3];

	ENGINE(UC_MODE_32, code);
	note(u.uc_hook_add(uc, &h[0], UC_HOOK_INSN, (void *)on_in, NULL, 1, 0, UC_X86_INS_IN));
	note(u.uc_hook_add(uc, &h[1], UC_HOOK_INSN, (void *)on_out, NULL, 1, 0, UC_X86_INS_OUT));
	note(u.uc_hook_add(uc, &h[2], UC_HOOK_INSN, (void *)on_cpuid, NULL, 1, 0, UC_X86_INS_CPUID));
	note(u.uc_hook_add(uc, &h[2], UC_HOOK_INSN, (void *)on_cpuid, NULL, 1, 0, UC_X86_INS_ADD) != UC_ERR_OK);
	run(AT + 8, 0);
	note(u.uc_hook_del(uc, h[0]));
	run(AT + 8, 0);
}

static void on_syscall(uc_engine *e, void *user)
{
	(void)e, (void)user;
	note(get(UC_X86_REG_RAX));
	set(UC_X86_REG_RAX, 0x1122334455667788);
}

/* syscall; movaps xmm1, xmm0; push rax; movups [DATA], xmm1 */
static void wide(void)
{
	static const char code[] = "\x0f\x05\x0f\x28\xc8\x50\x0f\x11\x0c\x25\x00\x40\x00\x00";
	uint64_t xmm[2] = { 3, 5 }, out[2] = { 0 };
	uc_hook h;

	ENGINE(UC_MODE_64, code);
	note(u.uc_hook_add(uc, &h, UC_HOOK_INSN, (void *)on_syscall, NULL, 1, 0, UC_X86_INS_SYSCALL));
	hook(UC_HOOK_MEM_WRITE, on_memory);
	note(u.uc_reg_write(uc, UC_X86_REG_XMM0, xmm));
	run(AT + sizeof code - 1, 0);
	note(u.uc_reg_read(uc, UC_X86_REG_XMM1, out));
	note(out[0] + 16 * out[1]);
	note(u.uc_mem_read(uc, DATA, out, 16));
	note(out[0] + 16 * out[1]);
	note(get(UC_X86_REG_RAX));
}

static uint64_t device_read(uc_engine *e, uint64_t offset, unsigned size, void *user)
{
	(void)e, (void)user;
	note(offset);
	note(size);
	return 0x55667788;
}

static void device_write(uc_engine *e, uint64_t offset, unsigned size, uint64_t value, void *user)
{
	(void)e, (void)user;
	note(offset);
	note(size);
	note(value);
}

/* mov eax, [DEVICE+10h]; mov [DEVICE+14h], ax */
static void mmio(void)
{
	static const char code[] = "\xa1\x10\x00\x02\x00\x66\xa3\x14\x00\x02\x00";
	uint32_t value = 9;

	ENGINE(UC_MODE_32, code);
	note(u.uc_mmio_map(uc, DEVICE, 0x1000, device_read, NULL, device_write, NULL));
	run(AT + sizeof code - 1, 0);
	note(u.uc_mem_read(uc, DEVICE + 8, &value, 4));
	note(value);
	note(u.uc_mem_write(uc, DEVICE + 8, &value, 4));
}

static void stop_it(uc_engine *e, uint64_t address, uint32_t size, void *user)
{
	(void)size, (void)user;
	note(address);
	note(u.uc_emu_stop(e));
}

static void nested(uc_engine *e, uint64_t address, uint32_t size, void *user)
{
	(void)address, (void)size, (void)user;
	note(u.uc_emu_start(e, AT + 1, AT + 2, 0, 0));
}

/* Each in an engine of its own: Unicorn 2.0.1 does not cut code that it has translated for another end. */
static const char ends_code[] = "\x40\x43\x41\xf4\x40"; /* inc eax; inc ebx; inc ecx; hlt; inc eax */

static void until(void) { ENGINE(UC_MODE_32, ends_code); run(AT + 2, 0); }
static void count(void) { ENGINE(UC_MODE_32, ends_code); run(0x9999, 2); }
static void halt(void) { ENGINE(UC_MODE_32, ends_code); run(0x9999, 0); }

static void stopped(void)
{
	uc_hook h;

	ENGINE(UC_MODE_32, ends_code);
	note(u.uc_hook_add(uc, &h, UC_HOOK_CODE, (void *)stop_it, NULL, AT + 1, AT + 1));
	run(0x9999, 0);
	note(u.uc_hook_del(uc, h));
}

static void inside(void)
{
	uc_hook h;

	ENGINE(UC_MODE_32, ends_code);
	note(u.uc_hook_add(uc, &h, UC_HOOK_CODE, (void *)nested, NULL, AT, AT));
	run(AT + 1, 0);
}

static void contexts(void)
{
	uc_context *context;
	uint32_t eax = 0;

	ENGINE(UC_MODE_32, ends_code);
	set(UC_X86_REG_EAX, 5);
	note(u.uc_context_alloc(uc, &context));
	note(u.uc_context_save(uc, context));
	run(AT + 2, 0);
	note(u.uc_context_reg_read(context, UC_X86_REG_EAX, &eax));
	note(eax);
	note(u.uc_context_restore(uc, context));
	note(get(UC_X86_REG_EAX));
	note(get(UC_X86_REG_EBX));
	note(u.uc_context_free(context));
}

static void exits(void)
{
	uint64_t all[] = { AT + 2, AT + 9 };
	size_t timed_out = 9;

	ENGINE(UC_MODE_32, ends_code);
	note(u.uc_ctl_set_exits(uc, all, (size_t)2) != UC_ERR_OK);
	note(u.uc_ctl_exits_enable(uc));
	note(u.uc_ctl_set_exits(uc, all, (size_t)2));
	run(0, 0);
	note(u.uc_query(uc, UC_QUERY_TIMEOUT, &timed_out));
	note(timed_out);
}

/* jmp $ for 10 ms */
static void time_out(void)
{
	size_t timed_out = 9;

	ENGINE(UC_MODE_32, "\xeb\xfe");
	note(u.uc_emu_start(uc, AT, 0x9999, 10000, 0));
	note(u.uc_query(uc, UC_QUERY_TIMEOUT, &timed_out));
	note(timed_out);
	note(get(UC_X86_REG_EIP));
}

/* mov rax, [rsi]; mov [rdi], rax; mov rax, [rbx]: a user's stack, a kernel's address, one where nothing is */
static void far_addresses(void)
{
	static const char code[] = "\x48\x8b\x06\x48\x89\x07\x48\x8b\x03";
	const uint64_t user = 0x7ffffffde000, kernel = 0xffffffff81000000, end = ~0xfffull;
	uint64_t value = 0x1122334455667788, out = 0;

	ENGINE(UC_MODE_64, code);
	note(u.uc_mem_map(uc, user, 0x21000, UC_PROT_ALL));
	note(u.uc_mem_map(uc, kernel, 0x80000000 - 0x1000000, UC_PROT_ALL)); /* over several GiB, to the end */
	note(u.uc_mem_write(uc, user + 0x20ff0, &value, 8));
	set(UC_X86_REG_RSI, user + 0x20ff0);
	set(UC_X86_REG_RDI, end + 0xff8);
	set(UC_X86_REG_RBX, 0x3fffffffe000);
	note(u.uc_emu_start(uc, AT, AT + 6, 0, 0));
	note(u.uc_mem_read(uc, end + 0xff8, &out, 8));
	note(out);
	note(u.uc_emu_start(uc, AT, AT + 9, 0, 0));
	hook(UC_HOOK_MEM_UNMAPPED, map_it);
	note(u.uc_emu_start(uc, AT, AT + 9, 0, 0));
	note(get(UC_X86_REG_RAX));
}

/* The block that was generated, and the one before it, whose instructions have run. Not the block at the end, which
 * Unicorn generates and does not run; nor, of a second run, which is the one before, since Unicorn forgets it where
 * blocks are linked. */
static void on_edge(uc_engine *e, uc_tb *block, uc_tb *before, void *user)
{
	(void)e, (void)user;
	if (block->pc == AT + 0x16)
		return;
	note(block->pc);
	note(before->pc);
	note(before->icount);
	note(before->size);
}

/* mov ecx, 3; 1: dec ecx; cmp ecx, 1; je 2f; nop; 2: test ecx, ecx; jnz 1b; call 3f; nop; 3: ret */
static void edges(void)
{
	static const char code[] = "\xb9\x03\x00\x00\x00\xff\xc9\x83\xf9\x01\x74\x01\x90\x85\xc9\x75\xf4"
				   "\xe8\x01\x00\x00\x00\x90\xc3";
	uc_hook one;

	ENGINE(UC_MODE_32, code);
	hook(UC_HOOK_EDGE_GENERATED, on_edge);
	note(u.uc_hook_add(uc, &one, UC_HOOK_EDGE_GENERATED, on_edge, NULL, AT + 5, AT + 5));
	run(AT + 0x16, 0);
}

/* mov byte [AT+9], 41h; nop; nop; nop (inc ecx in the end) */
static void changed_code(void)
{
	static const char code[] = "\xc6\x05\x09\x10\x00\x00\x41\x90\x90\x90";
	static uint8_t buffer[0x2000];
	uint8_t *aligned = (uint8_t *)(((uintptr_t)buffer + 0xfff) & ~(uintptr_t)0xfff);

	ENGINE(UC_MODE_32, code);
	run(AT + 10, 0);
	note(u.uc_mem_write(uc, AT + 8, "\x43", 1));
	run(AT + 10, 0);
	note(u.uc_mem_unmap(uc, AT, 0x1000));
	memset(aligned, 0x90, 0x1000);
	note(u.uc_mem_map_ptr(uc, AT, 0x1000, UC_PROT_ALL, aligned));
	run(AT + 10, 0);
	note(aligned[9]);
}

/* mov ax, 1234h; push ax; pop bx; int 21h */
static void real_mode(void)
{
	static const char code[] = "\xb8\x34\x12\x50\x5b\xcd\x21";

	ENGINE(UC_MODE_16, code);
	hook(UC_HOOK_CODE, on_code);
	hook(UC_HOOK_INTR, on_interrupt);
	run(AT + 7, 0);
}

static const struct { const char *name; void (*run)(void); } programs[] = {
	{ "accesses", accesses }, { "missing", missing }, { "rights", rights }, { "regions", regions },
	{ "interrupts", interrupts }, { "instructions", instructions }, { "wide", wide }, { "mmio", mmio },
	{ "until", until }, { "count", count }, { "halt", halt }, { "stopped", stopped }, { "inside", inside },
	{ "contexts", contexts }, { "exits", exits }, { "time", time_out },
	{ "far", far_addresses },
	{ "changed code", changed_code }, { "real mode", real_mode }, { "edges", edges },
};

static struct trace traced(const struct api *api, unsigned i)
{
	u = *api;
	now.n = 0;
	programs[i].run();
	note(u.uc_close(uc));
	return now;
}

START_TEST(test_same)
{
	struct api theirs;
	struct trace a, b;

	if (!load_theirs(&theirs))
		return;
	a = traced(&theirs, (unsigned)_i);
	b = traced(&ours, (unsigned)_i);
	for (unsigned i = 0; i < a.n && i < b.n; i++)
		ck_assert_msg(a.entry[i] == b.entry[i], "%s: number %u is %llx, with Unicorn %llx", programs[_i].name,
			      i, (unsigned long long)b.entry[i], (unsigned long long)a.entry[i]);
	ck_assert_uint_eq(a.n, b.n);
	ck_assert_uint_lt(a.n, ENTRIES);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("unicorn");
	TCase *t = tcase_create("unicorn");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60); /* Unicorn clears its cache of 1 GiB at each start with a hook */
	tcase_add_loop_test(t, test_same, 0, sizeof programs / sizeof *programs);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
