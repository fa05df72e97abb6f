/* Single instructions as a real 80286 did them (shared/silicon/README.md: one JSON object a line), against ours.
 *
 *     vectors [DIR | FILE.jsonl.gz]...        default: $VECTORS, then ../shared/silicon/80286 beside the sources
 *
 * Flags that the instruction table calls undefined after an instruction are not compared, neither in the register nor in the image that
 * an exception pushed. Everything else must be the same: registers, memory, and which exception it was. */
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <zlib.h>

#include "cpu/op.h"

enum { AX, BX, CX, DX, R_CS, R_SS, R_DS, R_ES, SP, BP, SI, DI, IP, FLAGS, NREGS };
static const char *const reg_names[NREGS] = { "ax", "bx", "cx", "dx", "cs", "ss", "ds", "es", "sp", "bp", "si", "di", "ip", "flags" };
static const u8 general[NREGS] = { [AX] = RAX, [BX] = RBX, [CX] = RCX, [DX] = RDX, [SP] = RSP, [BP] = RBP, [SI] = RSI, [DI] = RDI, [IP] = RIP };

enum { MAX_BYTES = 512 };
struct byte { u32 addr; u8 value; };
struct test {
	char name[80];
	u8 code[32];
	unsigned len;                /* with the HLT */
	u16 before[NREGS], after[NREGS];
	struct byte ram[MAX_BYTES], fram[MAX_BYTES];
	unsigned nram, nfram;
	int exc;                     /* -1: none */
};

/* ---- JSON: enough for these files ---- */

struct json { const char *at; bool bad; };

static void space(struct json *j)
{
	while (*j->at == ' ')
		j->at++;
}

static bool next_is(struct json *j, char c)
{
	space(j);
	if (*j->at != c)
		return false;
	j->at++;
	return true;
}

static void expect(struct json *j, char c)
{
	if (!next_is(j, c))
		j->bad = true;
}

static long number(struct json *j)
{
	char *end;
	long v;

	space(j);
	v = strtol(j->at, &end, 10);
	if (end == j->at)
		j->bad = true;
	j->at = end;
	return v;
}

static void string(struct json *j, char *out, size_t room)
{
	size_t n = 0;

	expect(j, '"');
	while (!j->bad && *j->at && *j->at != '"') {
		if (*j->at == '\\' && j->at[1])
			j->at++;
		if (n + 1 < room)
			out[n++] = *j->at;
		j->at++;
	}
	out[n] = 0;
	expect(j, '"');
}

static void registers(struct json *j, u16 *out)
{
	char key[16];

	expect(j, '{');
	while (!j->bad && !next_is(j, '}')) {
		int r = 0;

		next_is(j, ',');
		string(j, key, sizeof key);
		expect(j, ':');
		while (r < NREGS && strcmp(reg_names[r], key))
			r++;
		if (r == NREGS)
			j->bad = true;
		else
			out[r] = (u16)number(j);
	}
}

static unsigned memory(struct json *j, struct byte *out)
{
	unsigned n = 0;

	expect(j, '[');
	while (!j->bad && !next_is(j, ']')) {
		next_is(j, ',');
		expect(j, '[');
		if (n == MAX_BYTES) {
			j->bad = true;
			break;
		}
		out[n].addr = (u32)number(j) & 0xffffff;
		expect(j, ',');
		out[n++].value = (u8)number(j);
		expect(j, ']');
	}
	return n;
}

static unsigned hex(const char *s, u8 *out, unsigned room)
{
	unsigned n = 0, v;

	while (n < room && sscanf(s + 2 * n, "%2x", &v) == 1)
		out[n++] = (u8)v;
	return n;
}

static bool parse(const char *line, struct test *v)
{
	struct json j = { line, false };
	char key[16], text[80];

	v->nram = v->nfram = 0;
	v->exc = -1;
	expect(&j, '{');
	while (!j.bad && !next_is(&j, '}')) {
		next_is(&j, ',');
		string(&j, key, sizeof key);
		expect(&j, ':');
		if (!strcmp(key, "name"))
			string(&j, v->name, sizeof v->name);
		else if (!strcmp(key, "bytes"))
			string(&j, text, sizeof text), v->len = hex(text, v->code, sizeof v->code);
		else if (!strcmp(key, "regs"))
			registers(&j, v->before), memcpy(v->after, v->before, sizeof v->after);
		else if (!strcmp(key, "ram"))
			v->nram = memory(&j, v->ram);
		else if (!strcmp(key, "fregs"))
			registers(&j, v->after);
		else if (!strcmp(key, "fram"))
			v->nfram = memory(&j, v->fram);
		else if (!strcmp(key, "exc"))
			v->exc = (int)number(&j);
		else
			j.bad = true;
	}
	return !j.bad;
}

/* ---- the machine: a 286 and 16 MiB, nothing else ---- */

static struct model model;
static struct space mem, io;
static struct clock the_clock;
static struct ram *ram;
static struct cpu *c;

static bool machine(void)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &the_clock };
	char *error;

	if (!model_parse(&model, "286", &error)) {
		fprintf(stderr, "%s\n", error);
		return false;
	}
	space_init(&mem);
	space_init(&io);
	mem.mask = 0xffffff;
	ram = ram_new(16 * MiB);
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
	ram->host[addr] = value;
	ram_touch(ram, addr, 1, addr);
}

static void load(const struct test *v)
{
	for (unsigned i = 0; i < v->nram; i++)
		poke(v->ram[i].addr, v->ram[i].value);
	for (unsigned i = 0; i < NREGS; i++)
		if (general[i] || i == AX)
			c->r[general[i]] = v->before[i];
	seg_load_real(c, CS, v->before[R_CS]);
	seg_load_real(c, SS, v->before[R_SS]);
	seg_load_real(c, DS, v->before[R_DS]);
	seg_load_real(c, ES, v->before[R_ES]);
	cpu_set_arith(c, v->before[FLAGS]);
	c->eflags = (v->before[FLAGS] & 0xfff & ~(u32)OSZAPC) | FL_1;
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

static u16 reg_now(unsigned i)
{
	switch (i) {
	case R_CS: return c->seg[CS].sel;
	case R_SS: return c->seg[SS].sel;
	case R_DS: return c->seg[DS].sel;
	case R_ES: return c->seg[ES].sel;
	case FLAGS: return (u16)cpu_flags(c) & 0xfff;
	default: return (u16)c->r[general[i]];
	}
}

/* An exception whose handler raises it again is a run without an end: two ticks in the same vector stop it. */
static volatile sig_atomic_t current, current_at_tick;

static void tick(int signal)
{
	(void)signal;
	if (current == current_at_tick)
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
	if (!((ram->host[addr] ^ value) & ~mask))
		return true;
	return wrong("byte %06x: %02x, should be %02x", addr, ram->host[addr], value);
}

static bool same(const struct test *v, u32 undefined, u32 ignored, bool memory_too)
{
	u32 flags_at = ~(u32)1; /* where an exception pushed FLAGS */

	for (unsigned i = 0; i < NREGS; i++) {
		u16 now = reg_now(i), then = v->after[i], mask = i == FLAGS ? 0xf000 | (u16)undefined : 0;

		if (((now ^ then) & ~mask) && !(ignored >> i & 1))
			return wrong("%s: %04x, should be %04x", reg_names[i], now, then);
	}
	if (!memory_too)
		return true;
	if (ignored >> FLAGS & 1)
		undefined |= OSZAPC;
	if (v->exc >= 0)
		flags_at = ((u32)v->after[R_SS] << 4) + (u16)(v->after[SP] + 4);
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

static void run_vector(const char *file, const struct test *v, unsigned *bad)
{
	struct dec d;
	struct op o;
	u32 undefined = 0;
	bool ok, known = false;

	if (decode(c->isa, &model, MODE_16, v->code, v->len, &d, &o) == DECODE_OK)
		undefined = d.row->insn->undef;
	load(v);
	current++;
	ok = cpu_run(c, c->icount + 100, CLOCK_NEVER) == CPU_DEAD_HALT ? same(v, undefined, 0, true) : wrong("no HLT");
	for (unsigned i = 0; !ok && !known && c->activity == ACTIVITY_HALT && d.row && i < ARRAY_LEN(differences); i++) {
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
		for (unsigned i = 0; i + 1 < v->len; i++)
			printf("%02x", v->code[i]);
		printf(")%s: %s\n", v->exc >= 0 ? ", exception" : "", why);
	}
}

static void run_file(const char *path)
{
	static char line[1 << 16];
	static struct test v;
	const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	gzFile f = gzopen(path, "rb");
	unsigned bad = 0;

	if (!f) {
		printf("%s: cannot be read\n", path);
		failed++;
		return;
	}
	gzbuffer(f, 1 << 17);
	while (gzgets(f, line, sizeof line)) {
		if (!parse(line, &v)) {
			printf("%s: a line that is not a vector\n", path);
			failed++;
			break;
		}
		run_vector(file, &v, &bad);
	}
	gzclose(f);
	if (bad > 3 && !verbose)
		printf("%s: %u in all\n", file, bad);
}

static int is_vectors(const struct dirent *e)
{
	size_t len = strlen(e->d_name);

	return len > 9 && !strcmp(e->d_name + len - 9, ".jsonl.gz");
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
	if (!machine()) {
		printf("0 passed, 1 failed\n");
		return 1;
	}
	watch_time();
	if (argc > 1 && !strcmp(argv[1], "-v"))
		verbose = true, argc--, argv++;
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
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
	return failed != 0;
}
