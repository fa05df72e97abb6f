/* SSE instructions against the silicon of the host: each row of the table is encoded, the same bytes run here and in the guest, from the
 * same registers, and everything must come out the same: registers, MXCSR, memory, and which exception there was.
 *
 * Without an x86-64 host there is nothing to compare with; extensions that the host lacks are left out. RCPxS and RSQRTxS are compared
 * with their definition instead: |relative error| <= 1.5 * 2^-12. */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/sse.h"
#include "mem/space.h"

/* ---- the guest: a bare processor in 64-bit mode, everything mapped where it is ---- */

enum { CODE = 0x1000, DATA = 0x2000, PML4 = 0x10000, RAM_SIZE = 0x200000 };

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

struct state {
	u64 r[16];        /* RAX.. as the processor numbers them; RSP, R15 are not looked at */
	u64 flags;
	union xmm xmm[16];
	u32 mxcsr;
	u8 data[64];      /* the memory operand lies in here */
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
	memcpy(c->xmm, s->xmm, sizeof s->xmm);
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
	memcpy(s->xmm, c->xmm, sizeof s->xmm);
	s->mxcsr = c->mxcsr;
	space_read_block(&mem, DATA, s->data, sizeof s->data);
}

#ifdef __x86_64__

/* ---- the host ---- */

/* Load everything from *RDI, call RSI (an instruction and RET), store everything back. Offsets as in struct state. */
void native_call(struct state *s, const void *code);
__asm__(".text\n"
	"native_call:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	sub $24, %rsp\n	stmxcsr 8(%rsp)\n	mov %rsi, (%rsp)\n	mov %rdi, %r15\n"
	"	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	movups 136+16*\\n(%r15), %xmm\\n\n"
	"	.endr\n"
	"	pushq 128(%r15)\n	popfq\n"
	"	mov 0(%r15), %rax\n	mov 8(%r15), %rcx\n	mov 16(%r15), %rdx\n	mov 24(%r15), %rbx\n"
	"	mov 40(%r15), %rbp\n	mov 48(%r15), %rsi\n	mov 56(%r15), %rdi\n"
	"	ldmxcsr 392(%r15)\n"
	"	call *(%rsp)\n"
	"	stmxcsr 392(%r15)\n	ldmxcsr 8(%rsp)\n"
	"	mov %rax, 0(%r15)\n	mov %rcx, 8(%r15)\n	mov %rdx, 16(%r15)\n	mov %rbx, 24(%r15)\n"
	"	mov %rbp, 40(%r15)\n	mov %rsi, 48(%r15)\n	mov %rdi, 56(%r15)\n"
	"	pushfq\n	popq 128(%r15)\n"
	"	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
	"	movups %xmm\\n, 136+16*\\n(%r15)\n"
	"	.endr\n"
	"	add $24, %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n");
_Static_assert(offsetof(struct state, flags) == 128 && offsetof(struct state, xmm) == 136 && offsetof(struct state, mxcsr) == 392,
	       "as native_call has them");

static u8 *page;        /* executable, below 4 GiB; the second page is data */
static sigjmp_buf back;
static volatile u32 fault_mxcsr;
static volatile int fault_signal;

static void on_signal(int number, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)info;
	fault_mxcsr = u->uc_mcontext.fpregs->mxcsr;
	fault_signal = number;
	siglongjmp(back, 1);
}

static void make_host(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	page = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ck_assert_ptr_ne(page, MAP_FAILED);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGILL, &action, NULL);
}

static void host_step(const u8 *code, unsigned len, struct state *s)
{
	u32 mxcsr;

	memcpy(page, code, len);
	page[len] = 0xc3;
	memcpy(page + PAGE_SIZE, s->data, sizeof s->data);
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	if (!sigsetjmp(back, 1)) {
		native_call(s, page);
		s->exception = -1;
	} else {
		__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
		s->exception = fault_signal == SIGFPE ? VEC_XM : fault_signal == SIGILL ? VEC_UD : VEC_GP;
		s->mxcsr = fault_mxcsr;
	}
	s->flags &= OSZAPC;
	memcpy(s->data, page + PAGE_SIZE, sizeof s->data);
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
};

static const u64 edges64[] = {
	0, 1, 0x3ff0000000000000, 0x3fe0000000000000, 0x3ff8000000000000, 0x4004000000000000, 0x7ff0000000000000, 0x7fefffffffffffff,
	0x0010000000000000, 0x000fffffffffffff, 0x7ff8000000000001, 0x7ff0000000000001, 0x41e0000000000000, 0x41dfffffffc00000,
	0x41dfffffffffffff, 0x43e0000000000000, 0x43dfffffffffffff, 0x4330000000000000, 0x432fffffffffffff, 0x3fdfffffffffffff,
	0x47efffffe0000000, 0x47effffff0000000, 0x3810000000000000, 0x380fffffffffffff, 0x36a0000000000000, 0x3690000000000000, 0x2000000000000000,
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
	unsigned kind = rnd() % 8;

	for (unsigned i = 0; i < 2; i++) {
		u64 v = kind < 3 ? (u64)number32() << 32 | number32() : kind < 6 ? number64() : rnd();

		if (kind == 7)
			v &= rnd() & rnd() & 0x0707070707070707; /* small numbers, ends of strings */
		put64((u8 *)p + 8 * i, v);
	}
}

static void random_state(struct state *s, bool fp)
{
	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < 16; i++)
		fill16(&s->xmm[i]);
	if (rnd() % 4 == 0)
		s->xmm[1] = s->xmm[2];
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

struct code { u8 bytes[16]; unsigned len; bool mem, imm; u32 address_reg; };

static bool host_has(enum feature f)
{
	switch (f) {
	case F_SSE: case F_SSE2: return true;
	case F_SSE3: return __builtin_cpu_supports("sse3");
	case F_SSSE3: return __builtin_cpu_supports("ssse3");
	case F_SSE4_1: return __builtin_cpu_supports("sse4.1");
	case F_SSE4_2: return __builtin_cpu_supports("sse4.2");
	case F_AES: return __builtin_cpu_supports("aes");
	case F_PCLMUL: return __builtin_cpu_supports("pclmul");
	default: return false;
	}
}

/* Rows of insn_sse.def that compute: on XMM registers, and CRC32, MOVNTI. */
static bool is_ours(const struct insn *i)
{
	if (i->check != CHK_SSE && strcmp(i->mnemonic, "crc32") && strcmp(i->mnemonic, "movnti"))
		return false;
	if (strpbrk(i->operands, "PQN"))
		return false;
	return host_has(i->since);
}

static bool approximate(const struct insn *i) { return !strncmp(i->mnemonic, "rcp", 3) || !strncmp(i->mnemonic, "rsqrt", 5); }

/* Sub-forms: how the r/m operand is given. */
enum form { FORM_REG, FORM_SAME, FORM_HIGH, FORM_BASE, FORM_INDEX, FORM_SEG, FORM_UNALIGNED, FORMS };

/* The bytes of ROW in FORM: XMM1 (or 9) or RCX in reg; XMM2 (or 10) or RDX in rm, or [RDI], [RSI + RBP * 2 + 8], [EDI]. False: there is no
 * such form. */
static bool encode(const struct insn *row, enum form form, u8 imm, struct code *out)
{
	char text[64], *word, *save = NULL;
	u8 opcode[4], prefix = 0, *p = out->bytes;
	bool w = false, o16 = false, has_reg = true, has_mem = strpbrk(row->operands, "EWM");
	bool high = form == FORM_HIGH;
	unsigned n = 0, digit = 8;

	if (strpbrk(row->operands, "MR"))
		has_reg = false;
	if (strstr(row->encoding, " reg"))
		has_reg = true, has_mem = false;
	else if (strstr(row->encoding, " mem"))
		has_reg = false;
	if (strchr(row->operands, 'U'))
		has_mem = false;
	out->mem = form >= FORM_BASE;
	if (out->mem ? !has_mem : !has_reg)
		return false;
	snprintf(text, sizeof text, "%s", row->encoding);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (!strcmp(word, "NP") || !strcmp(word, "mem") || !strcmp(word, "reg") || !strcmp(word, "REX.W0"))
			continue;
		if (!strcmp(word, "REX.W1"))
			w = true;
		else if (word[0] == '/')
			digit = word[1] == 'r' ? 8 : (unsigned)(word[1] - '0');
		else if (!n && !prefix && (!strcmp(word, "66") || !strcmp(word, "F3") || !strcmp(word, "F2")))
			prefix = (u8)strtoul(word, NULL, 16);
		else
			opcode[n++] = (u8)strtoul(word, NULL, 16);
	}
	if (strpbrk(row->operands, "y") || !strncmp(row->mnemonic, "pcmpe", 5))
		w = rnd() & 1;
	if (strstr(row->operands, "Ev")) {
		w = rnd() & 1;
		o16 = !w && rnd() & 1;
	}
	if (form == FORM_SEG)
		*p++ = 0x67;
	if (o16)
		*p++ = 0x66;
	if (prefix)
		*p++ = prefix;
	/* XMM9 and XMM10 only where both are XMM. */
	if (high && (strpbrk(row->operands, "EGRMB") || !strpbrk(row->operands, "VU")))
		return false;
	if (w || high)
		*p++ = (u8)(0x40 | w << 3 | (high ? (digit == 8 ? 5 : 1) : 0));
	for (unsigned i = 0; i < n; i++)
		*p++ = opcode[i];
	if (digit == 8)
		digit = 1;
	switch (form) {
	case FORM_REG:
	case FORM_HIGH: *p++ = (u8)(0xc0 | digit << 3 | 2); break;
	case FORM_SAME: *p++ = (u8)(0xc0 | digit << 3 | 1); break;
	case FORM_INDEX: *p++ = (u8)(0x44 | digit << 3), *p++ = 0x6e, *p++ = 8; break;
	default: *p++ = (u8)(digit << 3 | 7); break;
	}
	out->imm = strstr(row->operands, "Ib");
	if (out->imm)
		*p++ = imm;
	out->len = (unsigned)(p - out->bytes);
	return true;
}

static void set_address(struct state *s, const struct insn *row, enum form form, u64 data)
{
	if (!strcmp(row->mnemonic, "maskmovdqu"))
		s->r[RDI] = data + 7;
	if (form == FORM_INDEX) {
		s->r[RBP] = 4;
		s->r[RSI] = data + 16 - 16;
	} else if (form >= FORM_BASE) {
		s->r[RDI] = data + 16 + (form == FORM_UNALIGNED);
	}
}

static void show(const char *who, const struct state *s, char *out, size_t room)
{
	snprintf(out, room, "%s: exception %d mxcsr %04x flags %03lx rcx %016lx rdx %016lx xmm0 %016lx%016lx xmm1 %016lx%016lx xmm2 %016lx%016lx", who, s->exception, s->mxcsr,
		 (unsigned long)s->flags, (unsigned long)s->r[RCX], (unsigned long)s->r[RDX], (unsigned long)s->xmm[0].q[1], (unsigned long)s->xmm[0].q[0],
		 (unsigned long)s->xmm[1].q[1], (unsigned long)s->xmm[1].q[0], (unsigned long)s->xmm[2].q[1], (unsigned long)s->xmm[2].q[0]);
}

static bool same(const struct state *a, const struct state *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP && i != RSI && i != RDI && a->r[i] != b->r[i])
			return false;
	return a->exception == b->exception && (a->exception >= 0 || a->flags == b->flags) && a->mxcsr == b->mxcsr &&
	       !memcmp(a->xmm, b->xmm, sizeof a->xmm) && !memcmp(a->data, b->data, sizeof a->data);
}

static void compare_once(const struct insn *row, enum form form, bool unmasked)
{
	struct state before, host, guest;
	struct code code;
	char text[3][512];
	bool fp = !row->pure;

	if (!encode(row, form, (u8)rnd(), &code))
		return;
	random_state(&before, fp);
	if (!unmasked)
		before.mxcsr |= 0x1f80;
	if (!strcmp(row->mnemonic, "ldmxcsr"))
		put32(before.data + 16, get32(before.data + 16) & 0x1ffff); /* sometimes a bit that does not exist */
	host = guest = before;
	set_address(&host, row, form, (u64)(uintptr_t)page + PAGE_SIZE);
	set_address(&guest, row, form, DATA);
	host_step(code.bytes, code.len, &host);
	guest_step(code.bytes, code.len, &guest);
	if (same(&host, &guest))
		return;
	show("before", &before, text[0], sizeof text[0]);
	show("host  ", &host, text[1], sizeof text[1]);
	show("guest ", &guest, text[2], sizeof text[2]);
	ck_abort_msg("%s %s, form %d, imm %02x, data %016lx%016lx\n%s\n%s\n%s", row->mnemonic, row->encoding, form, code.bytes[code.len - 1],
		     (unsigned long)get64(before.data + 24), (unsigned long)get64(before.data + 16), text[0], text[1], text[2]);
}

static void each_row(unsigned times, bool unmasked)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < insn_count; i++) {
		const struct insn *row = &insn_table[i];

		if (!is_ours(row) || approximate(row))
			continue;
		rows++;
		for (enum form form = 0; form < FORMS; form++)
			for (unsigned n = 0; n < times; n++)
				compare_once(row, form, unmasked && !row->pure);
	}
	ck_assert_uint_ge(rows, 100);
}

START_TEST(masked)
{
	each_row(400, false);
}
END_TEST

START_TEST(unmasked)
{
	each_row(400, true);
}
END_TEST

/* ---- saving and restoring ---- */

enum { IMAGES = 0x4000, IMAGE = 1024 }; /* in the guest: one to restore, one saved to */

/* RESTORE [RDI], SAVE [RSI], with EDX:EAX = all that both have, on the same images. */
static void compare_images(const u8 *code, unsigned len, const u8 *image, bool extended)
{
	struct state host = { .mxcsr = 0x1f80 }, guest;
	static u8 saved[2][IMAGE];
	u8 *at = page + PAGE_SIZE;

	host.r[RAX] = 7;
	guest = host;
	host.r[RDI] = (u64)(uintptr_t)at;
	host.r[RSI] = host.r[RDI] + IMAGE;
	guest.r[RDI] = IMAGES;
	guest.r[RSI] = IMAGES + IMAGE;
	for (unsigned i = 0; i < IMAGE; i++)
		at[IMAGE + i] = extended && i >= 512 && i < 576 ? 0 : 0xa5; /* XSAVE keeps the header's other bits */
	space_write_block(&mem, IMAGES, image, IMAGE);
	space_write_block(&mem, IMAGES + IMAGE, at + IMAGE, IMAGE);
	memcpy(host.data, image, sizeof host.data); /* host_step copies it to the page */
	memcpy(at + sizeof host.data, image + sizeof host.data, IMAGE - sizeof host.data);
	host_step(code, len, &host);
	memcpy(saved[0], at + IMAGE, IMAGE);

	space_write_block(&mem, CODE, code, len);
	memcpy(c->r, guest.r, sizeof guest.r);
	c->r[RIP] = CODE;
	c->mxcsr = 0x1f80;
	guest.exception = cpu_run(c, c->icount + 2, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : -1;
	space_read_block(&mem, IMAGES + IMAGE, saved[1], IMAGE);
	ck_assert_int_eq(guest.exception, host.exception);
	if (extended) { /* silicon may call a component used that is not; and the other way round never */
		u64 host_bv = get64(saved[0] + 512), guest_bv = get64(saved[1] + 512);

		ck_assert_msg(!(guest_bv & ~host_bv), "XSTATE_BV %lx, here %lx", (unsigned long)guest_bv, (unsigned long)host_bv);
		memcpy(saved[0] + 512, saved[1] + 512, 8);
	}
	for (unsigned i = 0; i < IMAGE; i++)
		ck_assert_msg(saved[0][i] == saved[1][i], "byte %u: %02x, here %02x", i, saved[1][i], saved[0][i]);
	__asm__ volatile("fninit");
}

static void random_image(u8 *image)
{
	for (unsigned i = 0; i < IMAGE; i += 8)
		put64(image + i, rnd() % 8 ? rnd() : 0);
	put16(image, (u16)((rnd() & 0xf3f) | 0x40));
	put16(image + 6, (u16)(rnd() & 0x7ff));
	if (rnd() % 8)
		put32(image + 24, (u32)rnd() & 0xffff);
	/* FIP and FDP: canonical addresses; FCS and FDS are always 0 on newer silicon. */
	put64(image + 8, rnd() & 0x7fffffff);
	put64(image + 16, rnd() & 0x7fffffff);
}

START_TEST(fxsave)
{
	static const u8 code32[] = { 0x0f, 0xae, 0x0f, 0x0f, 0xae, 0x06 }, code64[] = { 0x48, 0x0f, 0xae, 0x0f, 0x48, 0x0f, 0xae, 0x06 };
	static u8 image[IMAGE];

	for (unsigned n = 0; n < 500; n++) {
		random_image(image);
		compare_images(code32, sizeof code32, image, false);
		compare_images(code64, sizeof code64, image, false);
	}
}
END_TEST

START_TEST(xsave)
{
	static const u8 code32[] = { 0x0f, 0xae, 0x2f, 0x0f, 0xae, 0x26 }, code64[] = { 0x48, 0x0f, 0xae, 0x2f, 0x48, 0x0f, 0xae, 0x26 };
	static u8 image[IMAGE];

	if (!__builtin_cpu_supports("avx"))
		return;
	for (unsigned n = 0; n < 500; n++) {
		random_image(image);
		memset(image + 512, 0, 64);
		image[512] = rnd() & 7;
		if (rnd() % 16 == 0)
			image[512 + rnd() % 24] |= 0x10; /* a bit that is reserved everywhere */
		if (rnd() % 4 == 0)
			memset(image + 160, 0, 256);
		compare_images(code32, sizeof code32, image, true);
		compare_images(code64, sizeof code64, image, true);
	}
}
END_TEST

#endif

/* SDM vol. 2, table 2-18 and following: which exception there is where SSE is not available. */
START_TEST(unavailable)
{
	static const struct { u64 cr0, cr4; int exception; } cases[] = {
		{ CR0_TS, CR4_OSFXSR | CR4_OSXMMEXCPT, VEC_NM }, { CR0_EM, CR4_OSFXSR | CR4_OSXMMEXCPT, VEC_UD }, { 0, CR4_OSXMMEXCPT, VEC_UD },
		{ CR0_TS | CR0_EM, CR4_OSFXSR, VEC_UD }, { 0, CR4_OSFXSR | CR4_OSXMMEXCPT, VEC_XM }, { 0, CR4_OSFXSR, VEC_UD },
	};
	static const u8 divss[] = { 0xf3, 0x0f, 0x5e, 0xca };
	u64 cr0 = c->cr0, cr4 = c->cr4;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct state s = { .mxcsr = 0x1d80 }; /* 1 / 0 with ZM clear */
		bool reaches = cases[i].cr0 == 0 && cases[i].cr4 & CR4_OSFXSR;

		c->cr0 = cr0 | cases[i].cr0;
		c->cr4 = (cr4 & ~(u64)(CR4_OSFXSR | CR4_OSXMMEXCPT)) | cases[i].cr4;
		update_mode(c);
		s.xmm[1].f[0] = 1;
		guest_step(divss, sizeof divss, &s);
		ck_assert_int_eq(s.exception, cases[i].exception);
		ck_assert_uint_eq(s.mxcsr, reaches ? 0x1d84 : 0x1d80);
		ck_assert(s.xmm[1].f[0] == 1);
	}
	c->cr0 = cr0;
	c->cr4 = cr4;
	update_mode(c);
}
END_TEST

/* Flags that nobody reads need not be computed; but an instruction that is not available is somebody. */
START_TEST(unavailable_in_a_block)
{
	static const u8 code[] = { 0x01, 0xc0, /* add eax, eax */ 0x66, 0x0f, 0xef, 0xca, /* pxor xmm1, xmm2 */ 0x29, 0xc9, /* sub ecx, ecx */
	                           0xeb, 0xfe };

	space_write_block(&mem, CODE, code, sizeof code);
	memset(c->r, 0, sizeof c->r);
	c->r[RIP] = CODE;
	c->r[RAX] = 0xffffffff;
	cpu_set_arith(c, 0);
	c->cr0 |= CR0_TS;
	update_mode(c);
	ck_assert_int_eq(cpu_run(c, c->icount + 100, ~(u64)0), CPU_EXCEPTION);
	ck_assert_int_eq(c->fault.vector, VEC_NM);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_C | FL_S | FL_A);
	c->cr0 &= ~(u64)CR0_TS;
	update_mode(c);
}
END_TEST

static double relative(double got, double want)
{
	return fabs(got / want - 1);
}

/* SDM vol. 1, 10.4.1.2: the maximum relative error. */
START_TEST(approximations)
{
	static const struct { u8 code[4]; bool root; } insn[] = { { { 0xf3, 0x0f, 0x53, 0xca }, false }, { { 0xf3, 0x0f, 0x52, 0xca }, true } };

	for (unsigned i = 0; i < ARRAY_LEN(insn); i++)
		for (u32 n = 0; n < 65536; n++) {
			struct state s = { .mxcsr = 0x1f80 };
			u32 x = 0x3f800000 + n * 256 + (n & 255);
			float f;
			double want;

			s.xmm[2].d[0] = x;
			guest_step(insn[i].code, 4, &s);
			memcpy(&f, &x, sizeof f);
			want = insn[i].root ? 1 / sqrt(f) : 1 / (double)f;
			ck_assert_int_eq(s.exception, -1);
			ck_assert_uint_eq(s.mxcsr, 0x1f80);
			ck_assert_msg(relative((double)s.xmm[1].f[0], want) <= 1.5 / 4096, "%08x -> %08x", x, s.xmm[1].d[0]);
		}
}
END_TEST

/* SDM vol. 2, RCPPS and RSQRTPS: special values; and the answers are ours on every host. */
START_TEST(approximations_special)
{
	static const struct { bool root; u32 x, want; } cases[] = {
		{ false, 0, 0x7f800000 }, { false, 0x80000000, 0xff800000 }, { false, 0x807fffff, 0xff800000 }, { false, 0x7f800000, 0 },
		{ false, 0xff800000, 0x80000000 }, { false, 0x7f800001, 0x7fc00001 }, { false, 0xffc00003, 0xffc00003 }, { false, 0x7f7fffff, 0 },
		{ false, 0x3f800000, 0x3f7ff000 }, { true, 0, 0x7f800000 }, { true, 0x80000001, 0xff800000 }, { true, 0x7f800000, 0 },
		{ true, 0xbf800000, 0xffc00000 }, { true, 0xff800000, 0xffc00000 }, { true, 0x7f800001, 0x7fc00001 }, { true, 0x3f800000, 0x3f7ff800 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct state s = { .mxcsr = 0x1f80 };
		u8 code[4] = { 0xf3, 0x0f, cases[i].root ? 0x52 : 0x53, 0xca };

		s.xmm[2].d[0] = cases[i].x;
		guest_step(code, 4, &s);
		ck_assert_msg(s.xmm[1].d[0] == cases[i].want && s.mxcsr == 0x1f80, "%d %08x -> %08x, not %08x", cases[i].root, cases[i].x,
			      s.xmm[1].d[0], cases[i].want);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sse");
	TCase *t = tcase_create("sse");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(t, make_guest, free_guest);
	tcase_set_timeout(t, 120);
#ifdef __x86_64__
	tcase_add_unchecked_fixture(t, make_host, NULL);
	tcase_add_test(t, masked);
	tcase_add_test(t, unmasked);
	tcase_add_test(t, fxsave);
	tcase_add_test(t, xsave);
#endif
	tcase_add_test(t, unavailable);
	tcase_add_test(t, unavailable_in_a_block);
	tcase_add_test(t, approximations);
	tcase_add_test(t, approximations_special);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
