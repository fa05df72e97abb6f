/* MMX against the silicon of the host: every row of the table with an MMX operand is encoded, with a register and with memory, and the same
 * bytes run here and in the guest from the same random state. Without an x86-64 host, what the manual says about the x87 state remains. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include "cpu/flow.h"
#include "cpu/op.h"
#include "cpu/x87.h"
#include "tests/unit/bare.h"

/* ---- the guest: a bare processor in 64-bit mode, everything mapped where it is ---- */

enum { CODE = 0x1000, DATA = 0x8000, PML4 = 0x10000, RAM_SIZE = 0x200000 };

static void make_guest(void)
{
	bare_new("max", RAM_SIZE);
	space_write(&mem, PML4, 8, (PML4 + 0x1000) | 0x63);
	space_write(&mem, PML4 + 0x1000, 8, (PML4 + 0x2000) | 0x63);
	space_write(&mem, PML4 + 0x2000, 8, 0xe3); /* 2 MiB */
	c->cr3 = PML4;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	c->efer = EFER_LME | EFER_LMA;
	c->cr0 = CR0_PG | CR0_PE | CR0_NE | CR0_MP;
	for (unsigned i = ES; i <= GS; i++) {
		c->seg[i] = (struct seg){ .limit = 0xffffffff, .attr = SEG_A | SEG_W | SEG_S | SEG_P | SEG_G | (i == CS ? SEG_CODE | SEG_L : SEG_DB) };
		seg_update(c, i);
	}
	c->idtr.limit = 0;
	update_mode(c);
	c->attn = 0;
	x87_init(c);
}

/* Run the instruction at ADDR; the vector of its exception, or -1. */
static int step_at(u32 addr)
{
	enum cpu_stop stop;

	c->r[RIP] = addr;
	c->r[RDX] = c->r[RDI] = DATA;
	stop = cpu_run(c, c->icount + 1, CLOCK_NEVER);
	if (stop == CPU_EXCEPTION)
		return c->fault.vector;
	ck_assert_int_eq(stop, CPU_LIMIT);
	return -1;
}

static int step(const char *code, unsigned len)
{
	static u32 at = CODE;

	at = at >= DATA - 32 ? CODE : at + 16;
	space_write_block(&mem, at, code, len);
	return step_at(at);
}
#define STEP(code) step(code, sizeof(code) - 1)

/* ---- what the manual says (SDM vol. 1, 9.5.1) ---- */

START_TEST(x87_state)
{
	c->x87.top = 5;
	c->x87.valid = 0x12;
	c->x87.sw = X87_C3 | X87_PE;
	mmx_set(c, 1, 0x1122334455667788);
	c->x87.st[2].exp = 0x1234;
	ck_assert_int_eq(STEP("\x0f\x6f\xc1"), -1); /* movq mm0, mm1 */
	ck_assert_uint_eq(c->x87.top, 0);
	ck_assert_uint_eq(c->x87.valid, 0xff);
	ck_assert_uint_eq(c->x87.sw, X87_C3 | X87_PE);
	ck_assert_uint_eq(c->x87.st[0].exp, 0xffff);
	ck_assert_uint_eq(c->x87.st[2].exp, 0x1234);
	ck_assert_uint_eq(mmx_get(c, 0), 0x1122334455667788);
	ck_assert_int_eq(STEP("\x0f\x77"), -1); /* emms */
	ck_assert_uint_eq(c->x87.valid, 0);
	ck_assert_uint_eq(mmx_get(c, 0), 0x1122334455667788);
}
END_TEST

/* A load that faults leaves the x87 state alone. */
START_TEST(fault_first)
{
	c->x87.top = 5;
	c->x87.valid = 0x12;
	ck_assert_int_eq(STEP("\x0f\x6f\x04\x25\x00\x00\x30\x00"), VEC_PF); /* movq mm0, [300000h] */
	ck_assert_uint_eq(c->x87.top, 5);
	ck_assert_uint_eq(c->x87.valid, 0x12);
}
END_TEST

/* An unmasked SIMD exception is #XM, and nothing is written. */
START_TEST(unmasked)
{
	c->mxcsr = 0x1f00; /* invalid operation */
	c->xmm[1].d[0] = 0x7fc00000;
	mmx_set(c, 0, 42);
	ck_assert_int_eq(STEP("\x0f\x2d\xc1"), VEC_XM); /* cvtps2pi mm0, xmm1 */
	ck_assert_uint_eq(mmx_get(c, 0), 42);
	ck_assert_uint_eq(c->mxcsr, 0x1f01);
}
END_TEST

/* ---- the silicon ---- */

#ifdef __x86_64__

struct image { u32 cw, sw, tw, fip, fcs, fdp, fds; u8 st[8][10]; } __attribute__((packed));

/* Beside the MMX registers: what the native code loads, and stores again. */
struct others {
	u64 xmm0[2], xmm3[2];
	u32 mxcsr, mxcsr_after, mxcsr_host, unused[3];
	u64 rax, rbx;
};
_Static_assert(offsetof(struct others, rax) == 56, "as the code below has it");
typedef void native_fn(const struct image *in, struct image *out, void *operand, struct others *others);

static u8 *native_code;

static native_fn *make_native(const u8 *code, unsigned len)
{
	static const u8 before[] = {
		0x53,                   /* push rbx */
		0x48, 0x8b, 0x59, 0x40, /* mov rbx, [rcx + 64] */
		0x48, 0x8b, 0x41, 0x38, /* mov rax, [rcx + 56] */
		0x0f, 0x10, 0x01,       /* movups xmm0, [rcx] */
		0x0f, 0x10, 0x59, 0x10, /* movups xmm3, [rcx + 16] */
		0x0f, 0xae, 0x51, 0x20, /* ldmxcsr [rcx + 32] */
		0xdd, 0x27,             /* frstor [rdi] */
		0x48, 0x89, 0xd7,       /* mov rdi, rdx */
	};
	static const u8 after[] = {
		0xdd, 0x36,             /* fnsave [rsi] */
		0x0f, 0xae, 0x59, 0x24, /* stmxcsr [rcx + 36] */
		0x0f, 0xae, 0x51, 0x28, /* ldmxcsr [rcx + 40] */
		0x0f, 0x11, 0x01,       /* movups [rcx], xmm0 */
		0x0f, 0x11, 0x59, 0x10, /* movups [rcx + 16], xmm3 */
		0x48, 0x89, 0x59, 0x40, /* mov [rcx + 64], rbx */
		0x48, 0x89, 0x41, 0x38, /* mov [rcx + 56], rax */
		0xdb, 0xe3,             /* fninit */
		0x5b, 0xc3,             /* pop rbx; ret */
	};

	memcpy(native_code, before, sizeof before);
	memcpy(native_code + sizeof before, code, len);
	memcpy(native_code + sizeof before + len, after, sizeof after);
	return (native_fn *)(uintptr_t)native_code;
}

static u64 seed = 88172645463325252u;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1du;
}

/* Lanes at their limits, shift counts, floats and doubles near to 2^31. */
static u64 pick(void)
{
	static const u8 edges[] = { 0, 1, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x3f };
	u64 v = rnd();

	switch (rnd() % 8) {
	case 0:
		for (int i = 0; i < 8; i++)
			v = v << 8 | edges[rnd() % 8];
		return v;
	case 1: return v & 0x8000800080008000;
	case 2: return v | 0x7fff7fff7fff7fff;
	case 3: return rnd() % 80;
	case 4: {
		float f[2] = { (float)(s32)rnd() / (float)(1 << rnd() % 31), (float)(s32)rnd() * 1.5f };

		memcpy(&v, f, 8);
		return v;
	}
	case 5: {
		double d = (double)(s64)rnd() / (double)((u64)1 << (30 + rnd() % 32));

		memcpy(&v, &d, 8);
		return v;
	}
	case 6: return v & (rnd() & 1 ? 0x807fffff807fffff : 0x800fffffffffffff); /* denormals */
	default: return v;
	}
}

static unsigned encode(const struct isa_row *row, bool memory, bool swap, u8 *code)
{
	static const u8 prefixes[] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned n = 0, reg = swap ? 3 : 0, rm = swap ? 0 : 3;

	if (row->mask & KEY_PP && (row->match & KEY_PP) >> 9)
		code[n++] = prefixes[(row->match & KEY_PP) >> 9];
	if (row->match & KEY_W)
		code[n++] = 0x48;
	code[n++] = 0x0f;
	if (row->map > 1)
		code[n++] = row->map == 2 ? 0x38 : 0x3a;
	code[n++] = row->opcode;
	if (!row->modrm)
		return n;
	if ((row->mask & 0x38) == 0x38)
		reg = row->match >> 3 & 7;
	code[n++] = (u8)(memory ? reg << 3 | 2 : 0xc0 | reg << 3 | rm);
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_I)
			code[n++] = (u8)(rnd() & 1 ? rnd() % 20 : rnd());
	return n;
}

static void guest_load(const struct image *in, const struct others *others)
{
	x87_set_control(c, (u16)in->cw);
	x87_set_status(c, (u16)in->sw);
	c->x87.valid = 0xff;
	for (unsigned i = 0; i < 8; i++)
		x87_set_reg(c, i, in->st[i]);
	memcpy(&c->xmm[0], others->xmm0, 16);
	memcpy(&c->xmm[3], others->xmm3, 16);
	c->mxcsr = others->mxcsr;
	c->r[RAX] = others->rax;
	c->r[RBX] = others->rbx;
}

static unsigned compare_one(const struct isa_row *row, const u8 *code, native_fn *native, u32 at)
{
	_Alignas(16) u8 memory[16], native_mem[16], guest_mem[16];
	struct image in = { .cw = 0x37f, .sw = (u32)(rnd() & 7) << 11 }, want, got = { .cw = 0x37f };
	struct others others = { .mxcsr = (u32)(0x1f80 | (rnd() & 0x603f)), .mxcsr_host = 0x1f80 }, after;
	bool bad;
	int vector;

	for (unsigned i = 0; i < 8; i++) {
		put64(in.st[i], pick());
		put16(in.st[i] + 8, (u16)rnd());
	}
	for (unsigned i = 0; i < 2; i++) {
		others.xmm0[i] = pick();
		others.xmm3[i] = pick();
		put64(memory + 8 * i, pick());
	}
	if (rnd() & 1) /* denormals are zeros */
		others.mxcsr |= 0x40;
	others.rax = rnd();
	others.rbx = rnd();
	memcpy(native_mem, memory, 16);
	space_write_block(&mem, DATA, memory, 16);
	guest_load(&in, &others);
	after = others;
	native(&in, &want, native_mem, &after);

	vector = step_at(at);
	sse_park(c);
	space_read_block(&mem, DATA, guest_mem, 16);
	for (unsigned i = 0; i < 8; i++)
		x87_get_reg(c, i, got.st[i]);
	bad = vector != -1 || (want.sw & 0xffff) != x87_status(c) || memcmp(want.st, got.st, 80) || memcmp(native_mem, guest_mem, 16) ||
	      memcmp(&c->xmm[0], after.xmm0, 16) || memcmp(&c->xmm[3], after.xmm3, 16) || c->mxcsr != after.mxcsr_after ||
	      c->r[RAX] != after.rax || c->r[RBX] != after.rbx;
	for (unsigned n = 0; n < 8; n++)
		bad |= ((want.tw >> 2 * n & 3) != 3) != (c->x87.valid >> n & 1);
	if (bad) {
		printf("%s %s: vector %d, mxcsr %x: %x %x, sw %x %x\n", row->insn->mnemonic, row->insn->encoding, vector, others.mxcsr,
		       after.mxcsr_after, c->mxcsr, want.sw & 0xffff, x87_status(c));
		for (unsigned i = 0; i < 8; i++)
			printf("  st%u %016llx: %016llx %016llx\n", i, (unsigned long long)get64(in.st[i]), (unsigned long long)get64(want.st[i]),
			       (unsigned long long)get64(got.st[i]));
	}
	(void)code;
	return bad;
}

static bool has_mmx_operand(const struct isa_row *row)
{
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_P || row->operand[i].kind == OPK_Q || row->operand[i].kind == OPK_N)
			return true;
	return !strcmp(row->insn->mnemonic, "emms");
}

START_TEST(silicon)
{
	unsigned bad = 0, rows = 0;
	u32 at = CODE;

	native_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(native_code, MAP_FAILED);
	for (unsigned i = 0; i < c->isa->count; i++) {
		const struct isa_row *row = &c->isa->rows[i];

		if (!has_mmx_operand(row) || row->map == MAP_3DNOW)
			continue;
		rows++;
		for (unsigned form = 0; form < 24; form++) {
			bool memory = form & 1;
			native_fn *native;
			u8 code[16];
			unsigned len;

			if (row->mask & KEY_MEM && memory != !!(row->match & KEY_MEM))
				continue;
			if (memory && !row->modrm)
				continue;
			len = encode(row, memory, form & 2, code);
			at = at >= DATA - 32 ? CODE : at + 16;
			space_write_block(&mem, at, code, len);
			native = make_native(code, len);
			for (unsigned n = 0; n < 100 && bad < 10; n++)
				bad += compare_one(row, code, native, at);
		}
	}
	munmap(native_code, 4096);
	ck_assert_uint_gt(rows, 90);
	ck_assert_uint_eq(bad, 0);
}
END_TEST

#endif

static Suite *suite(void)
{
	Suite *s = suite_create("mmx");
	TCase *t = tcase_create("manual");

	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_add_test(t, x87_state);
	tcase_add_test(t, fault_first);
	tcase_add_test(t, unmasked);
	suite_add_tcase(s, t);
#ifdef __x86_64__
	t = tcase_create("silicon");
	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, silicon);
	suite_add_tcase(s, t);
#endif
	return s;
}

int main(void)
{
	return bare_run(suite());
}
