/* SPDX-License-Identifier: MIT */
/* Registers as JSON: wtf's regs.json, as bdump writes it for WinDbg, and the state of bochscpu, whose names are the
 * same.
 *
 *     { "rax": "0x1", ..., "gdtr": { "base": "0x0", "limit": "0x7f" },
 *       "cs": { "present": true, "selector": "0x33", "base": "0x0", "limit": "0xfffff", "attr": "0x2fb" },
 *       "fpst": [ { "fraction": 0, "exp": 0 }, ... ], "zmm": [ { "q": [0, ...] }, ... ] }
 *
 * "attr" are bits 8 to 23 of a descriptor's second word; so bits 8 to 11 repeat bits 16 to 19 of the limit. "fpst" are
 * the physical registers. bdump has texts "0xInfinity..." there, and the tag word of FXSAVE. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "cpu/system/model.h"
#include "lib/machine.h"
#include "lib/vcpu_dump.h"

enum { DEPTH_MAX = 8, PATH_MAX_LEN = 64, LATE = 1, MSR = 2 };

/* Numbers, in the order in which they are set. MSRs that the processor does not have are left if they are 0. */
static const struct row { const char *name; u32 number; u8 how; } rows[] = {
	{ "efer", VCPU_EFER, 0 }, { "cr0", VCPU_CR0, 0 }, { "cr4", VCPU_CR4, 0 }, { "cr3", VCPU_CR3, 0 },
	{ "xcr0", VCPU_XCR0, 0 }, { "cr2", VCPU_CR2, 0 }, { "cr8", VCPU_CR8, 0 },
	{ "gdtr.base", VCPU_GDTR_BASE, LATE }, { "gdtr.limit", VCPU_GDTR_LIMIT, LATE },
	{ "idtr.base", VCPU_IDTR_BASE, LATE }, { "idtr.limit", VCPU_IDTR_LIMIT, LATE },
	{ "rax", VCPU_RAX, LATE }, { "rcx", VCPU_RCX, LATE }, { "rdx", VCPU_RDX, LATE }, { "rbx", VCPU_RBX, LATE },
	{ "rsp", VCPU_RSP, LATE }, { "rbp", VCPU_RBP, LATE }, { "rsi", VCPU_RSI, LATE }, { "rdi", VCPU_RDI, LATE },
	{ "r8", VCPU_R8, LATE }, { "r9", VCPU_R9, LATE }, { "r10", VCPU_R10, LATE }, { "r11", VCPU_R11, LATE },
	{ "r12", VCPU_R12, LATE }, { "r13", VCPU_R13, LATE }, { "r14", VCPU_R14, LATE }, { "r15", VCPU_R15, LATE },
	{ "rflags", VCPU_RFLAGS, LATE }, { "rip", VCPU_RIP, LATE },
	{ "dr0", VCPU_DR0, LATE }, { "dr1", VCPU_DR1, LATE }, { "dr2", VCPU_DR2, LATE }, { "dr3", VCPU_DR3, LATE },
	{ "dr6", VCPU_DR6, LATE }, { "dr7", VCPU_DR7, LATE },
	{ "fpcw", VCPU_FCW, LATE }, { "fpsw", VCPU_FSW, LATE }, { "fpop", VCPU_FOP, LATE }, { "mxcsr", VCPU_MXCSR, LATE },
	{ "apic_base", 0x1b, LATE | MSR }, { "sysenter_cs", 0x174, LATE | MSR }, { "sysenter_esp", 0x175, LATE | MSR },
	{ "sysenter_eip", 0x176, LATE | MSR }, { "pat", 0x277, LATE | MSR }, { "star", 0xc0000081, LATE | MSR },
	{ "lstar", 0xc0000082, LATE | MSR }, { "cstar", 0xc0000083, LATE | MSR }, { "sfmask", 0xc0000084, LATE | MSR },
	{ "kernel_gs_base", 0xc0000102, LATE | MSR }, { "tsc_aux", 0xc0000103, LATE | MSR },
	{ "cet_control_u", 0x6a0, LATE | MSR }, { "cet_control_s", 0x6a2, LATE | MSR }, { "pl0_ssp", 0x6a4, LATE | MSR },
	{ "pl1_ssp", 0x6a5, LATE | MSR }, { "pl2_ssp", 0x6a6, LATE | MSR }, { "pl3_ssp", 0x6a7, LATE | MSR },
	{ "interrupt_ssp_table", 0x6a8, LATE | MSR }, { "tsc", VCPU_TSC, LATE },
};
static const char *const segments[] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr" };
enum { ROWS = ARRAY_LEN(rows), SEGS = ARRAY_LEN(segments), EFER_LMA_BIT = 0x400 };

struct json {
	const char *at, *end;
	const char *wrong;
	u64 value[ROWS];
	bool given[ROWS];
	struct { u64 selector, base, limit, attr; bool given; } seg[SEGS];
	struct { u64 fraction, exp; bool given; } st[8];
	u64 zmm[32][8];
	u32 zmm_given;
	u64 tags;
	bool tags_given, abridged;
};

/* ---- reading ---- */

static bool bad(struct json *j, const char *why)
{
	if (!j->wrong)
		j->wrong = why;
	return false;
}

static void blanks(struct json *j)
{
	while (j->at < j->end && strchr(" \t\r\n", *j->at) && *j->at)
		j->at++;
}

static bool take(struct json *j, char c)
{
	blanks(j);
	if (j->at == j->end || *j->at != c)
		return false;
	j->at++;
	return true;
}

/* Without escapes, which no name or number has. */
static bool text(struct json *j, char *out, size_t room)
{
	size_t n = 0;

	if (!take(j, '"'))
		return bad(j, "a text is missing");
	for (; j->at < j->end && *j->at != '"'; j->at++) {
		if (*j->at == '\\' || (u8)*j->at < ' ')
			return bad(j, "a text has an escape");
		if (n + 1 < room)
			out[n++] = *j->at;
	}
	out[n] = 0;
	return j->at++ < j->end || bad(j, "it is cut off");
}

/* A number at PATH. */
static void found(struct json *j, const char *path, u64 n)
{
	unsigned i, k;
	char member[16];
	int used = 0;

	for (i = 0; i < ROWS; i++)
		if (!strcmp(path, rows[i].name)) {
			j->value[i] = n;
			j->given[i] = true;
		}
	if (!strcmp(path, "fptw")) {
		j->tags = n;
		j->tags_given = true;
	}
	for (i = 0; i < SEGS; i++)
		if (!strncmp(path, segments[i], strlen(segments[i])) && path[strlen(segments[i])] == '.') {
			const char *what = path + strlen(segments[i]) + 1;
			u64 *to = !strcmp(what, "selector") ? &j->seg[i].selector : !strcmp(what, "base") ? &j->seg[i].base :
				  !strcmp(what, "limit") ? &j->seg[i].limit : !strcmp(what, "attr") ? &j->seg[i].attr : NULL;

			if (to) {
				*to = n;
				j->seg[i].given |= to == &j->seg[i].attr;
			}
		}
	if (sscanf(path, "fpst.%u.%15[a-z]", &i, member) == 2 && i < 8) {
		*(strcmp(member, "exp") ? &j->st[i].fraction : &j->st[i].exp) = n;
		j->st[i].given = true;
	} else if (sscanf(path, "zmm.%u.q.%u%n", &i, &k, &used) == 2 && i < 32 && k < 8 && !path[used]) {
		j->zmm[i][k] = n;
		j->zmm_given |= (u32)1 << i;
	}
}

static bool number_text(struct json *j, const char *path, const char *s)
{
	char *end;
	u64 n = strtoull(s, &end, 0);

	if (!strncmp(path, "fpst.", 5) && strstr(s, "Infinity")) {
		j->abridged = true; /* bdump */
		return true;
	}
	if (*s < '0' || *s > '9' || *end)
		return true; /* of something else */
	found(j, path, n);
	return true;
}

static bool value(struct json *j, const char *path, unsigned depth);

static bool members(struct json *j, const char *path, unsigned depth, bool object)
{
	char name[PATH_MAX_LEN], inner[2 * PATH_MAX_LEN + 16];
	unsigned n = 0;

	if (depth == DEPTH_MAX)
		return bad(j, "it is nested too deeply");
	if (take(j, object ? '}' : ']'))
		return true;
	do {
		if (object && (!text(j, name, sizeof name) || !take(j, ':')))
			return bad(j, "a member has no value");
		if (!object)
			snprintf(name, sizeof name, "%u", n++);
		snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", name);
		if (strlen(inner) >= PATH_MAX_LEN)
			*inner = 0; /* nothing of ours */
		if (!value(j, inner, depth + 1))
			return false;
	} while (take(j, ','));
	return take(j, object ? '}' : ']') || bad(j, "it is cut off, or a comma is missing");
}

static bool value(struct json *j, const char *path, unsigned depth)
{
	char word[PATH_MAX_LEN];
	size_t n = 0;

	if (take(j, '{'))
		return members(j, path, depth, true);
	if (take(j, '['))
		return members(j, path, depth, false);
	blanks(j);
	if (j->at < j->end && *j->at == '"')
		return text(j, word, sizeof word) && number_text(j, path, word);
	for (; j->at < j->end && *j->at && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzE", *j->at); j->at++)
		if (n + 1 < sizeof word)
			word[n++] = *j->at;
	word[n] = 0;
	if (!n)
		return bad(j, "a value is missing");
	return number_text(j, path, word);
}

/* ---- setting ---- */

static u64 now(vcpu *v, const struct row *r)
{
	u64 n = 0;

	if (!(r->how & MSR))
		return vcpu_get(v, (int)r->number);
	vcpu_get_msr(v, r->number, &n);
	return n;
}

static bool set_rows(vcpu *v, const struct json *j, unsigned how)
{
	for (unsigned i = 0; i < ROWS; i++) {
		const struct row *r = &rows[i];
		u64 n = j->value[i];

		if (!j->given[i] || (r->how & LATE) != how)
			continue;
		if (r->number == VCPU_RFLAGS && !(r->how & MSR))
			n |= 2;
		if (now(v, r) == n || (r->number == 0x1b && v->bare))
			continue;
		if (r->how & MSR ? vcpu_set_msr(v, r->number, n) : vcpu_set(v, (int)r->number, n))
			return false;
	}
	return true;
}

static bool set_segments(vcpu *v, const struct json *j)
{
	for (unsigned i = 0; i < SEGS; i++) {
		u64 limit = j->seg[i].limit;
		struct vcpu_segment s = { .selector = (u16)j->seg[i].selector, .base = j->seg[i].base,
					  .attributes = j->seg[i].attr & 0xf0ff };

		if (!j->seg[i].given)
			continue;
		if (!(s.attributes & SEG_P))
			s.attributes |= SEG_UNUSABLE;
		if (s.attributes & SEG_G && (limit & 0xfff) != 0xfff) /* in pages */
			limit = limit << 12 | 0xfff;
		s.limit = (u32)limit;
		if (s.limit >> 20) /* of an unusable one, too */
			s.attributes |= SEG_G;
		if (vcpu_set_segment(v, VCPU_ES + (int)i, &s))
			return false;
	}
	return true;
}

static bool set_vectors(vcpu *v, const struct json *j)
{
	bool wide = has(&v->model, F_AVX512F), half = has(&v->model, F_AVX);

	for (unsigned i = 0; i < 32; i++)
		if (j->zmm_given >> i & 1 && (wide || i < VREGS) &&
		    vcpu_set_register(v, (wide ? ZMM : half ? YMM : XMM) + (int)i, j->zmm[i]))
			return false;
	return true;
}

static bool set_x87(vcpu *v, const struct json *j)
{
	unsigned top = machine_selected(v)->x87.top;
	u64 tags = j->tags;

	for (unsigned i = 0; i < 8; i++) {
		u8 st[10];

		put64(st, j->st[i].fraction);
		put16(st + 8, (u16)j->st[i].exp);
		if (j->st[i].given && vcpu_set_st(v, (i - top) & 7, st))
			return false;
	}
	if (j->abridged) {
		tags = 0;
		for (unsigned i = 0; i < 8; i++)
			tags |= j->tags >> i & 1 ? 0 : (u64)3 << 2 * i;
	}
	return !j->tags_given || !vcpu_set(v, VCPU_FTW, tags & 0xffff);
}

static u64 given(const struct json *j, const char *name, u64 otherwise)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (!strcmp(rows[i].name, name) && j->given[i])
			return j->value[i];
	return otherwise;
}

bool vcpu_registers_load(vcpu *v, const char *data, size_t len, char **error)
{
	struct json *j;
	const char *why = NULL;

	if (error)
		*error = NULL;
	if (machine_refuses(v, "vcpu_registers_load"))
		return error_set(error, "%s", vcpu_error(v));
	j = calloc(1, sizeof *j);
	if (!j)
		return error_set(error, "the host has no memory for registers");
	j->at = data ? data : "";
	j->end = j->at + (data ? len : 0);
	if (!take(j, '{'))
		why = "it does not begin with {";
	else if (!members(j, "", 0, true))
		why = j->wrong;
	else if (blanks(j), j->at != j->end)
		why = "there is something behind its end";
	else if (!(given(j, "efer", EFER_LMA_BIT) & EFER_LMA_BIT))
		why = "they are of a processor that was not in 64-bit mode";
	else if ((v->bare && !in_64(machine_selected(v)) && vcpu_set_mode(v, 64)) || !set_rows(v, j, 0) ||
		 !set_segments(v, j) || !set_rows(v, j, LATE) || !set_x87(v, j) || !set_vectors(v, j))
		why = vcpu_error(v);
	free(j);
	return !why || error_set(error, "registers: %s", why);
}

/* ---- writing ---- */

struct text { char *s; size_t len, room; };

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	t->len += (size_t)vsnprintf(t->s + t->len, t->room - t->len, format, ap);
	va_end(ap);
}

static void add_segment(const vcpu *v, struct text *t, unsigned i)
{
	struct vcpu_segment s = { 0 };

	vcpu_get_segment(v, VCPU_ES + (int)i, &s);
	add(t, "  \"%s\": {\"present\": %s, \"selector\": \"0x%x\", \"base\": \"0x%llx\", "
	       "\"limit\": \"0x%x\", \"attr\": \"0x%x\"},\n",
	    segments[i], s.attributes & SEG_P ? "true" : "false", s.selector, (unsigned long long)s.base, s.limit,
	    (s.attributes & 0xf0ff) | (s.limit >> 16 & 15) << 8);
}

static void add_x87(const struct cpu *c, struct text *t)
{
	add(t, "  \"fptw\": \"0x%llx\",\n  \"fpst\": [", (unsigned long long)register_more(c, VCPU_FTW));
	for (unsigned i = 0; i < 8; i++)
		add(t, "%s{\"fraction\": \"0x%llx\", \"exp\": \"0x%x\"}", i ? ", " : "",
		    (unsigned long long)c->x87.st[i].frac, c->x87.st[i].exp);
	add(t, "],\n");
}

static void add_vectors(const struct cpu *c, struct text *t)
{
	add(t, "  \"zmm\": [");
	for (unsigned i = 0; i < ARRAY_LEN(c->v); i++) {
		add(t, "%s{\"q\": [", i ? ",\n          " : "");
		for (unsigned k = 0; k < 8; k++)
			add(t, "%s\"0x%llx\"", k ? ", " : "", (unsigned long long)c->v[i].q[k]);
		add(t, "]}");
	}
	add(t, "]\n}\n");
}

char *vcpu_registers_json(const vcpu *v)
{
	struct text t = { .room = 32 * KiB };

	if (!v || !(t.s = malloc(t.room)))
		return NULL;
	add(&t, "{\n");
	for (unsigned i = 0; i < ROWS; i++)
		if (!strchr(rows[i].name, '.'))
			add(&t, "  \"%s\": \"0x%llx\",\n", rows[i].name, (unsigned long long)now((vcpu *)v, &rows[i]));
	for (unsigned i = 0; i < SEGS; i++)
		add_segment(v, &t, i);
	for (unsigned i = 0; i < 2; i++) {
		add(&t, "  \"%s\": {\"base\": \"0x%llx\", \"limit\": \"0x%llx\"},\n", i ? "idtr" : "gdtr",
		    (unsigned long long)vcpu_get(v, i ? VCPU_IDTR_BASE : VCPU_GDTR_BASE),
		    (unsigned long long)vcpu_get(v, i ? VCPU_IDTR_LIMIT : VCPU_GDTR_LIMIT));
	}
	add(&t, "  \"mxcsr_mask\": \"0x%x\",\n  \"bochscpu_seed\": \"0x0\",\n", mxcsr_bits(machine_selected(v)));
	add_x87(machine_selected(v), &t);
	add_vectors(machine_selected(v), &t);
	return t.s;
}
