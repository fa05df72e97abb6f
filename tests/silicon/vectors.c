/* SPDX-License-Identifier: MIT */
/* Single instructions as real processors did them, against ours: vectors in the formats of vector_file.c.
 *
 *     vectors [-v] [--model MODEL] [DIR | FILE]...     default: $VECTORS, then ../shared/silicon/80286 beside the sources
 *
 * Without --model: what a MOO file says of itself, else what its folder is called (8086, 8088, 80186, 80386), else a
 * 286. Early processors have no coprocessor here, as those had none.
 *
 * Flags that the instruction table calls undefined after an instruction are not compared, neither in the register nor
 * in the image that an exception pushed; of an 8086 everything is. Everything else must be the same: registers, memory,
 * and which exception it was. */
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "cpu/op.h"
#include "tests/silicon/vector_file.h"

static const u8 general[NREGS] = { [AX] = RAX, [BX] = RBX, [CX] = RCX, [DX] = RDX, [SP] = RSP, [BP] = RBP, [SI] = RSI,
	[DI] = RDI, [IP] = RIP };
static const u8 segment[NREGS] = { [R_CS] = CS, [R_SS] = SS, [R_DS] = DS, [R_ES] = ES, [R_FS] = FS, [R_GS] = GS };

/* ---- the machine: a processor and all the memory that it can reach, up to 16 MiB; nothing else ---- */

static struct model model;
static char model_now[32];
static struct space mem, io;
static struct clock the_clock;
static struct ram *ram;
static struct cpu *c;

static void machine_free(void)
{
	if (!c)
		return;
	cpu_free(c);
	c = NULL;
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

static bool machine(const char *name)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &the_clock };
	char *error;

	if (c && !strcmp(name, model_now))
		return true;
	machine_free();
	snprintf(model_now, sizeof model_now, "%s", name);
	if (!model_parse(&model, name, &error)) {
		fprintf(stderr, "%s\n", error);
		free(error);
		return false;
	}
	the_clock = (struct clock){ 0 };
	space_init(&mem);
	space_init(&io);
	ram = ram_new(16 * MiB);
	mem.mask = (has(&model, F_I286) ? 16 * MiB : MiB) - 1;
	if (!ram || space_add_ram(&mem, "ram", 0, ram->size, ram, 0, false) < 0)
		return false;
	c = cpu_new(&config);
	if (!c)
		return false;
	ram->written = cpu_code_written;
	ram->owner = c;
	return true;
}

static void poke(u32 addr, u8 value)
{
	addr &= (u32)mem.mask;
	ram->host[addr] = value;
	ram_touch(ram, addr, 1, addr);
}

/* A 286 in real mode has none of the upper four. */
static u32 flag_bits(void) { return has(&model, F_I386) ? 0x7fff : 0xfff; }

static void load(const struct test *v)
{
	for (unsigned i = 0; i < v->nram; i++)
		poke(v->ram[i].addr, v->ram[i].value);
	for (unsigned i = 0; i < NREGS; i++) {
		if (general[i] || i == AX)
			c->r[general[i]] = v->before[i];
		else if (i != FLAGS)
			seg_load_real(c, segment[i], (u16)v->before[i]);
	}
	cpu_set_arith(c, v->before[FLAGS]);
	c->eflags = (v->before[FLAGS] & flag_bits() & ~(u32)OSZAPC) | FL_1;
	c->activity = ACTIVITY_RUN;
	c->shadow_at = 0;
	c->db_pending = 0;
	c->chain_len = 0;
	update_mode(c);
}

static void unload(const struct test *v)
{
	for (unsigned i = 0; i < v->nram; i++)
		poke(v->ram[i].addr, 0);
	for (unsigned i = 0; i < v->nfram; i++)
		poke(v->fram[i].addr, 0);
}

static u32 reg_now(unsigned i)
{
	if (i == FLAGS)
		return cpu_flags(c);
	return general[i] || i == AX ? (u32)c->r[general[i]] : c->seg[segment[i]].sel;
}

/* An exception whose handler raises it again is a run without an end: two ticks in the same vector stop it. */
static volatile sig_atomic_t current, current_at_tick;

static void tick(int signal)
{
	(void)signal;
	if (c && current == current_at_tick)
		c->stop = true;
	current_at_tick = current;
}

static void watch_time(void)
{
	struct itimerval every = { { 2, 0 }, { 2, 0 } };

	signal(SIGALRM, tick);
	setitimer(ITIMER_REAL, &every, NULL);
}

/* ---- comparison ---- */

static char why[200];

static bool wrong(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof why, format, ap);
	va_end(ap);
	return false;
}

/* The byte at ADDR must be VALUE, but for the bits of MASK. */
static bool same_byte(u32 addr, u8 value, u8 mask)
{
	addr &= (u32)mem.mask;
	if (!((ram->host[addr] ^ value) & ~mask))
		return true;
	return wrong("byte %06x: %02x, should be %02x", addr, ram->host[addr], value);
}

static bool same_registers(const struct test *v, u32 undefined, u32 ignored)
{
	for (unsigned i = 0; i < NREGS; i++) {
		u32 now = reg_now(i), then = v->after[i], mask = v->mask[i];

		mask &= i == FLAGS                                        ? flag_bits() & ~undefined
			: segment[i] || i == R_ES || !has(&model, F_I386) ? 0xffff
									  : 0xffffffff;
		if ((now ^ then) & mask && !(ignored >> i & 1) && (has(&model, F_I386) || (i != R_FS && i != R_GS)))
			return wrong("%s: %04x, should be %04x", vector_reg_names[i], now & mask, then & mask);
	}
	return true;
}

static bool same(const struct test *v, u32 undefined, u32 ignored, bool memory_too)
{
	u32 flags_at = ~(u32)1; /* where an exception pushed FLAGS */

	if (!same_registers(v, undefined, ignored))
		return false;
	if (!memory_too)
		return true;
	if (ignored >> FLAGS & 1)
		undefined |= OSZAPC;
	if (v->exc >= 0)
		flags_at = (v->after[R_SS] << 4) + (u16)(v->after[SP] + 4);
	for (unsigned i = 0; i < v->nfram; i++) {
		u32 at = v->fram[i].addr;
		u8 mask = at == flags_at ? (u8)undefined : at == flags_at + 1 ? (u8)(undefined >> 8) : 0;

		if (!same_byte(at, v->fram[i].value, mask))
			return false;
	}
	for (unsigned i = 0; i < v->nram; i++) {
		bool changed = false;

		for (unsigned k = 0; k < v->nfram && !changed; k++)
			changed = v->fram[k].addr == v->ram[i].addr;
		if (!changed && !same_byte(v->ram[i].addr, v->ram[i].value, 0))
			return false;
	}
	return true;
}

/* Where this 286 and ours are known to differ, and why. What is not ignored must still be the same. */
struct difference {
	bool (*applies)(const struct test *v, const struct dec *d);
	u32 ignored;    /* registers, by 1 << AX... */
	bool memory;    /* memory is not compared either */
	const char *reason;
};

static bool string_fault(const struct test *v, const struct dec *d)
{
	unsigned a = dec_kind(d, 0), b = dec_kind(d, 1);

	return v->exc == VEC_GP && (a == OPK_X || a == OPK_Y || b == OPK_X || b == OPK_Y);
}

static bool pop_fault(const struct test *v, const struct dec *d)
{
	return v->exc == VEC_GP && d->opcode == 0x8f;
}

static const struct difference differences[] = {
	{ string_fault, 1 << SI | 1 << DI | 1 << CX | 1 << FLAGS, false,
	  "a 286 has moved SI, DI and CX, and the flags, when a string instruction faults at FFFFh; ours can be restarted, as on a 386" },
	{ pop_fault, 1 << SP, true, "a 286 has moved SP when POP to memory faults; ours can be restarted, as on a 386" },
};

/* ---- files ---- */

static unsigned long passed, failed, noted[ARRAY_LEN(differences)];
static bool verbose;
static const char *model_wanted;

/* Up to the HLT, or over one instruction with the exception that it raises. */
static bool run_instruction(const struct test *v)
{
	if (v->halts)
		return cpu_run(c, c->icount + 100, CLOCK_NEVER) == CPU_DEAD_HALT || wrong("no HLT");
	the_clock.steps_end = clock_steps(&the_clock, c->icount) + 1;
	return cpu_run(c, c->icount, CLOCK_NEVER) == CPU_LIMIT || wrong("it does not end");
}

static void run_vector(const char *file, const struct test *v, unsigned *bad)
{
	struct dec d;
	struct op o;
	u32 undefined = 0;
	bool ok, known = false;

	if (decode(c->isa, &model, MODE_16, v->code, v->len, &d, &o) == DECODE_OK && has(&model, F_I186))
		undefined = v->exc == VEC_DE ? OSZAPC : d.row->insn->undef;
	load(v);
	current++;
	ok = run_instruction(v) && same(v, undefined, 0, true);
	for (unsigned i = 0; !ok && !known && c->activity == ACTIVITY_HALT && d.row && i < ARRAY_LEN(differences);
	     i++) {
		const struct difference *difference = &differences[i];

		known = difference->applies(v, &d) && same(v, undefined, difference->ignored, !difference->memory);
		noted[i] += known;
	}
	unload(v);
	if (ok || known) {
		passed += ok;
		return;
	}
	failed++;
	if ((*bad)++ < (verbose ? 1000u : 3u)) {
		printf("%s: %s (", file, v->name);
		for (unsigned i = 0; i < v->len; i++)
			printf("%02x", v->code[i]);
		printf(")%s: %s\n", v->exc >= 0 ? ", exception" : "", why);
	}
}

/* The model whose vectors are in PATH, of a file that says CPU of itself. */
static const char *model_of(const char *path, const char *cpu)
{
	static const struct { const char *cpu, *folder, *model; } known[] = {
		{ "8088", "/8088/", "8086,-fpu" }, { "8086", "/8086/", "8086,-fpu" }, { "186", "/80186/", "186,-fpu" },
		{ "C286", "/80286/", "286" }, { "386E", "/80386/", "386" },
	};
	static char with_slash[4096];

	snprintf(with_slash, sizeof with_slash, "/%s", path);
	if (model_wanted)
		return model_wanted;
	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		if (*cpu ? !strcmp(cpu, known[i].cpu) : strstr(with_slash, known[i].folder) != NULL)
			return known[i].model;
	return "286";
}

static void run_file(const char *path)
{
	static struct test v;
	const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *what;
	struct vector_file f;
	enum next next;
	unsigned bad = 0;

	if (!vector_file_open(&f, path, &what)) {
		printf("%s: %s\n", path, what);
		failed++;
		return;
	}
	if (!machine(model_of(path, f.cpu))) {
		failed++;
		vector_file_close(&f);
		return;
	}
	while ((next = vector_file_next(&f, &v)) == VECTOR) {
		v.halts |= has(&model, F_I286);
		run_vector(file, &v, &bad);
	}
	if (next == VECTORS_BAD) {
		printf("%s: what is at byte %zu is not a vector\n", path, f.at);
		failed++;
	}
	vector_file_close(&f);
	if (bad > 3 && !verbose)
		printf("%s: %u in all\n", file, bad);
}

static bool ends_in(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && !strcmp(name + len - n, end);
}

static int is_vectors(const struct dirent *e)
{
	static const char *const ends[] = { ".jsonl.gz", ".jsonl", ".json.gz", ".json", ".MOO.gz", ".MOO", ".moo" };

	for (unsigned i = 0; i < ARRAY_LEN(ends); i++)
		if (ends_in(e->d_name, ends[i]))
			return strncmp(e->d_name, "metadata", 8) != 0;
	return 0;
}

/* False: no such folder, or nothing in it. */
static bool run_dir(const char *dir)
{
	struct dirent **list;
	int n = scandir(dir, &list, is_vectors, alphasort);
	char path[4096];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
		run_file(path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return n > 0;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir"), *dir = getenv("VECTORS");
	char path[4096];

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	watch_time();
	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		if (!strcmp(argv[1], "-v")) {
			verbose = true;
		} else if (!strcmp(argv[1], "--model") && argc > 2) {
			model_wanted = argv[2];
			argc--, argv++;
		} else {
			fprintf(stderr, "usage: vectors [-v] [--model MODEL] [DIR | FILE]...\n");
			return 2;
		}
	}
	if (argc < 2) {
		snprintf(path, sizeof path, "%s/../shared/silicon/80286", srcdir ? srcdir : ".");
		if (!run_dir(dir ? dir : path)) {
			printf("no vectors in %s\n0 passed, 0 failed, 1 skipped\n", dir ? dir : path);
			return 0;
		}
	}
	for (int i = 1; i < argc; i++)
		if (!run_dir(argv[i]))
			run_file(argv[i]);
	for (unsigned i = 0; i < ARRAY_LEN(differences); i++)
		if (noted[i])
			printf("known difference, %lu times: %s\n", noted[i], differences[i].reason);
	for (unsigned i = 0; i < ARRAY_LEN(differences); i++)
		passed += noted[i];
	printf("%lu passed, %lu failed\n", passed, failed);
	machine_free();
	return failed != 0;
}
