/* SPDX-License-Identifier: MIT */
/* libvcpu against the host's own processor: random trials (make.c) run by both (host.c, guest.c), which must agree
 * (compare.c) about every register, flag, byte of memory and exception.
 *
 *     native [--seed S] [--count N] [--first I] [--rows REGEXP] [--bits 16|32|64] [--sequences PERCENT] [--show] [--table] [--stitched] [--model MODEL]
 *     native --encodings          what is #UD, and what is too long, among all encodings
 *     native --case 'WORDS'       one trial, as a failure prints it
 *
 * --stitched: libvcpu does all of it by machine code, which is made at once.
 * --table ends with a table of what was compared. --count 0 goes on until SIGINT. Trial I of seed S is always the same
 * one. Where the manuals leave something open, libvcpu's models of Intel's processors do what family 6 model 207 does, those
 * of AMD's what family 25 model 1 does. --model: which one; without it, the newest of the host's maker. With a model of
 * the other maker, a trial that differs and has an instruction of the table in makers.h is stepped over, and counted
 * under that name. */
#define _GNU_SOURCE
#include <errno.h>
#include <regex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "tests/silicon/trial.h"

enum { REPORTS = 40 };

/* What the parent must know when the child dies. */
struct progress {
	u64 next, passed, failed, skipped, reported, unencoded, stitched, stepped_over[DIFF_COUNT];
	struct trial trial;
	struct { u64 cases, retired, faulted, failed; } row[MAX_ROWS];
};

static struct progress *progress;
static u8 *window;      /* the host's, at another address, where everything can be written */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* ---- the window ---- */

static void make_window(void)
{
	int fd = memfd_create("window", 0);

	if (fd < 0 || ftruncate(fd, WINDOW_SIZE))
		abort();
	/* Nothing is behind it: a poke that goes too far shows, wherever the kernel has put the window. */
	window = mmap(NULL, WINDOW_SIZE + PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED ||
	    mmap(window, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != window)
		abort();
	for (unsigned page = 0; page < 16; page++) {
		int rights = page == 6 || page == 7 ? PROT_READ | PROT_WRITE | PROT_EXEC
						    : PROT_READ | (page_writable(page) ? PROT_WRITE : 0);
		void *at = (void *)(uintptr_t)(WINDOW + page * PAGE_SIZE);

		if (page_mapped(page) && mmap(at, PAGE_SIZE, rights, MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE,
					      fd, page * PAGE_SIZE) != at)
			abort();
	}
	close(fd);
	memcpy(window, window_default, WINDOW_SIZE);
}

static void put_pokes(const struct trial *t)
{
	for (unsigned i = t->pokes; i-- > 0;) { /* the code last */
		const struct poke *p = &t->poke[i];

		memcpy(window + p->at, p->bytes, p->len);
		guest_poke(p->at, p->bytes, p->len);
	}
}

/* Put back what was there before. Returns where the two differed, or -1. */
static int settle_window(const struct trial *t, const struct state *host)
{
	const u8 *here = guest_window();
	int where = -1;

	for (unsigned page = 0; page < WINDOW_SIZE; page += PAGE_SIZE) {
		if (!page_mapped(page / PAGE_SIZE) || /* nobody can see what put_pokes() has written there */
		    (!memcmp(window + page, window_default + page, PAGE_SIZE) &&
		     !memcmp(here + page, window_default + page, PAGE_SIZE)))
			continue;
		if (where < 0 && memcmp(window + page, here + page, PAGE_SIZE))
			for (unsigned k = page; k < page + PAGE_SIZE && where < 0; k++)
				if (window[k] != here[k] && !compare_memory_free(t, host, k))
					where = (int)k;
		for (unsigned k = page; k < page + PAGE_SIZE; k += 256) {
			if (memcmp(window + k, window_default + k, 256))
				memcpy(window + k, window_default + k, 256);
			if (memcmp(here + k, window_default + k, 256))
				guest_poke(k, window_default + k, 256);
		}
	}
	return where;
}

/* ---- one trial ---- */

enum outcome { AGREE, DIFFER, STEP_OVER, SKIP };

static const char *difference;
static int stepped_over; /* enum difference */
static bool same_maker;

static enum outcome run(const struct trial *t, struct state *host)
{
	static char text[64];
	struct state here;
	int where;

	*host = t->in;
	put_pokes(t);
	host_run(host);
	if (host->vector >= 0)
		guest_run(t, &here);
	where = settle_window(t, host);
	if (host->vector < 0 || here.vector == HOST_EMULATES)
		return SKIP;
	difference = t->definedness ? compare_definedness(t, host, &here) : compare(t, host, &here);
	if (!difference && where >= 0 && !t->definedness) {
		snprintf(text, sizeof text, "memory at %x", WINDOW + (unsigned)where);
		difference = text;
	}
	if (!difference)
		return AGREE;
	stepped_over = same_maker ? -1 : makers_difference(t, host, &here);
	return stepped_over < 0 ? DIFFER : STEP_OVER;
}

/* ---- trials as words ---- */

static const char *const reg_names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
	"r11", "r12", "r13", "r14", "r15" };
static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

static void print_bytes(const char *name, unsigned n, const u8 *b, unsigned len, bool always)
{
	bool any = always;

	for (unsigned i = 0; i < len; i++)
		any |= b[i] != 0;
	if (!any)
		return;
	printf(" %s%x=", name, n);
	for (unsigned i = 0; i < len; i++)
		printf("%02x", b[i]);
}

static void print_number(const char *name, u64 v, u64 usual)
{
	if (v != usual)
		printf(" %s=%llx", name, (unsigned long long)v);
}

static void print_trial(const struct trial *t)
{
	const struct state *s = &t->in;

	printf("native --case 'bits=%u", t->bits);
	print_number("through", t->through, 0);
	print_number("undefined", t->undefined, 0);
	for (unsigned i = 0; i < t->pokes; i++)
		if (t->poke[i].len)
			print_bytes("at", t->poke[i].at, t->poke[i].bytes, t->poke[i].len, true);
	for (unsigned i = 0; i < 16; i++)
		print_number(reg_names[i], s->r[i], 0);
	print_number("rip", s->rip, 0);
	print_number("flags", s->flags, FL_1 | FL_I);
	for (unsigned i = 0; i < 6; i++)
		print_number(seg_names[i], s->seg[i], 0);
	print_number("fsbase", s->fs_base, 0);
	print_number("gsbase", s->gs_base, 0);
	print_number("fcw", s->f.cw, 0x37f);
	print_number("fsw", s->f.sw, 0);
	print_number("tags", s->f.tags, 0);
	print_number("mxcsr", s->f.mxcsr, 0x1f80);
	for (unsigned i = 0; i < 8; i++)
		print_bytes("st", i, s->f.st[i], 10, false);
	for (unsigned i = 0; i < 16; i++)
		print_bytes("xmm", i, s->f.xmm[i], 16, false);
	for (unsigned i = 0; i < 16; i++)
		print_bytes("high", i, s->f.ymm_high[i], 16, false);
	for (unsigned i = 0; i < 8; i++) {
		char name[3] = { 'k', (char)('0' + i) };

		print_number(name, s->z.k[i], 0);
	}
	for (unsigned i = 0; i < 16; i++)
		print_bytes("zhigh", i, s->z.zmm_high[i], 32, false);
	for (unsigned i = 0; i < 16; i++)
		print_bytes("zmm", 16 + i, s->z.zmm[i], 64, false);
	printf("'\n");
}

static unsigned parse_bytes(const char *s, u8 *out, unsigned room)
{
	unsigned n = 0, byte;

	for (; n < room && sscanf(s, "%2x", &byte) == 1; s += 2)
		out[n++] = (u8)byte;
	return n;
}

static bool parse_word(struct trial *t, const char *word, const char *value)
{
	static const struct { const char *name; size_t offset; u8 size; } fields[] = {
		{ "rip", offsetof(struct state, rip), 8 }, { "flags", offsetof(struct state, flags), 8 },
			{ "fsbase", offsetof(struct state, fs_base), 8 },
		{ "gsbase", offsetof(struct state, gs_base), 8 }, { "fcw", offsetof(struct state, f.cw), 2 },
			{ "fsw", offsetof(struct state, f.sw), 2 },
		{ "tags", offsetof(struct state, f.tags), 1 }, { "mxcsr", offsetof(struct state, f.mxcsr), 4 },
	};
	struct state *s = &t->in;
	u64 v = strtoull(value, NULL, 16);
	unsigned n;

	for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
		if (!strcmp(word, fields[i].name)) {
			put_size((u8 *)s + fields[i].offset, fields[i].size, v);
			return true;
		}
	for (unsigned i = 0; i < 16; i++)
		if (!strcmp(word, reg_names[i])) {
			s->r[i] = v;
			return true;
		}
	for (unsigned i = 0; i < 6; i++)
		if (!strcmp(word, seg_names[i])) {
			s->seg[i] = (u16)v;
			return true;
		}
	if (!strcmp(word, "bits"))
		t->bits = (u8)atoi(value);
	else if (!strcmp(word, "through"))
		t->through = v;
	else if (!strcmp(word, "undefined"))
		t->undefined = (u32)v;
	else if (sscanf(word, "at%x", &n) == 1 && t->pokes <= POKES && n < WINDOW_SIZE) {
		struct poke *p = &t->poke[t->pokes++];

		p->at = (u16)n;
		p->len = (u16)parse_bytes(value, p->bytes,
					  WINDOW_SIZE - n < sizeof p->bytes ? WINDOW_SIZE - n : sizeof p->bytes);
	} else if (sscanf(word, "st%x", &n) == 1 && n < 8)
		parse_bytes(value, s->f.st[n], 10);
	else if (sscanf(word, "xmm%x", &n) == 1 && n < 16)
		parse_bytes(value, s->f.xmm[n], 16);
	else if (sscanf(word, "high%x", &n) == 1 && n < 16)
		parse_bytes(value, s->f.ymm_high[n], 16);
	else if (sscanf(word, "k%x", &n) == 1 && n < 8)
		s->z.k[n] = v;
	else if (sscanf(word, "zhigh%x", &n) == 1 && n < 16)
		parse_bytes(value, s->z.zmm_high[n], 32);
	else if (sscanf(word, "zmm%x", &n) == 1 && n >= 16 && n < 32)
		parse_bytes(value, s->z.zmm[n - 16], 64);
	else
		return false;
	return true;
}

static void name_rows(struct trial *t)
{
	struct dec d;
	struct op o;

	t->count = 0;
	if (guest_decode(t->bits, t->poke[0].bytes, t->poke[0].len, &d, &o) == DECODE_OK) {
		t->row[0] = (u16)(d.row->insn - insn_table);
		t->count = d.len >= t->poke[0].len - 1 ? 1 : 2;
	}
}

static int run_case(char *words)
{
	static struct trial t;
	struct state host;

	t.in.flags = FL_1 | FL_I;
	t.in.f.cw = 0x37f;
	t.in.f.mxcsr = 0x1f80;
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = 0;
		if (!value || !parse_word(&t, word, value)) {
			fprintf(stderr, "native: --case: what is \"%s\"?\n", word);
			return 2;
		}
	}
	name_rows(&t);
	switch (run(&t, &host)) {
	case AGREE: printf("agree: exception %d at %llx\n1 passed, 0 failed\n", host.vector,
		(unsigned long long)host.rip); return 0;
	case SKIP: printf("no end\n0 passed, 0 failed, 1 skipped\n"); return 0;
	case STEP_OVER: printf("%s: as the makers differ\n0 passed, 0 failed, 1 skipped\n", difference); return 0;
	default: printf("%s\n0 passed, 1 failed\n", difference); return 1;
	}
}

/* ---- shrinking ---- */

static bool still(const struct trial *t)
{
	struct state host;

	return run(t, &host) == DIFFER;
}

#define TRY(change) do { struct trial old = *t; change; if (memcmp(&old, t, sizeof old) && !still(t)) *t = old; \
	} while (0)

static void shrink(struct trial *t)
{
	TRY(t->undefined = t->ever);
	for (unsigned i = t->count; i-- > 0 && t->count > 1;) { /* NOPs */
		unsigned end = i + 1 < t->count ? t->start[i + 1] : t->poke[0].len;

		TRY(memset(t->poke[0].bytes + t->start[i], 0x90, end - t->start[i]));
	}
	if (t->count == 1 && !insn_table[t->row[0]].ends)
		TRY(t->through = false);
	while (t->pokes > 1) {
		unsigned before = t->pokes;

		TRY(t->pokes--);
		if (t->pokes == before)
			break;
	}
	for (unsigned i = 1; i < t->pokes; i++)
		TRY(memset(t->poke[i].bytes, 0, t->poke[i].len));
	for (unsigned i = 0; i < 16; i++)
		TRY(t->in.r[i] = 0);
	TRY(t->in.flags = FL_1 | FL_I);
	TRY(t->in.fs_base = 0);
	TRY(t->in.gs_base = 0);
	TRY(t->in.f.cw = 0x37f; t->in.f.sw &= 0x7f7f);
	TRY(t->in.f.sw &= 0x3800);
	TRY(t->in.f.mxcsr = 0x1f80);
	TRY(t->in.f.tags = 0xff);
	for (unsigned i = 0; i < 8; i++)
		TRY(memset(t->in.f.st[i], 0, 16));
	for (unsigned i = 0; i < 16; i++) {
		TRY(memset(t->in.f.xmm[i], 0, 16));
		TRY(memset(t->in.f.ymm_high[i], 0, 16));
		TRY(memset(t->in.z.zmm_high[i], 0, 32));
		TRY(memset(t->in.z.zmm[i], 0, 64));
		TRY(t->in.z.k[i & 7] = 0);
	}
}

/* ---- many ---- */

static u64 seed = 1, count = 300000, first, encodings /* that come after those */, stride = 1;
static unsigned only_bits, sequences = 25;
static bool show, table;
static const struct isa_row *pool[3][MAX_ROWS]; /* for 16, 32, 64 bits */
static unsigned pool_size[3];

static void make(struct trial *t, u64 number)
{
	static const u8 bits[3] = { 16, 32, 64 };
	unsigned mode;

	t->definedness = false;
	if (number >= first + count && encodings) {
		make_encoding(t, (number - first - count) * stride);
		return;
	}
	make_seed(seed * 0x100000001b3 + number);
	mode = (unsigned)(rnd() >> 40) % 10;
	mode = mode < 2 ? 0 : mode < 4 ? 1 : 2;
	if (only_bits)
		mode = only_bits >> 5;
	if (!pool_size[mode])
		mode = pool_size[2] ? 2 : pool_size[1] ? 1 : 0;
	if ((unsigned)(rnd() >> 40) % 100 < sequences)
		make_sequence(t, bits[mode], pool[mode], pool_size[mode]);
	else
		make_single(t, pool[mode][(unsigned)(rnd() >> 40) % pool_size[mode]], bits[mode]);
}

static void report(struct trial *t, u64 number)
{
	const struct insn *insn = &insn_table[t->row[0]];
	char first_words[256];

	progress->failed++;
	for (unsigned i = 0; i < t->count; i++)
		progress->row[t->row[i]].failed++;
	/* Of each row the first few, and not more than a screen or two. */
	if (progress->reported >= REPORTS || (!t->definedness && progress->row[t->row[0]].failed > 1))
		return;
	progress->reported++;
	snprintf(first_words, sizeof first_words, "%s", difference);
	if (!t->definedness)
		shrink(t);
	printf("FAILED %llu: %s \"%s\" \"%s\"%s: %s\n    ", (unsigned long long)number, insn->mnemonic, insn->encoding,
		insn->operands,
	       t->count > 1 ? ", ..." : "", first_words);
	print_trial(t);
}

static void compare_many(void)
{
	u64 end = count || encodings ? first + count + encodings : ~(u64)0;

	for (; progress->next < end && !interrupted; progress->next++) {
		struct trial *t = &progress->trial;
		struct state host;

		make(t, progress->next);
		if (show)
			print_trial(t);
		if (!t->count) {
			progress->unencoded++;
			continue;
		}
		switch (run(t, &host)) {
		case SKIP:
			progress->skipped++;
			continue;
		case STEP_OVER:
			progress->stepped_over[stepped_over]++;
			continue;
		case DIFFER:
			report(t, progress->next);
			break;
		case AGREE:
			progress->passed++;
			break;
		}
		for (unsigned i = 0; i < t->count && !t->definedness; i++) {
			progress->row[t->row[i]].cases++;
			if (t->count == 1 && host.vector == VEC_BP)
				progress->row[t->row[i]].retired++;
			else if (t->count == 1)
				progress->row[t->row[i]].faulted++;
		}
	}
	progress->stitched += guest_stitched();
	fflush(stdout);
}

/* ---- the child ---- */

/* What random numbers address most is the end of the linear space, where the kernel has put the stack and, in it, the
 * environment. Others take their places, and code in the window finds nothing there. */
static void hide_first_stack(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long from, to, begin = 0, end = 0;
	unsigned n = 0;
	char **copy;

	while (f && fgets(line, sizeof line, f))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &from, &to) == 2) {
			begin = from;
			end = to;
		}
	if (f)
		fclose(f);
	while (environ[n])
		n++;
	copy = calloc(n + 1, sizeof *copy);
	if (!copy)
		abort();
	while (n--)
		copy[n] = strdup(environ[n]);
	environ = copy;
	if (end > begin && mprotect((void *)begin, end - begin, PROT_NONE))
		abort();
}

static char *words; /* of --case */

static void child(void)
{
	const char *why = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	hide_first_stack();
	make_window();
	if (!host_init(&why)) {
		printf("skipped: %s\n0 passed, 0 failed, 1 skipped\n", why);
		fflush(stdout);
		_exit(77);
	}
	for (unsigned i = 0; i < L_COUNT; i++)
		if (!host_ldt(i, ldt_descriptor(i))) {
			pool_size[0] = 0;
			pool_size[1] = 0;
		}
	host_no_system_calls();
	if (words)
		exit(run_case(words));
	compare_many();
	exit(0);
}

static void start_child(void)
{
	enum { SIZE = 1 << 20 };
	static ucontext_t context;

	getcontext(&context);
	context.uc_stack.ss_size = SIZE;
	context.uc_stack.ss_sp = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (context.uc_stack.ss_sp == MAP_FAILED)
		abort();
	makecontext(&context, child, 0);
	setcontext(&context);
	abort();
}

/* ---- rows ---- */

static void make_pools(const char *rows)
{
	static const u8 bits[3] = { 16, 32, 64 };
	regex_t re;

	if (rows && regcomp(&re, rows, REG_EXTENDED | REG_NOSUB)) {
		fprintf(stderr, "native: --rows: \"%s\" is no regular expression\n", rows);
		exit(2);
	}
	for (unsigned i = 0; i < insn_count; i++) {
		const struct isa_row *row = &guest->isa->rows[i];
		const char *why;
		char text[128];

		snprintf(text, sizeof text, "%s %s %s", row->insn->mnemonic, row->insn->encoding, row->insn->operands);
		if (!row_usable(row, &why) || (rows && regexec(&re, text, 0, NULL, 0)))
			continue;
		for (unsigned m = 0; m < 3; m++)
			if (row_in_mode(row, bits[m]) && (!only_bits || only_bits == bits[m]))
				pool[m][pool_size[m]++] = row;
	}
	if (rows)
		regfree(&re);
	if (!pool_size[0] && !pool_size[1] && !pool_size[2]) {
		fprintf(stderr, "native: no row matches\n");
		exit(2);
	}
}

/* ---- what was compared, by extension, as Markdown ---- */

static const char *feature_name(unsigned f)
{
	static const char *const names[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = text,
		FEATURES(X)
#undef X
	};

	return names[f];
}

static void print_table(void)
{
	printf("| extension | rows | run | instructions | retired | faulted | mismatches | not run |\n|---|---|---|---|---|---|---|---|\n");
	for (unsigned f = 0; f < F_COUNT; f++) {
		u64 cases = 0, retired = 0, faulted = 0, failed = 0;
		unsigned rows = 0, ran = 0;
		const char *reasons[8], *why;
		unsigned nreasons = 0;

		for (unsigned i = 0; i < insn_count; i++) {
			bool known = false;

			if (insn_table[i].since != f)
				continue;
			rows++;
			cases += progress->row[i].cases;
			retired += progress->row[i].retired;
			faulted += progress->row[i].faulted;
			failed += progress->row[i].failed;
			if (progress->row[i].cases) {
				ran++;
				continue;
			}
			why = "no trial fell on it";
			row_usable(&guest->isa->rows[i], &why);
			for (unsigned k = 0; k < nreasons; k++)
				known |= reasons[k] == why;
			if (!known && nreasons < ARRAY_LEN(reasons))
				reasons[nreasons++] = why;
		}
		if (!rows)
			continue;
		printf("| %s | %u | %u | %llu | %llu | %llu | %llu | ", feature_name(f), rows, ran,
		       (unsigned long long)cases, (unsigned long long)retired, (unsigned long long)faulted,
		       (unsigned long long)failed);
		for (unsigned k = 0; k < nreasons; k++)
			printf("%s%s", k ? "; " : "", reasons[k]);
		printf(" |\n");
	}
	printf("\nWhere the manual promises less than a comparison to the bit:\n\n| instructions | what |\n|---|---|\n");
	compare_print_freedoms();
	printf("\n");
	if (!same_maker) {
		makers_print(progress->stepped_over);
		printf("\n");
	}
}

static u64 sum(const u64 *v, unsigned n)
{
	u64 s = 0;

	while (n--)
		s += v[n];
	return s;
}

static u64 number(int argc, char **argv, int *i)
{
	char *end;
	u64 v;

	if (*i + 1 >= argc) {
		fprintf(stderr, "native: %s wants a number\n", argv[*i]);
		exit(2);
	}
	v = strtoull(argv[++*i], &end, 0);
	if (*end || !*argv[*i]) {
		fprintf(stderr, "native: %s: \"%s\" is no number\n", argv[*i - 1], argv[*i]);
		exit(2);
	}
	return v;
}

int main(int argc, char **argv)
{
	const char *rows = NULL, *model = NULL;
	bool stitched = false;
	cpu_set_t one;
	int status;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed"))
			seed = number(argc, argv, &i);
		else if (!strcmp(argv[i], "--count"))
			count = number(argc, argv, &i);
		else if (!strcmp(argv[i], "--first"))
			first = number(argc, argv, &i);
		else if (!strcmp(argv[i], "--bits"))
			only_bits = (unsigned)number(argc, argv, &i);
		else if (!strcmp(argv[i], "--sequences"))
			sequences = (unsigned)number(argc, argv, &i);
		else if (!strcmp(argv[i], "--encodings"))
			count = 0, encodings = encodings_count();
		else if (!strcmp(argv[i], "--table"))
			table = true;
		else if (!strcmp(argv[i], "--show"))
			show = true;
		else if (!strcmp(argv[i], "--stitched"))
			stitched = true;
		else if (!strcmp(argv[i], "--rows") && i + 1 < argc)
			rows = argv[++i];
		else if (!strcmp(argv[i], "--model") && i + 1 < argc)
			model = argv[++i];
		else if (!strcmp(argv[i], "--case") && i + 1 < argc)
			words = strdup(argv[++i]);
		else {
			fprintf(stderr, "native: what is \"%s\"?\n", argv[i]);
			return 2;
		}
	}
	progress = mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return 1;
	if (insn_count > MAX_ROWS)
		abort();
	/* One processor: they name themselves in a segment limit. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	signal(SIGINT, on_interrupt);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	if (argc == 1 && host_maker() == MAKERS) {
		printf("skipped: the processor is neither Intel's nor AMD's\n0 passed, 0 failed, 1 skipped\n");
		return 0;
	}
	if (argc == 1) { /* a sample */
		stride = host_avx512() ? 37 : 11;
		encodings = encodings_count() / stride;
	}
	if (stitched)
		setenv("VCPU_STITCH_AT_ONCE", "1", 1); /* tests/unit/coverage.c */
	guest_new(model, stitched);
	same_maker = host_same_maker(guest->model);
	make_pools(rows);
	make_values(seed);
	progress->next = first;
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			start_child();
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			return 0;
		if (words)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			break;
		progress->failed++;
		printf("FAILED %llu: it killed the runner (status %x)\n    ", (unsigned long long)progress->next,
		       status);
		print_trial(&progress->trial);
		progress->next++;
		if (progress->reported++ >= REPORTS)
			break;
	}
	if (table)
		print_table();
	guest_free();
	if (stitched)
		printf("%llu blocks were stitched\n", (unsigned long long)progress->stitched);
	if (progress->skipped)
		printf("%llu more did not end, or in the host's kernel: they say nothing\n",
		       (unsigned long long)progress->skipped);
	if (!same_maker)
		printf("%llu more stepped over: what the makers do not do alike (tests/silicon/makers.h)\n",
		       (unsigned long long)sum(progress->stepped_over, DIFF_COUNT));
	printf("%llu passed, %llu failed\n", (unsigned long long)progress->passed,
	       (unsigned long long)progress->failed);
	return progress->failed != 0;
}
