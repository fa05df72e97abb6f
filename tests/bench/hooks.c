/* SPDX-License-Identifier: MIT */
/* What hooks cost, beside Unicorn's in the same program (-DUNICORN): a line for each, in nanoseconds of processor time,
 * the fastest of some rounds. The code is the same for both: flat 64-bit memory.
 *
 *     hooks [ROW] */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#ifdef UNICORN
#include <unicorn/unicorn.h>
#endif
#include "lib/vcpu_hook.h"

enum { CODE = 0x1000, DATA = 0x9000, DEVICE = 0x100000, ROUNDS = 5, INSNS = 2000000 };

/* inc rax; inc rbx; add rax, rbx; dec rcx; jnz: blocks of 5 */
#define COUNT "\x48\xff\xc0\x48\xff\xc3\x48\x01\xd8\x48\xff\xc9\x75\xf2"
enum what { NOTHING, INSN, BLOCK, BLOCK_MAP, EDGE_MAP, READ, WRITE, MMIO, SYSCALL, INT, ONE };

/* Each round of the loop is EACH instructions, in which there is one of what is hooked; INSN: EACH of them. */
static const struct row { const char *name, *code; unsigned size, each; enum what what; } rows[] = {
#define ROW(name, what, each, code) { name, code, sizeof code - 1, each, what }
	ROW("instruction", INSN, 5, COUNT),
	ROW("block", BLOCK, 5, COUNT),
	ROW("block, in a map", BLOCK_MAP, 5, COUNT),
	ROW("edge, in a map", EDGE_MAP, 5, COUNT),
	ROW("read", READ, 3, "\x8b\x07\x48\xff\xc9\x75\xf9"),            /* mov eax, [rdi]; dec rcx; jnz */
	ROW("write", WRITE, 3, "\x89\x07\x48\xff\xc9\x75\xf9"),           /* mov [rdi], eax; dec rcx; jnz */
	ROW("read of a device", MMIO, 3, "\x8b\x06\x48\xff\xc9\x75\xf9"), /* mov eax, [rsi]; dec rcx; jnz */
	ROW("SYSCALL", SYSCALL, 3, "\x0f\x05\x48\xff\xcb\x75\xf9"),       /* syscall; dec rbx; jnz */
	ROW("INT 80h", INT, 3, "\xcd\x80\x48\xff\xc9\x75\xf9"),           /* int 80h; dec rcx; jnz */
	ROW("a run of 1 instruction", ONE, 5, COUNT),
};

static uint64_t seen;
static uint8_t map[0x10000];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- libvcpu ---- */

static enum vcpu_hook_answer look(void *user, struct vcpu_hook_event *e)
{
	seen += e->address;
	++*(uint64_t *)user;
	return VCPU_HOOK_GO;
}

static enum vcpu_hook_answer replace(void *user, struct vcpu_hook_event *e)
{
	look(user, e);
	return VCPU_HOOK_SKIP;
}

static uint64_t answer(void *user, uint64_t offset, unsigned size)
{
	++*(uint64_t *)user;
	return offset + size;
}

static vcpu *machine(const struct row *row, enum vcpu_engine engine, bool hooked, uint64_t *calls)
{
	static const unsigned kinds[] = { [INSN] = VCPU_HOOK_INSN, [BLOCK] = VCPU_HOOK_BLOCK,
		[BLOCK_MAP] = VCPU_HOOK_BLOCK, [EDGE_MAP] = VCPU_HOOK_EDGE, [READ] = VCPU_HOOK_READ,
		[WRITE] = VCPU_HOOK_WRITE, [SYSCALL] = VCPU_HOOK_INSN, [INT] = VCPU_HOOK_INSN, [MMIO] = 0, [ONE] = 0 };
	struct vcpu_config config = { .bare = true, .engine = engine };
	struct vcpu_device device = { .read = answer, .user = calls, .stateless = true };
	bool skips = row->what == SYSCALL || row->what == INT;
	struct vcpu_hook h = { .kinds = kinds[row->what], .observer = !skips, .call = skips ? replace : look,
		.instruction = row->what == SYSCALL ? "syscall" : row->what == INT ? "int" : NULL, .user = calls };
	vcpu *v = vcpu_new(&config, NULL);

	if (row->what == BLOCK_MAP || row->what == EDGE_MAP)
		h.call = NULL, h.map = map, h.map_size = sizeof map;
	if (!v || vcpu_map(v, 0, 0x10000) || vcpu_set_mode(v, 64) ||
	    vcpu_map_device(v, "device", DEVICE, 0x1000, &device))
		return NULL;
	vcpu_write_physical(v, CODE, row->code, row->size);
	vcpu_set(v, VCPU_RDI, DATA);
	vcpu_set(v, VCPU_RSI, DEVICE);
	if (h.kinds && (hooked || skips) && vcpu_hook_add(v, &h) < 0)
		return NULL;
	return v;
}

/* Nanoseconds of INSNS instructions; of each, with ONE. */
static double run_vcpu(vcpu *v, const struct row *row)
{
	const unsigned n = row->what == ONE ? INSNS / 10 : INSNS;
	double from;

	vcpu_set(v, VCPU_RIP, CODE);
	vcpu_set(v, VCPU_RCX, ~0ull);
	vcpu_set(v, VCPU_RBX, ~0ull);
	from = now();
	for (unsigned i = 0; i < (row->what == ONE ? n : 1); i++)
		if (vcpu_run(v, row->what == ONE ? 1 : n).reason != VCPU_STOP_LIMIT)
			return -1;
	return (now() - from) / n;
}

/* ---- Unicorn ---- */

#ifdef UNICORN
static void uc_code(uc_engine *uc, uint64_t address, uint32_t size, void *user)
{
	(void)uc, (void)size;
	seen += address;
	++*(uint64_t *)user;
}
static void uc_mem(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *user)
{
	(void)uc, (void)type, (void)size, (void)value;
	seen += address;
	++*(uint64_t *)user;
}
static void uc_syscall(uc_engine *uc, void *user)
{
	(void)uc;
	++*(uint64_t *)user;
}
static void uc_intr(uc_engine *uc, uint32_t number, void *user)
{
	(void)uc;
	seen += number;
	++*(uint64_t *)user;
}
static uint64_t uc_answer(uc_engine *uc, uint64_t offset, unsigned size, void *user)
{
	(void)uc;
	++*(uint64_t *)user;
	return offset + size;
}

static double run_unicorn(const struct row *row, bool hooked, uint64_t *calls)
{
	const unsigned n = row->what == ONE ? INSNS / 10 : INSNS;
	uint64_t data = DATA, device = DEVICE, all = ~0ull;
	double from, best = 1e9;
	uc_engine *uc;
	uc_hook h;

	if (uc_open(UC_ARCH_X86, UC_MODE_64, &uc) || uc_mem_map(uc, 0, 0x10000, UC_PROT_ALL) ||
	    uc_mmio_map(uc, DEVICE, 0x1000, uc_answer, calls, NULL, NULL) ||
	    uc_mem_write(uc, CODE, row->code, row->size))
		return -1;
	if (row->what == SYSCALL)
		uc_hook_add(uc, &h, UC_HOOK_INSN, (void *)uc_syscall, calls, 1, 0, UC_X86_INS_SYSCALL);
	else if (row->what == INT)
		uc_hook_add(uc, &h, UC_HOOK_INTR, (void *)uc_intr, calls, 1, 0);
	else if (hooked && (row->what == INSN || row->what == BLOCK))
		uc_hook_add(uc, &h, row->what == INSN ? UC_HOOK_CODE : UC_HOOK_BLOCK, (void *)uc_code, calls, 1, 0);
	else if (hooked && (row->what == READ || row->what == WRITE))
		uc_hook_add(uc, &h, row->what == READ ? UC_HOOK_MEM_READ : UC_HOOK_MEM_WRITE, (void *)uc_mem, calls, 1,
			    0);
	uc_reg_write(uc, UC_X86_REG_RDI, &data);
	uc_reg_write(uc, UC_X86_REG_RSI, &device);
	/* A count makes Unicorn hook every instruction: the loop ends by itself. */
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t rip = CODE, rounds = n / row->each;

		uc_reg_write(uc, UC_X86_REG_RCX, row->what == ONE ? &all : &rounds);
		uc_reg_write(uc, UC_X86_REG_RBX, row->what == ONE ? &all : &rounds);
		from = now();
		if (row->what != ONE && uc_emu_start(uc, rip, CODE + row->size, 0, 0))
			best = -1;
		for (unsigned i = 0; row->what == ONE && i < n / 10; i++) {
			if (uc_emu_start(uc, rip, 0, 0, 1))
				best = -1;
			uc_reg_read(uc, UC_X86_REG_RIP, &rip);
		}
		from = (now() - from) / (row->what == ONE ? n / 10 : n);
		best = from < best ? from : best;
	}
	uc_close(uc);
	return best;
}
#else
static double run_unicorn(const struct row *row, bool hooked, uint64_t *calls)
{
	(void)row, (void)hooked, (void)calls;
	return 0;
}
#endif

/* What a call costs over the run without: of those that have no run without, the whole round. */
static double each(const struct row *row, double with, double without)
{
	double calls = row->what == INSN || row->what == ONE ? 1 : row->each;

	return (with - without) * calls;
}

int main(int argc, char **argv)
{
	static const enum vcpu_engine engines[] = { VCPU_ENGINE_INTERPRETER, VCPU_ENGINE_BEST };

	printf("%-30s%14s%10s%10s\n", "ns", "interpreter", "best", "Unicorn");
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		bool whole = row->what >= MMIO;
		uint64_t calls = 0;

		if (argc > 1 && strcmp(argv[1], row->name) != 0)
			continue;
		printf("%-30s", row->name);
		for (unsigned e = 0; e < 2; e++) {
			double best[2] = { 1e9, 1e9 };

			for (unsigned hooked = whole; hooked < 2; hooked++) {
				vcpu *v = machine(row, engines[e], hooked, &calls);

				for (unsigned round = 0; v && round < ROUNDS; round++) {
					double ns = run_vcpu(v, row);

					best[hooked] = ns < best[hooked] ? ns : best[hooked];
				}
				vcpu_free(v);
			}
			printf(e ? "%10.2f" : "%14.2f", each(row, best[1], whole ? 0 : best[0]));
		}
		if (row->what == BLOCK_MAP || row->what == EDGE_MAP) { /* Unicorn has none */
			printf("%10s\n", "-");
			continue;
		}
		printf("%10.2f%12" PRIu64 " calls\n",
		       each(row, run_unicorn(row, true, &calls), whole ? 0 : run_unicorn(row, false, &calls)), calls);
		fflush(stdout);
	}
	return seen == 1;
}
