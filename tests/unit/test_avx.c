/* Instructions with VEX prefixes, SHA, GFNI and direct stores against the silicon of the host: each row of the table is encoded, the same
 * bytes run here and in the guest, from the same registers, and everything must come out the same: registers to bit 255, MXCSR, memory, and
 * which exception there was. The operands lie at the end of a page, after which nothing is mapped.
 *
 * Without an x86-64 host there is nothing to compare with; extensions that the host lacks are left out. */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#include "cpu/sse.h"
#include "mem/space.h"

/* ---- the guest: a bare processor in 64-bit mode, 2 MiB mapped where they are ---- */

enum { CODE = 0x1000, PML4 = 0x10000, RAM_SIZE = 0x200000, DATA_SIZE = 128, DATA = RAM_SIZE - DATA_SIZE };

static struct model model;
static struct space mem, io;
static struct clock now;
static struct ram *ram;
static struct cpu *c;

static void make_guest(void)
{
	char *error = NULL;

	ck_assert(model_parse(&model, "max", &error));
	space_init(&mem);
	space_init(&io);
	ram = ram_new(RAM_SIZE);
	ck_assert_ptr_nonnull(ram);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, RAM_SIZE, ram, 0, false), 0);
	c = cpu_new(&(struct cpu_config){ .model = &model, .mem = &mem, .io = &io, .clock = &now, .bare = true });
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
	space_write(&mem, PML4, 8, (PML4 + 0x1000) | 0x63);
	space_write(&mem, PML4 + 0x1000, 8, (PML4 + 0x2000) | 0x63);
	space_write(&mem, PML4 + 0x2000, 8, 0xe3); /* 2 MiB */
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 7;
	c->efer = EFER_LME | EFER_LMA;
	c->cr0 = CR0_PG | CR0_PE | CR0_NE | CR0_MP;
	for (unsigned i = ES; i <= GS; i++) {
		c->seg[i] = (struct seg){ .limit = 0xffffffff, .attr = SEG_A | SEG_W | SEG_S | SEG_P | SEG_G | (i == CS ? SEG_CODE | SEG_L : SEG_DB) };
		seg_update(c, i);
	}
	c->idtr.limit = 0;
	update_mode(c);
	c->attn = 0;
}

static void free_guest(void)
{
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

/* ---- states ---- */

union ymm { u8 b[32]; u32 d[8]; u64 q[4]; float f[8]; };

struct state {
	u64 r[16];        /* RAX.. as the processor numbers them; RSP, R15 are not looked at */
	u64 flags;
	union ymm ymm[16];
	u32 mxcsr;
	u8 data[DATA_SIZE];
	int exception;    /* vector, or -1 */
};

static void guest_step(const u8 *code, unsigned len, struct state *s)
{
	static u8 last[16];
	enum cpu_stop stop;

	if (memcmp(last, code, len)) {
		memcpy(last, code, len);
		space_write_block(&mem, CODE, code, len);
	}
	memcpy(c->r, s->r, sizeof s->r);
	c->r[RIP] = CODE;
	cpu_set_arith(c, (u32)s->flags);
	for (unsigned i = 0; i < 16; i++) {
		memcpy(&c->xmm[i], s->ymm[i].b, 16);
		memcpy(&c->ymm_high[i], s->ymm[i].b + 16, 16);
	}
	c->mxcsr = s->mxcsr;
	space_write_block(&mem, DATA, s->data, sizeof s->data);
	c->activity = ACTIVITY_RUN;
	if (c->icount & 1)
		sse_begin(c); /* the state in which all but the first floating-point instruction run */
	stop = cpu_run(c, c->icount + 1, ~(u64)0);
	s->exception = stop == CPU_EXCEPTION ? c->fault.vector : -1;
	if (stop == CPU_EXCEPTION)
		ck_assert_uint_eq(c->r[RIP], CODE);
	memcpy(s->r, c->r, sizeof s->r);
	s->flags = cpu_flags(c) & OSZAPC;
	for (unsigned i = 0; i < 16; i++) {
		memcpy(s->ymm[i].b, &c->xmm[i], 16);
		memcpy(s->ymm[i].b + 16, &c->ymm_high[i], 16);
	}
	s->mxcsr = c->mxcsr;
	space_read_block(&mem, DATA, s->data, sizeof s->data);
}

#ifdef __x86_64__

/* ---- the host ---- */

/* Load everything from *RDI, call RSI (an instruction and RET), store everything back. Offsets as in struct state. */
void native_call_avx(struct state *s, const void *code);
__asm__(".text\n"
	"native_call_avx:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	sub $24, %rsp\n	stmxcsr 8(%rsp)\n	mov %rsi, (%rsp)\n	mov %rdi, %r15\n"
	"	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	vmovups 136+32*\\n(%r15), %ymm\\n\n"
	"	.endr\n"
	"	pushq 128(%r15)\n	popfq\n"
	"	mov 0(%r15), %rax\n	mov 8(%r15), %rcx\n	mov 16(%r15), %rdx\n	mov 24(%r15), %rbx\n"
	"	mov 40(%r15), %rbp\n	mov 48(%r15), %rsi\n	mov 56(%r15), %rdi\n"
	"	ldmxcsr 648(%r15)\n"
	"	call *(%rsp)\n"
	"	stmxcsr 648(%r15)\n	ldmxcsr 8(%rsp)\n"
	"	mov %rax, 0(%r15)\n	mov %rcx, 8(%r15)\n	mov %rdx, 16(%r15)\n	mov %rbx, 24(%r15)\n"
	"	mov %rbp, 40(%r15)\n	mov %rsi, 48(%r15)\n	mov %rdi, 56(%r15)\n"
	"	pushfq\n	popq 128(%r15)\n"
	"	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	vmovups %ymm\\n, 136+32*\\n(%r15)\n"
	"	.endr\n"
	"	vzeroupper\n"
	"	add $24, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n");
_Static_assert(offsetof(struct state, flags) == 128 && offsetof(struct state, ymm) == 136 && offsetof(struct state, mxcsr) == 648,
	       "as native_call_avx has them");

static u8 *page;        /* executable, below 4 GiB; at the end of the second page is the data; the third is not there */
static sigjmp_buf back;
static volatile u32 fault_mxcsr;
static volatile int fault_vector;
static union ymm fault_ymm[16];

/* What is in the frame: the legacy region of XSAVE, in which software has said (FP_XSTATE_MAGIC1 at 464) that the rest follows. */
static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	const u8 *image = (const u8 *)u->uc_mcontext.fpregs;

	(void)info;
	(void)number;
	fault_mxcsr = u->uc_mcontext.fpregs->mxcsr;
	fault_vector = (int)u->uc_mcontext.gregs[REG_TRAPNO];
	for (unsigned i = 0; i < 16; i++) {
		memcpy(fault_ymm[i].b, image + 160 + 16 * i, 16);
		memset(fault_ymm[i].b + 16, 0, 16);
		if (image[512] & 4)
			memcpy(fault_ymm[i].b + 16, image + 576 + 16 * i, 16);
	}
	siglongjmp(back, 1);
}

static void make_host(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	page = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	ck_assert_int_eq(mprotect(page + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGILL, &action, NULL);
}

static void host_step(const u8 *code, unsigned len, struct state *s)
{
	u8 *data = page + 2 * PAGE_SIZE - DATA_SIZE;
	u32 mxcsr;

	memcpy(page, code, len);
	page[len] = 0xc3;
	memcpy(data, s->data, sizeof s->data);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	if (!sigsetjmp(back, 1)) {
		native_call_avx(s, page);
		s->exception = -1;
	} else {
		__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
		s->exception = fault_vector;
		s->mxcsr = fault_mxcsr;
		memcpy(s->ymm, fault_ymm, sizeof s->ymm);
	}
	s->flags &= OSZAPC;
	memcpy(s->data, data, sizeof s->data);
}

static bool host_has(enum feature f)
{
	static const struct { u32 leaf, sub; u8 reg, bit; } bits[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = { leaf, sub, reg, bit },
		FEATURES(X)
#undef X
	};
	u32 r[4] = { 0 };

	return bits[f].leaf && __get_cpuid_count(bits[f].leaf, bits[f].sub, &r[0], &r[1], &r[2], &r[3]) && r[bits[f].reg] >> bits[f].bit & 1;
}

/* ---- operands ---- */

static u64 seed = 1;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

static const u32 edges32[] = {
	0, 1, 0x3f800000, 0x3f000000, 0x3fc00000, 0x40200000, 0x7f800000, 0x7f7fffff, 0x00800000, 0x007fffff, 0x7fc00001, 0x7f800001, 0x7fffffff,
	0x4f000000, 0x4effffff, 0x5f000000, 0x4b000000, 0x4affffff, 0x3effffff, 0x00000002, 0x20000000, 0x1fffffff, 0x7e800000,
	0x477fe000, 0x477fefff, 0x477ff000, 0x38800000, 0x387fffff, 0x387fe000, 0x33800000, 0x33000000, 0x33000001, 0x387ff000, 0x20000001, 0x1f800000,
};

static const u64 edges64[] = {
	0, 1, 0x3ff0000000000000, 0x3fe0000000000000, 0x3ff8000000000000, 0x4004000000000000, 0x7ff0000000000000, 0x7fefffffffffffff,
	0x0010000000000000, 0x000fffffffffffff, 0x7ff8000000000001, 0x7ff0000000000001, 0x41e0000000000000, 0x41dfffffffc00000,
	0x41dfffffffffffff, 0x43e0000000000000, 0x43dfffffffffffff, 0x4330000000000000, 0x432fffffffffffff, 0x3fdfffffffffffff,
	0x47efffffe0000000, 0x47effffff0000000, 0x3810000000000000, 0x380fffffffffffff, 0x36a0000000000000, 0x3690000000000000, 0x2000000000000000,
	0x1ff8000000000000, 0x1e60000000000001,
};

static u32 number32(void)
{
	switch (rnd() % 4) {
	case 0: return edges32[rnd() % ARRAY_LEN(edges32)] | (u32)(rnd() << 31);
	case 1: return (u32)rnd();
	case 2: return (u32)(edges32[rnd() % ARRAY_LEN(edges32)] + rnd() % 5 - 2) ^ (u32)(rnd() << 31);
	default: return (u32)((0x70 + rnd() % 0x30) << 23 | (rnd() & 0x807fffff));
	}
}

static u64 number64(void)
{
	switch (rnd() % 4) {
	case 0: return edges64[rnd() % ARRAY_LEN(edges64)] | rnd() << 63;
	case 1: return rnd();
	case 2: return (edges64[rnd() % ARRAY_LEN(edges64)] + rnd() % 5 - 2) ^ rnd() << 63;
	default: return (u64)(0x3e0 + rnd() % 0x60) << 52 | (rnd() & 0x800fffffffffffff);
	}
}

static void fill16(void *p)
{
	unsigned kind = rnd() % 9;

	for (unsigned i = 0; i < 2; i++) {
		u64 v = kind < 3 ? (u64)number32() << 32 | number32() : kind < 6 ? number64() : rnd();

		if (kind == 7)
			v &= rnd() & rnd() & 0x0707070707070707; /* small numbers, ends of strings */
		if (kind == 8)
			v = (rnd() % 80) << 32 | rnd() % 80; /* counts */
		put64((u8 *)p + 8 * i, v);
	}
}

static void random_state(struct state *s, bool fp)
{
	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < 16; i++) {
		fill16(s->ymm[i].b);
		fill16(s->ymm[i].b + 16);
	}
	if (rnd() % 4 == 0)
		s->ymm[3] = s->ymm[2];
	if (rnd() % 8 == 0) { /* numbers that cancel */
		for (unsigned i = 0; i < 8; i++)
			s->ymm[1].d[i] = s->ymm[2].d[i] ^ (u32)(rnd() << 31) ^ (u32)(rnd() & 1);
	}
	for (unsigned i = 0; i < sizeof s->data; i += 16)
		fill16(s->data + i);
	for (unsigned i = 0; i < 8; i++)
		s->r[i] = rnd() % 4 ? rnd() : rnd() % 40 - 20;
	s->flags = 2 | (rnd() & OSZAPC);
	s->mxcsr = 0x1f80;
	if (fp) {
		s->mxcsr |= rnd() & 0xe07f & (rnd() % 2 ? ~(u64)0 : 0xe040);
		if (rnd() % 4 == 0)
			s->mxcsr &= (u32)rnd() | ~0x1f80u;
	}
}

/* ---- rows ---- */

/* Rows of insn_avx.def. */
static bool is_ours(const struct insn *i)
{
	bool plain = i->since == F_SHA || i->since == F_GFNI || i->since == F_MOVDIRI || i->since == F_MOVDIR64B || i->since == F_SERIALIZE;

	return (plain || i->check & CHK_AVX) && i->modes != NO64 && host_has(i->since);
}

static bool approximate(const struct insn *i) { return !strncmp(i->mnemonic, "vrcp", 4) || !strncmp(i->mnemonic, "vrsqrt", 6); }

/* How the r/m operand is given: another register, the same for all operands, registers 9-11; [RDI], [RSI + RBP * 2 + 8], [EDI], an odd
 * address, and one so near the end of the page that not all of it is there. */
enum form { FORM_REG, FORM_SAME, FORM_HIGH, FORM_BASE, FORM_INDEX, FORM_SEG, FORM_UNALIGNED, FORM_EDGE, FORMS };

struct code { u8 bytes[16]; unsigned len, index; };

static bool encode(const struct isa_row *row, enum form form, struct code *out)
{
	u8 *p = out->bytes, reg = 1, rm = 2, vvvv = 0, w = row->mask & KEY_W ? !!(row->match & KEY_W) : rnd() & 1;
	u8 l = row->mask & KEY_L ? !!(row->match & KEY_L) : rnd() & 1, pp = row->match >> 9 & 3, third = 3, index = 0;
	static const u8 prefix[4] = { 0, 0x66, 0xf3, 0xf2 };
	bool is_mem = form >= FORM_BASE, has_h = false, has_mem = false, has_rm = false, general = false, high = form == FORM_HIGH;

	for (unsigned i = 0; i < row->operands; i++) {
		u8 kind = row->operand[i].kind;

		has_h |= kind == OPK_H;
		has_mem |= kind == OPK_E || kind == OPK_W || kind == OPK_M;
		has_rm |= kind == OPK_E || kind == OPK_W || kind == OPK_U || kind == OPK_R;
		general |= kind == OPK_E || kind == OPK_G || kind == OPK_R;
	}
	if (row->mask & KEY_MEM && !!(row->match & KEY_MEM) != is_mem)
		return false;
	if (row->operands && (is_mem ? !has_mem : !has_rm))
		return false;
	if ((!row->operands && form != FORM_REG) || (high && general))
		return false;
	if (form == FORM_SAME)
		rm = third = reg;
	if (row->mask & 0x38)
		reg = (u8)(row->match >> 3 & 7);
	if (row->insn->vsib) {
		static const u8 indices[FORMS] = { [FORM_BASE] = 5, [FORM_INDEX] = 13, [FORM_SEG] = 4, [FORM_UNALIGNED] = 15, [FORM_EDGE] = 5 };

		index = out->index = indices[form];
	}
	if (has_h)
		vvvv = (u8)(third + 8 * high);
	if (form == FORM_SEG)
		*p++ = 0x67;
	if (row->vex) {
		bool x = row->insn->vsib && index & 8, two = row->map == 1 && !w && !high && !x && rnd() & 1;

		if (two) {
			*p++ = 0xc5;
			*p++ = (u8)(0x80 | (~vvvv & 15) << 3 | l << 2 | pp);
		} else {
			*p++ = 0xc4;
			*p++ = (u8)((high ? 0x40 : 0xe0) ^ (x ? 0x40 : 0)) | row->map;
			*p++ = (u8)(w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
		}
	} else {
		if (row->mask & KEY_PP && pp)
			*p++ = prefix[pp];
		if (high || (general && w))
			*p++ = (u8)(0x40 | (general && w ? 8 : 0) | (high ? 5 : 0));
		*p++ = 0x0f;
		if (row->map > 1)
			*p++ = row->map == 2 ? 0x38 : 0x3a;
	}
	*p++ = row->opcode;
	if (row->modrm) {
		if ((row->mask & 0xff) == 0xff)
			*p++ = (u8)row->match;
		else if (row->insn->vsib)
			*p++ = (u8)(4 | reg << 3), *p++ = (u8)(rnd() << 6 | (index & 7) << 3 | RDI);
		else if (!is_mem)
			*p++ = (u8)(0xc0 | reg << 3 | rm);
		else if (form == FORM_INDEX)
			*p++ = (u8)(0x44 | reg << 3), *p++ = 0x6e, *p++ = 8;
		else
			*p++ = (u8)(reg << 3 | RDI);
	}
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_I)
			*p++ = (u8)rnd();
		else if (row->operand[i].kind == OPK_L)
			*p++ = (u8)((form == FORM_SAME ? 1 : 4 + 8 * high) << 4 | (rnd() & 15));
	out->len = (unsigned)(p - out->bytes);
	return true;
}

static void set_address(struct state *s, const struct insn *row, enum form form, unsigned which, u64 data)
{
	if (row->vsib) { /* elements around the middle; at the edge, some are beyond the end */
		s->r[RDI] = data + 64 + (form == FORM_UNALIGNED) + (form == FORM_EDGE ? 24 : 0);
		return;
	}
	if (!strcmp(row->mnemonic, "vmaskmovdqu"))
		s->r[RDI] = data + 7;
	if (!strcmp(row->mnemonic, "movdir64b"))
		s->r[RCX] = data + (form == FORM_UNALIGNED ? 0 : 64);
	if (form == FORM_INDEX) {
		s->r[RBP] = 4;
		s->r[RSI] = data + 32 - 16;
	} else if (form == FORM_EDGE) {
		s->r[RDI] = data + DATA_SIZE - 4 * which;
	} else if (form >= FORM_BASE) {
		s->r[RDI] = data + 32 + (form == FORM_UNALIGNED);
	}
}

static void show(const char *who, const struct state *s, char *out, size_t room)
{
	int n = snprintf(out, room, "%s: exception %d mxcsr %04x flags %03lx rcx %016lx rdx %016lx", who, s->exception, s->mxcsr, (unsigned long)s->flags,
			 (unsigned long)s->r[RCX], (unsigned long)s->r[RDX]);

	for (unsigned i = 0; i < 5; i++)
		n += snprintf(out + n, room - (size_t)n, "\n  ymm%u %016lx%016lx%016lx%016lx", i, (unsigned long)s->ymm[i].q[3], (unsigned long)s->ymm[i].q[2],
			      (unsigned long)s->ymm[i].q[1], (unsigned long)s->ymm[i].q[0]);
}

/* Two approximations to within 1.5 * 2^-12; NaNs, infinities and zeros as they are, but that silicon may give denormals. */
static bool near(const union ymm *a, const union ymm *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (isnormal(a->f[i]) && isnormal(b->f[i]) ? fabsf(a->f[i] / b->f[i] - 1) > 3.0f / 4096 :
		    a->d[i] != b->d[i] && fabsf(a->f[i]) > 1.2e-38f)
			return false;
	return true;
}

static bool same(const struct insn *row, const struct state *a, const struct state *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP && i != RSI && i != RDI && (i != RCX || strcmp(row->mnemonic, "movdir64b")) && a->r[i] != b->r[i])
			return false;
	for (unsigned i = 0; i < 16; i++)
		if ((i & 7) == 1 && approximate(row) ? !near(&a->ymm[i], &b->ymm[i]) : memcmp(&a->ymm[i], &b->ymm[i], 32))
			return false;
	return a->exception == b->exception && (a->exception >= 0 || a->flags == b->flags) && a->mxcsr == b->mxcsr &&
	       !memcmp(a->data, b->data, sizeof a->data);
}

/* Indices from -8 to 7, of 8 or 4 bytes. */
static void small_indices(union ymm *v, bool wide)
{
	for (unsigned i = 0; i < 8; i++)
		v->d[i] = wide && i & 1 ? 0 - (v->d[i - 1] >> 31) : (u32)(rnd() % 16) - 8;
}

static void compare_once(const struct isa_row *r, enum form form, bool unmasked)
{
	const struct insn *row = r->insn;
	struct state before, host, guest;
	struct code code;
	char text[3][1024];
	unsigned which = 1 + rnd() % 7;

	if (!encode(r, form, &code))
		return;
	random_state(&before, !row->pure);
	if (!unmasked)
		before.mxcsr |= 0x1f80;
	else if (rnd() & 1) /* one alone, which may well not be raised */
		before.mxcsr = (before.mxcsr | 0x1f80) & ~(0x80u << rnd() % 6);
	if (!strcmp(row->mnemonic, "vldmxcsr"))
		put32(before.data + 32, get32(before.data + 32) & 0x1ffff); /* sometimes a bit that does not exist */
	if (row->vsib)
		small_indices(&before.ymm[code.index], strstr(row->mnemonic, "gatherq"));
	host = guest = before;
	set_address(&host, row, form, which, (u64)(uintptr_t)page + 2 * PAGE_SIZE - DATA_SIZE);
	set_address(&guest, row, form, which, DATA);
	host_step(code.bytes, code.len, &host);
	guest_step(code.bytes, code.len, &guest);
	if (same(row, &host, &guest))
		return;
	show("before", &before, text[0], sizeof text[0]);
	show("host  ", &host, text[1], sizeof text[1]);
	show("guest ", &guest, text[2], sizeof text[2]);
	ck_abort_msg("%s %s, form %d, imm %02x, data %016lx%016lx\n%s\n%s\n%s", row->mnemonic, row->encoding, form, code.bytes[code.len - 1],
		     (unsigned long)get64(before.data + 40), (unsigned long)get64(before.data + 32), text[0], text[1], text[2]);
}

static void each_row(unsigned times, bool unmasked)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < c->isa->count; i++) {
		const struct isa_row *row = &c->isa->rows[i];

		if (!is_ours(row->insn))
			continue;
		rows++;
		for (enum form form = 0; form < FORMS; form++)
			for (unsigned n = 0; n < times; n++)
				if (!unmasked || !row->insn->pure)
					compare_once(row, form, unmasked);
	}
	ck_assert(rows >= 400 || !host_has(F_AVX2));
}

START_TEST(masked)
{
	if (host_has(F_AVX))
		each_row(200, false);
}
END_TEST

START_TEST(unmasked)
{
	if (host_has(F_AVX))
		each_row(300, true);
}
END_TEST

/* Fields that must have one value, prefixes that must not be there, lengths that do not exist; and what SSE does to the upper half. */
START_TEST(reserved)
{
	static const struct { u8 bytes[10], len; } codes[] = {
		{ { 0xc5, 0xe8, 0x28, 0xca }, 4 },                   /* vmovaps, vvvv = 2 */
		{ { 0xc5, 0xf0, 0x77 }, 3 },                         /* vzeroupper, vvvv = 1 */
		{ { 0xc5, 0xe9, 0x70, 0xca, 0x1b }, 5 },             /* vpshufd, vvvv = 2 */
		{ { 0xc5, 0xe8, 0x51, 0xca }, 4 },                   /* vsqrtps, vvvv = 2 */
		{ { 0xc5, 0xea, 0x51, 0xca }, 4 },                   /* vsqrtss has one */
		{ { 0xc5, 0xe8, 0x2e, 0xca }, 4 },                   /* vucomiss, vvvv = 2 */
		{ { 0xc5, 0xea, 0x10, 0x0f }, 4 },                   /* vmovss from memory, vvvv = 2 */
		{ { 0xc4, 0xe3, 0xe9, 0xf0, 0xca, 0x01 }, 6 },       /* no such instruction */
		{ { 0x66, 0xc5, 0xf8, 0x58, 0xca }, 5 },             /* 66 before VEX */
		{ { 0xf2, 0xc5, 0xf8, 0x58, 0xca }, 5 },
		{ { 0xf3, 0xc5, 0xf8, 0x58, 0xca }, 5 },
		{ { 0xf0, 0xc5, 0xf8, 0x58, 0x0f }, 5 },             /* LOCK */
		{ { 0x48, 0xc5, 0xf8, 0x58, 0xca }, 5 },             /* REX */
		{ { 0x64, 0xc5, 0xf8, 0x58, 0xca }, 5 },             /* a segment override may be there */
		{ { 0xc5, 0xfd, 0x6e, 0xca }, 4 },                   /* vmovd, L = 1 */
		{ { 0xc5, 0xec, 0x12, 0xca }, 4 },                   /* vmovhlps, L = 1 */
		{ { 0xc4, 0xe2, 0x79, 0x19, 0xca }, 5 },             /* vbroadcastsd, L = 0 */
		{ { 0xc4, 0xe2, 0xfd, 0x18, 0xca }, 5 },             /* vbroadcastss, W = 1 */
		{ { 0xc4, 0xe3, 0x7d, 0x00, 0xca, 0x1b }, 6 },       /* vpermq, W = 0 */
		{ { 0xc4, 0xe3, 0xf9, 0x00, 0xca, 0x1b }, 6 },       /* vpermq, L = 0 */
		{ { 0xc4, 0xe3, 0x69, 0x18, 0xca, 0x01 }, 6 },       /* vinsertf128, L = 0 */
		{ { 0xc4, 0xe3, 0xed, 0x4a, 0xca, 0x30 }, 6 },       /* vblendvps, W = 1 */
		{ { 0xc4, 0xe3, 0x6d, 0x41, 0xca, 0x31 }, 6 },       /* vdppd, L = 1 */
		{ { 0xc4, 0xe2, 0x71, 0x90, 0x0c, 0x2f }, 6 },       /* vpgatherdd, mask = destination */
		{ { 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x0f }, 6 },       /* index = destination */
		{ { 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x1f }, 6 },       /* index = mask */
		{ { 0xc4, 0xe2, 0x61, 0x90, 0x0f }, 5 },             /* no SIB */
		{ { 0xc4, 0xe0, 0x78, 0x58, 0xca }, 5 },             /* map 0 */
		{ { 0x0f, 0x28, 0xca }, 3 },                         /* SSE leaves bits 255:128 alone */
		{ { 0x0f, 0x58, 0xca }, 3 },
		{ { 0x66, 0x0f, 0xef, 0xca }, 4 },
		{ { 0xf2, 0x0f, 0x10, 0xca }, 4 },
		{ { 0xf3, 0x0f, 0x7e, 0xca }, 4 },
		{ { 0x66, 0x0f, 0x3a, 0x62, 0xca, 0x40 }, 6 },       /* pcmpistrm, and with VEX */
		{ { 0xc4, 0xe3, 0x79, 0x62, 0xca, 0x40 }, 6 },
	};

	if (!host_has(F_AVX2))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(codes); i++)
		for (unsigned n = 0; n < 20; n++) {
			struct state host, guest;

			random_state(&host, false);
			guest = host;
			host.r[RDI] = (u64)(uintptr_t)page + PAGE_SIZE;
			guest.r[RDI] = RAM_SIZE - PAGE_SIZE;
			host_step(codes[i].bytes, codes[i].len, &host);
			guest_step(codes[i].bytes, codes[i].len, &guest);
			ck_assert_msg(host.exception == guest.exception && !memcmp(host.ymm, guest.ymm, sizeof host.ymm),
				      "%u: exception %d, here %d", i, guest.exception, host.exception);
		}
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("avx");
	TCase *t = tcase_create("avx");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(t, make_guest, free_guest);
	tcase_set_timeout(t, 120);
#ifdef __x86_64__
	tcase_add_unchecked_fixture(t, make_host, NULL);
	tcase_add_test(t, masked);
	tcase_add_test(t, unmasked);
	tcase_add_test(t, reserved);
#endif
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
