/* SPDX-License-Identifier: MIT */
/* Do host and guest agree? And where need they not. */
#include <math.h>
#include <stdio.h>
#include "tests/silicon/trial.h"

static char text[256];

static const char *differ(const char *what, u64 host, u64 here)
{
	snprintf(text, sizeof text, "%s: %llx here, %llx on the host", what, (unsigned long long)here,
		 (unsigned long long)host);
	return text;
}

/* Where the manual promises less than a comparison to the bit. */
enum freedom { ROUGH, ROUGH_14, NEAR, FAULT_ADDRESS, FAULT_KIND, FAULT_REGISTERS, FAULT_STACK };
static const struct { enum freedom what; const char *names, *why; } freedoms[] = {
	{ ROUGH, " rcpps rcpss rsqrtps rsqrtss vrcpps vrcpss vrsqrtps vrsqrtss ",
		"SDM vol. 2, RCPPS, RSQRTPS: relative error up to 1.5 * 2^-12" },
	{ ROUGH_14, " vrcp14ps vrcp14pd vrcp14ss vrcp14sd vrsqrt14ps vrsqrt14pd vrsqrt14ss vrsqrt14sd ",
		"SDM vol. 2, VRCP14PS, VRSQRT14PS: relative error up to 2^-14 (on AMD's processors to the bit)" },
	{ NEAR, " f2xm1 fyl2x fyl2xp1 fptan fpatan fsin fcos fsincos ",
		"SDM vol. 1, 8.3.10: error up to one unit in the last place; C1 with it" },
	{ FAULT_ADDRESS, " fxsave fxrstor xsave xrstor xsaveopt xsavec fldenv fnstenv frstor fnsave maskmovq maskmovdqu vmaskmovdqu vmaskmovps vmaskmovpd "
	  "vpmaskmovd vpmaskmovq cmps ret iret call ",
	  "SDM vol. 3, 4.7: CR2 is one of the addresses, of several accesses in no particular order" },
	{ FAULT_KIND, " ret iret cmps movs call bound fstp fbstp fld fbld fnstenv fnsave fldenv frstor "
	  "fxsave fxrstor xsave xrstor xsaveopt xsavec vmaskmovps vmaskmovpd vpmaskmovd vpmaskmovq maskmovq maskmovdqu vmaskmovdqu ", "SDM vol. 3, 6.9: of the faults of one instruction's several accesses, which comes first differs" },
	{ FAULT_REGISTERS, " popa ", "SDM vol. 2, POPA: those popped before the fault may have changed; ESP has not, and it can be restarted" },
	{ FAULT_STACK, " enter call pusha ", "SDM vol. 3, 6.5: restartable; what it has already written below the stack pointer does no harm" },
};

/* A bit for each freedom of row N of the table. */
static unsigned freedoms_of(unsigned n)
{
	static u16 known[MAX_ROWS]; /* bit 15: known */
	char name[34];

	if (known[n])
		return known[n];
	snprintf(name, sizeof name, " %.31s ", insn_table[n].mnemonic);
	known[n] = 0x8000;
	for (unsigned i = 0; i < ARRAY_LEN(freedoms); i++)
		if (strstr(freedoms[i].names, name))
			known[n] |= (u16)(1 << freedoms[i].what);
	return known[n];
}

static bool named(const struct trial *t, enum freedom what)
{
	for (unsigned k = 0; k < t->count; k++)
		if (freedoms_of(t->row[k]) >> what & 1)
			return true;
	return false;
}

void compare_print_freedoms(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(freedoms); i++)
		printf("|%s| %s |\n", freedoms[i].names, freedoms[i].why);
}

static bool is_fault(const struct state *s) { return (s->vector >= VEC_TS && s->vector <= VEC_PF) ||
	s->vector == VEC_AC || s->vector == VEC_BR; }

static bool stores_much(const struct insn *insn)
{
	return insn->operands[0] == 'M' && (!insn->operands[1] || strchr("tox", insn->operands[1]));
}

/* May memory at AT differ, after an exception? */
bool compare_memory_free(const struct trial *t, const struct state *host, unsigned at)
{
	u64 rsp = t->in.r[RSP] + (t->in.seg[SS] == ldt(L_DATA16) ? 0
				  : t->bits == 64                ? -(u64)WINDOW
								 : segment_base(t->in.seg[SS]) - (u64)WINDOW);

	if (t->in.seg[SS] == ldt(L_DATA16))
		rsp &= 0xffff;
	/* Larger than a quadword: several accesses, of which some may be complete (SDM vol. 3, 9.1.1). */
	if (is_fault(host) && (t->count != 1 || stores_much(&insn_table[t->row[0]])))
		return true;
	return host->vector != VEC_BP && named(t, FAULT_STACK) && ((rsp - 1 - at) & 0xffff) < 33 * 8;
}

/* Approximations are good to 1.5 * 2^-12 (SDM vol. 2, RCPPS, RSQRTPS); ours are within half of that, as the host's are.
 * */
static bool near(u32 a, u32 b)
{
	float x, y;

	memcpy(&x, &a, 4);
	memcpy(&y, &b, 4);
	return isfinite(x) && isfinite(y) && fabsf(x - y) <= 3.0f / 4096 * fabsf(x);
}

/* The same to 2^-14 of each, for the element of four or of eight bytes that the word at AT belongs to. */
static bool near_14(const u8 *a, const u8 *b, unsigned at)
{
	float x, y;
	double v, w;

	memcpy(&x, a + at, 4);
	memcpy(&y, b + at, 4);
	memcpy(&v, a + (at & ~7u), 8);
	memcpy(&w, b + (at & ~7u), 8);
	return (isfinite(x) && isfinite(y) && fabsf(x - y) <= 2.0f / 16384 * fabsf(x)) ||
	       (isfinite(v) && isfinite(w) && fabs(v - w) <= 2.0 / 16384 * fabs(v));
}

static void vector_of(const struct state *s, unsigned n, u8 *out)
{
	if (n >= 16) {
		memcpy(out, s->z.zmm[n - 16], 64);
		return;
	}
	memcpy(out, s->f.xmm[n], 16);
	memcpy(out + 16, s->f.ymm_high[n], 16);
	memcpy(out + 32, s->z.zmm_high[n], 32);
}

static const char *vectors(const struct trial *t, const struct state *host, const struct state *here)
{
	static char name[16];

	for (unsigned i = 0; i < 32; i++) {
		u8 there[64], ours[64];

		vector_of(host, i, there);
		vector_of(here, i, ours);
		for (unsigned k = 0; k < 16 && memcmp(there, ours, sizeof ours); k++) {
			u32 a = get32(there + 4 * k), b = get32(ours + 4 * k);

			if (a != b && !(named(t, ROUGH) && near(a, b)) &&
			    !(named(t, ROUGH_14) && host_maker() != MAKER_AMD && near_14(there, ours, 4 * k))) {
				snprintf(name, sizeof name, "%cmm%u[%u]", k < 4 ? 'x' : k < 8 ? 'y' : 'z', i, k);
				return differ(name, a, b);
			}
		}
	}
	for (unsigned i = 0; i < 8; i++)
		if (host->z.k[i] != here->z.k[i]) {
			snprintf(name, sizeof name, "k%u", i);
			return differ(name, host->z.k[i], here->z.k[i]);
		}
	return NULL;
}

/* An MMX instruction whose memory operand faults has already made the x87 registers MMX registers, on the host: it will
 * be run again. The manual (SDM vol. 1, 9.5.1) does not say. */
static bool uses_mmx(const struct insn *insn)
{
	return insn->check & (CHK_MMX | CHK_SSE) && insn->check & CHK_MF;
}

static bool any_mmx(const struct trial *t)
{
	for (unsigned i = 0; i < t->count; i++)
		if (uses_mmx(&insn_table[t->row[i]]))
			return true;
	return false;
}

static bool any_tiny(const struct state *s)
{
	for (unsigned i = 0; i < 8; i++)
		if (host_st_tiny(s->f.st[i]))
			return true;
	return false;
}

static const char *x87(const struct trial *t, const struct state *host, const struct state *here)
{
	bool soft = named(t, NEAR), mmx = host->vector != VEC_BP && any_mmx(t);
	u16 sw = (soft ? 0xfdff : 0xffff) & (mmx ? 0xc7ff : 0xffff) & /* without C1: rounded up or down; without TOP */
		(soft && any_tiny(host) ? 0x7f6f : 0xffff);             /* without UE, ES, B */

	if ((host->f.sw ^ here->f.sw) & sw)
		return differ("FSW", host->f.sw, here->f.sw);
	if (host->f.cw != here->f.cw)
		return differ("FCW", host->f.cw, here->f.cw);
	if (host->f.tags != here->f.tags && !mmx)
		return differ("tags", host->f.tags, here->f.tags);
	for (unsigned i = 0; i < 8; i++) { /* physical registers */
		const u8 *a = host->f.st[(i - (host->f.sw >> 11)) & 7], *b = here->f.st[(i - (here->f.sw >> 11)) & 7];

		if (memcmp(a, b, 10) && !(soft &&
			host_st_near(a, b, 2)) /* SDM vol. 1, 8.3.10: one unit in the last place, of each */) {
			snprintf(text, sizeof text, "R%u: %04x:%016llx here, %04x:%016llx on the host", i, get16(b + 8),
				(unsigned long long)get64(b),
				 get16(a + 8), (unsigned long long)get64(a));
			return text;
		}
	}
	return NULL;
}

static const char *const reg_names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10",
	"r11", "r12", "r13", "r14", "r15" };
static const char *const seg_names[] = { "es", "cs", "ss", "ds", "fs", "gs" };

static bool same_gather(const struct trial *t)
{
	for (unsigned i = 0; i < t->count; i++)
		if (insn_table[t->row[i]].vsib)
			return true;
	return false;
}

/* RET far from a 16-bit stack into 64-bit code, where SS does not count: how many bits the immediate is added to is
 * nowhere said, and not the same for all immediates. */
static bool far_to_64(const struct trial *t, const struct state *host)
{
	return t->in.seg[CS] != USER_CS && host->seg[CS] == USER_CS && t->in.seg[SS] == ldt(L_DATA16);
}

/* Where it ends that goes through to its INT3. */
static u64 last_rip(const struct trial *t)
{
	return (t->bits == 16 ? 0 : WINDOW) + t->poke[0].at + t->poke[0].len;
}

const char *compare(const struct trial *t, const struct state *host, const struct state *here)
{
	u32 flags = OSZAPC | FL_T | FL_D | FL_NT | FL_AC | FL_ID;
	const char *what;

	if (host->vector != here->vector && host->rip == here->rip && is_fault(host) && is_fault(here) &&
	    named(t, FAULT_KIND))
		return NULL;
	if (host->vector != here->vector)
		return differ("exception", (u64)(s64)host->vector, (u64)(s64)here->vector);
	if (host->rip != here->rip)
		return differ("rip", host->rip, here->rip);
	if (host->vector == VEC_PF && host->cr2 != here->cr2 && !(named(t, FAULT_ADDRESS) || same_gather(t)))
		return differ("cr2", host->cr2, here->cr2);
	/* The kernel does not tell whether its own pages are there. */
	if ((host->error ^ here->error) &
	    ~(host->vector == VEC_PF && (host->cr2 >= 0x7ffffffff000 || named(t, FAULT_ADDRESS)) ? 1u : 0u))
		return differ("error code", host->error, here->error);
	/* Upper halves are undefined once 64-bit mode is left (SDM vol. 1, 3.4.1.1). */
	for (unsigned i = 0; i < 16; i++)
		if ((host->r[i] ^ here->r[i]) & (host->seg[CS] == USER_CS ? ~(u64)0 : 0xffffffff) &&
		    !(i == RSP && far_to_64(t, host) && !((host->r[i] ^ here->r[i]) & 0xffff)) &&
		    !(is_fault(host) && i != RSP && named(t, FAULT_REGISTERS)))
			return differ(reg_names[i], host->r[i], here->r[i]);
	flags &= ~(host->vector == VEC_BP && host->rip == last_rip(t) ? t->undefined : t->ever);
	if ((host->flags ^ here->flags) & flags)
		return differ("flags", host->flags & flags, here->flags & flags);
	/* IRET, with which the kernel comes back, forgets the RPL of null selectors. */
	for (unsigned i = 0; i < 6; i++)
		if (host->seg[i] != here->seg[i] && (host->seg[i] | here->seg[i]) > 3)
			return differ(seg_names[i], host->seg[i], here->seg[i]);
	if (host->fs_base != here->fs_base && t->bits == 64)
		return differ("fs base", host->fs_base, here->fs_base);
	if (host->gs_base != here->gs_base && t->bits == 64)
		return differ("gs base", host->gs_base, here->gs_base);
	if (host->f.mxcsr != here->f.mxcsr)
		return differ("MXCSR", host->f.mxcsr, here->f.mxcsr);
	what = vectors(t, host, here);
	return what ? what : x87(t, host, here);
}

const char *compare_definedness(const struct trial *t, const struct state *host, const struct state *ours)
{
	bool there = host->rip == t->in.rip;

	if (t->beyond && ours->vector == VEC_UD)
		return NULL;
	if ((there && host->vector == VEC_UD) != (ours->vector == VEC_UD))
		return ours->vector == VEC_UD ? "#UD here, not on the host" : "#UD on the host, not here";
	if ((there && host->vector == VEC_GP) != (ours->vector == VEC_GP))
		return ours->vector == VEC_GP ? "#GP here, not on the host" : "#GP on the host, not here";
	return NULL;
}
