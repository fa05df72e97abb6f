/* SPDX-License-Identifier: MIT */
/* Shifts, multiplication, division, bit instructions, compare-and-exchange and strings against the processor that the
 * tests run on: the same bytes, registers, flags and memory, in 64-bit mode. Flags that the table calls undefined are
 * not compared. */
#include "tests/unit/silicon.h"

#if defined __x86_64__ && defined __linux__

/* ---- values ---- */

static u64 value(void)
{
	static const u64 edges[] = {
		0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff,
			0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~(u64)0, ~(u64)0 - 1,
		0x8080808080808080, 0x00ff00ff00ff00ff,
	};
	u64 r = rnd();

	return r & 1 ? edges[(r >> 8) % ARRAY_LEN(edges)] : r & 2 ? rnd() : rnd() >> (r >> 8 & 63);
}

/* RSI points into the middle, wherever that is. */
enum { MIDDLE = 128 };

static void fill(struct vec_state *s)
{
	static const u8 used[] = { RAX, RCX, RDX, RBX, RDI, R8 };

	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < sizeof used; i++)
		s->r[used[i]] = value();
	s->flags = (rnd() & OSZAPC) | FL_1 | FL_I;
	s->mxcsr = MXCSR_RESET;
	s->cw = 0x37f;
	for (unsigned i = 0; i < DATA_SIZE; i += 8)
		put64(s->data + i, value());
}

/* ---- one instruction, many times ---- */

enum kind_of_case { ORDINARY, DIVIDE /* the quotient must fit */, SIGNED_DIVIDE,
	BIT_STRING /* the offset must stay in the buffer */ };

static void limit(struct vec_state *s, enum kind_of_case kind, unsigned size)
{
	u64 *r = s->r;

	if (kind == BIT_STRING) /* the bit number is in rcx: 128 bits to either side of rsi */
		r[RCX] = (u64)((s64)(r[RCX] << 56) >> 56);
	if (kind == DIVIDE || kind == SIGNED_DIVIDE) { /* rdx:rax / rcx, and memory holds the same divisor */
		r[RCX] |= (u64)1 << (8 * size - 3);
		r[RAX] = size == 1 ? r[RAX] & 0x0fff : r[RAX];
		r[RDX] &= (u64)0x0fffffffffffffff >> (64 - 8 * size);
		if (kind == SIGNED_DIVIDE && (r[RAX] ^ r[RBX]) & 1 && size != 1)
			r[RDX] = (u64)((s64)r[RAX] >> 63);
		if (kind == SIGNED_DIVIDE && size == 1)
			r[RAX] &= 0x03ff;
		if (kind == SIGNED_DIVIDE)
			r[RCX] &= ~((u64)1 << (8 * size - 1));
		put64(s->data + MIDDLE, r[RCX]);
	}
}

static unsigned cases, runs;
static char text[3][1024];

static void try(const char *name, const u8 *code, unsigned len, enum kind_of_case kind, unsigned size)
{
	struct dec d;
	struct op o;
	u32 defined;

	ck_assert_msg(decode(c->isa, &model, MODE_64 | MODE_LONG | MODE_PE, code, len, &d, &o) == DECODE_OK,
		      "%s is not decoded", name);
	ck_assert_msg(d.len == len, "%s: %u bytes, not %u", name, d.len, len);
	defined = OSZAPC & ~(u32)d.row->insn->undef;
	cases++;
	for (unsigned i = 0; host_works && i < 150; i++, runs++) {
		struct vec_state before, host, here;

		fill(&before);
		limit(&before, kind, size);
		host = here = before;
		host.r[RSI] = host_data() + MIDDLE;
		here.r[RSI] = DATA + MIDDLE;
		host_step(code, len, &host);
		guest_step(code, len, &here);
		host.r[RSI] = here.r[RSI];
		if (host.exception == here.exception && !memcmp(host.r, here.r, sizeof host.r) &&
			!((host.flags ^ here.flags) & defined) &&
		    !memcmp(host.data, here.data, DATA_SIZE))
			continue;
		show("before", &before, text[0], sizeof text[0]);
		show("host  ", &host, text[1], sizeof text[1]);
		show("guest ", &here, text[2], sizeof text[2]);
		ck_abort_msg("%s, %u bytes, rax %llx, memory %llx:\n%s\n%s\n%s", name, len, (long long)before.r[RAX],
			(long long)get64(before.data + MIDDLE),
			     text[0], text[1], text[2]);
	}
}

/* PREFIX (0 or F3, 66...), operand size 1 2 4 8, opcode with its map, ModRM, and an immediate byte (-1: none). */
static void legacy(const char *name, u8 prefix, unsigned size, unsigned opcode, u8 modrm, int imm,
		   enum kind_of_case kind)
{
	u8 code[16];
	unsigned n = 0;

	if (size == 2)
		code[n++] = 0x66;
	if (prefix)
		code[n++] = prefix;
	if (size == 8)
		code[n++] = 0x48;
	if (opcode >= 0x10000)
		code[n++] = (u8)(opcode >> 16);
	if (opcode >= 0x100)
		code[n++] = (u8)(opcode >> 8);
	code[n++] = (u8)opcode;
	code[n++] = modrm;
	if (imm >= 0)
		code[n++] = (u8)imm;
	try(name, code, n, kind, size);
}

/* Register and memory forms, all sizes from MIN on. ModRM.reg is REG; the register form's rm is RM. */
static void forms(const char *name, u8 prefix, unsigned min, unsigned opcode, unsigned byte_opcode, unsigned reg,
	unsigned rm, int imm,
		  enum kind_of_case kind)
{
	for (unsigned size = min; size <= 8; size *= 2) {
		unsigned op = size == 1 ? byte_opcode : opcode;

		legacy(name, prefix, size, op, (u8)(0xc0 | reg << 3 | rm), imm, kind == BIT_STRING ? ORDINARY : kind);
		legacy(name, prefix, size, op, (u8)(reg << 3 | 6), imm, kind);
	}
}

/* VEX, register and memory forms, 32 and 64 bits: reg = rax, vvvv = rdx, rm = rcx. */
static void vex(const char *name, unsigned map, unsigned pp, u8 opcode, unsigned reg, bool uses_vvvv, int imm)
{
	for (unsigned form = 0; form < 4; form++) {
		u8 code[7] = { 0xc4, (u8)(0xe0 | map), (u8)((form & 1) << 7 | (uses_vvvv ? ~RDX & 15 : 15) << 3 | pp),
			opcode,
			       (u8)(reg << 3 | (form & 2 ? 6 : 0xc1)), (u8)imm };

		try(name, code, imm >= 0 ? 6 : 5, ORDINARY, form & 1 ? 8 : 4);
	}
}

/* Numbers of two words: RAX and CL, or an immediate byte, then RDX and RBX, or another. The jump ends the block, so that
 * the run is of a whole one. */
START_TEST(two_words)
{
	static const u8 firsts[] = { 0 /* ADD */, 5 /* SUB */, 7 /* CMP */ }, seconds[] = { 2 /* ADC */, 3 /* SBB */ };

	for (unsigned i = 0; host_works && i < 3 * 2 * 4 * 3; i++) {
		u8 first = firsts[i % 3], second = seconds[i / 3 % 2], forms = (u8)(i / 6 % 4), rex = i / 24 == 1 ? 0x48 : 0;
		u8 code[16];
		unsigned n = 0;

		for (unsigned part = 0; part < 2; part++) {
			u8 what = part ? second : first, reg = part ? RDX : RAX;

			if (i / 24 == 2)
				code[n++] = 0x66;
			else if (rex)
				code[n++] = rex;
			code[n++] = forms >> part & 1 ? 0x83 : (u8)(8 * what + 1);
			code[n++] = (u8)(0xc0 | (forms >> part & 1 ? what : part ? RBX : RCX) << 3 | reg);
			if (forms >> part & 1)
				code[n++] = part ? 0 : 0xff;
		}
		code[n++] = 0xeb;
		code[n++] = 0;
		for (unsigned k = 0; k < 150; k++) {
			struct vec_state before, host, here;

			fill(&before);
			host = here = before;
			host_step(code, n, &host);
			guest_steps(code, n, &here, 3);
			if (memcmp(host.r, here.r, sizeof host.r) || (host.flags ^ here.flags) & OSZAPC)
				ck_abort_msg("/%u and /%u, forms %u, rax %llx rcx %llx rdx %llx rbx %llx: rax %llx rdx %llx flags %x here, "
					     "%llx %llx %x on the host", first, second, forms, (long long)before.r[RAX],
					     (long long)before.r[RCX], (long long)before.r[RDX], (long long)before.r[RBX],
					     (long long)here.r[RAX], (long long)here.r[RDX], (unsigned)here.flags,
					     (long long)host.r[RAX], (long long)host.r[RDX], (unsigned)host.flags);
		}
	}
}
END_TEST

START_TEST(shifts)
{
	static const char *const names[8] = { "rol", "ror", "rcl", "rcr", "shl", "shr", "sal", "sar" };

	for (unsigned i = 0; i < 8; i++) {
		for (unsigned count = 0; count < 70; count += count < 35 ? 1 : 7)
			forms(names[i], 0, 1, 0xc1, 0xc0, i, RAX, (int)count, ORDINARY);
		forms(names[i], 0, 1, 0xd1, 0xd0, i, RAX, -1, ORDINARY);
		forms(names[i], 0, 1, 0xd3, 0xd2, i, RAX, -1, ORDINARY);
		forms(names[i], 0, 1, 0xd3, 0xd2, i, RCX, -1, ORDINARY);
	}
	for (unsigned size = 2; size <= 8; size *= 2)
		for (unsigned right = 0; right < 2; right++) {
			unsigned opcode = right ? 0x0fac : 0x0fa4;

			/* by more than 16, 16-bit operands give what no manual says */
			for (unsigned count = 0; count <= (size == 2 ? 16 : 65); count++) {
				legacy(right ? "shrd" : "shld", 0, size, opcode, 0xd0, (int)count, ORDINARY);
				legacy(right ? "shrd" : "shld", 0, size, opcode, 0x16, (int)count, ORDINARY);
			}
			if (size > 2) {
				legacy(right ? "shrd cl" : "shld cl", 0, size, opcode + 1, 0xd0, -1, ORDINARY);
				legacy(right ? "shrd cl" : "shld cl", 0, size, opcode + 1, 0x16, -1, ORDINARY);
			}
		}
}
END_TEST

START_TEST(multiplications)
{
	forms("mul", 0, 1, 0xf7, 0xf6, 4, RCX, -1, ORDINARY);
	forms("imul", 0, 1, 0xf7, 0xf6, 5, RCX, -1, ORDINARY);
	forms("imul", 0, 2, 0x0faf, 0, RAX, RCX, -1, ORDINARY);
	for (int imm = 0; imm < 256; imm += 17)
		forms("imul", 0, 2, 0x6b, 0, RAX, RCX, imm, ORDINARY);
	forms("div", 0, 1, 0xf7, 0xf6, 6, RCX, -1, DIVIDE);
	forms("idiv", 0, 1, 0xf7, 0xf6, 7, RCX, -1, SIGNED_DIVIDE);
}
END_TEST

START_TEST(bit_tests)
{
	static const char *const names[4] = { "bt", "bts", "btr", "btc" };

	for (unsigned i = 0; i < 4; i++) {
		forms(names[i], 0, 2, 0x0fa3 + 8 * i, 0, RCX, RAX, -1, BIT_STRING);
		for (int imm = 0; imm < 256; imm += 19)
			forms(names[i], 0, 2, 0x0fba, 0, 4 + i, RAX, imm, ORDINARY);
	}
	forms("bsf", 0, 2, 0x0fbc, 0, RAX, RCX, -1, ORDINARY);
	forms("bsr", 0, 2, 0x0fbd, 0, RAX, RCX, -1, ORDINARY);
}
END_TEST

START_TEST(exchanges)
{
	forms("cmpxchg", 0, 1, 0x0fb1, 0x0fb0, RCX, RDX, -1, ORDINARY);
	forms("cmpxchg, the same", 0, 1, 0x0fb1, 0x0fb0, RCX, RAX, -1, ORDINARY);
	forms("xadd", 0, 1, 0x0fc1, 0x0fc0, RCX, RDX, -1, ORDINARY);
	forms("xadd, the same", 0, 1, 0x0fc1, 0x0fc0, RCX, RCX, -1, ORDINARY);
	legacy("cmpxchg8b", 0, 4, 0x0fc7, 0x0e, -1, ORDINARY);
	for (unsigned r = 0; r < 4; r++)
		legacy("bswap", 0, 8, 0x0f, (u8)(0xc8 + r), -1, ORDINARY);
}
END_TEST

/* Later features: where this host has them. */
START_TEST(extensions)
{
	if (host_has(F_POPCNT))
		forms("popcnt", 0xf3, 2, 0x0fb8, 0, RAX, RCX, -1, ORDINARY);
	if (host_has(F_BMI1)) {
		forms("tzcnt", 0xf3, 2, 0x0fbc, 0, RAX, RCX, -1, ORDINARY);
		vex("andn", 2, 0, 0xf2, RAX, true, -1);
		vex("bextr", 2, 0, 0xf7, RAX, true, -1);
		vex("blsr", 2, 0, 0xf3, 1, true, -1);
		vex("blsmsk", 2, 0, 0xf3, 2, true, -1);
		vex("blsi", 2, 0, 0xf3, 3, true, -1);
	}
	if (host_has(F_BMI2)) {
		forms("lzcnt", 0xf3, 2, 0x0fbd, 0, RAX, RCX, -1, ORDINARY);
		vex("bzhi", 2, 0, 0xf5, RAX, true, -1);
		vex("pdep", 2, 3, 0xf5, RAX, true, -1);
		vex("pext", 2, 2, 0xf5, RAX, true, -1);
		vex("mulx", 2, 3, 0xf6, RAX, true, -1);
		vex("sarx", 2, 2, 0xf7, RAX, true, -1);
		vex("shlx", 2, 1, 0xf7, RAX, true, -1);
		vex("shrx", 2, 3, 0xf7, RAX, true, -1);
		for (int imm = 0; imm < 256; imm += 7)
			vex("rorx", 3, 3, 0xf0, RAX, false, imm);
	}
	if (host_has(F_ADX))
		for (unsigned size = 4; size <= 8; size *= 2) {
			legacy("adcx", 0x66, size, 0x0f38f6, 0xc1, -1, ORDINARY);
			legacy("adcx", 0x66, size, 0x0f38f6, 0x06, -1, ORDINARY);
			legacy("adox", 0xf3, size, 0x0f38f6, 0xc1, -1, ORDINARY);
			legacy("adox", 0xf3, size, 0x0f38f6, 0x06, -1, ORDINARY);
		}
	printf("%u encodings, %u runs\n", cases, runs);
}
END_TEST

/* ---- strings: both pointers into one area, so that they overlap in every way ---- */

static void try_string(u8 rep, unsigned size, u8 opcode)
{
	unsigned n = 0;
	u8 code[4];

	if (size == 2)
		code[n++] = 0x66;
	if (rep)
		code[n++] = rep;
	if (size == 8)
		code[n++] = 0x48;
	code[n++] = opcode | (size > 1);
	for (unsigned i = 0; host_works && i < 400; i++) {
		u64 si = 96 + rnd() % 64, di = 96 + rnd() % 64, there = host_data();
		struct vec_state host, here;

		fill(&here);
		here.r[RCX] = rnd() % 8;
		here.d = rnd() & 1;
		here.r[RAX] = i & 1 ? 0 : here.r[RAX];
		for (unsigned k = 0; k < DATA_SIZE; k++)
			here.data[k] = i & 2 ? (u8)here.r[RAX] : (u8)(rnd() & 1);
		host = here;
		here.r[RSI] = DATA + si, here.r[RDI] = DATA + di;
		host.r[RSI] = there + si, host.r[RDI] = there + di;
		guest_step(code, n, &here);
		host_step(code, n, &host);
		ck_assert_msg(!memcmp(host.data, here.data, DATA_SIZE), "%02x %02x size %u: memory", rep, opcode, size);
		ck_assert_msg(here.exception == -1 && here.r[RCX] == host.r[RCX] && here.r[RAX] == host.r[RAX] &&
				      here.r[RSI] - DATA == host.r[RSI] - there &&
				      here.r[RDI] - DATA == host.r[RDI] - there && here.flags == host.flags,
			      "%02x %02x size %u: rcx %llx rsi %llx rdi %llx flags %llx", rep, opcode, size,
			      (long long)here.r[RCX], (long long)here.r[RSI] - DATA, (long long)here.r[RDI] - DATA,
			      (long long)here.flags);
	}
}

START_TEST(strings)
{
	static const u8 reps[] = { 0, 0xf3, 0xf2 }, opcodes[] = { 0xa4, 0xa6, 0xaa, 0xac, 0xae };

	for (unsigned r = 0; r < 3; r++)
		for (unsigned o = 0; o < ARRAY_LEN(opcodes); o++)
			for (unsigned size = 1; size <= 8; size *= 2)
				try_string(reps[r], size, opcodes[o]);
}
END_TEST

/* A long one comes in parts, each an instruction, the same parts whether the TLB knew the pages or not, and the first
 * byte goes everywhere. */
START_TEST(long_strings)
{
	enum { FAR_DATA = 0x20000 };
	static const u8 code[] = { 0xf3, 0xa4, 0xf4 }; /* rep movsb; hlt */
	u64 parts[2];

	memcpy(ram->host + CODE, code, sizeof code);
	for (unsigned i = 0; i < 2; i++) {
		memset(ram->host + FAR_DATA, 0, 20000);
		ram->host[FAR_DATA + 5] = 0x5a;
		c->r[RSI] = FAR_DATA + 5, c->r[RDI] = FAR_DATA + 6, c->r[RCX] = 10000;
		c->eflags = FL_1;
		c->r[RIP] = CODE;
		c->activity = ACTIVITY_RUN;
		parts[i] = c->icount;
		ck_assert_int_eq(cpu_run(c, c->icount + 100, CLOCK_NEVER), CPU_IDLE);
		parts[i] = c->icount - parts[i];
		ck_assert_uint_eq(c->r[RCX], 0);
		ck_assert_uint_eq(c->r[RDI], FAR_DATA + 10006);
		for (unsigned k = 0; k < 20000; k++)
			ck_assert_uint_eq(ram->host[FAR_DATA + k], k >= 5 && k < 10006 ? 0x5a : 0);
	}
	ck_assert_uint_eq(parts[0], 4); /* 4096, 4096, 1808, and HLT */
	ck_assert_uint_eq(parts[1], parts[0]);
}
END_TEST

/* A fault in the middle: what is done is done, and RIP is the instruction's. */
START_TEST(string_fault)
{
	static const u8 code[] = { 0xf3, 0xab, 0xf4 }; /* rep stosd; hlt */

	memcpy(ram->host + CODE, code, sizeof code);
	c->r[RAX] = 0x12345678;
	c->r[RDI] = 2 * MiB - 10;
	c->r[RCX] = 100;
	c->eflags = FL_1;
	c->r[RIP] = CODE;
	ck_assert_int_eq(cpu_run(c, c->icount + 100, CLOCK_NEVER), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, VEC_PF);
	ck_assert_uint_eq(c->cr2, 2 * MiB);
	ck_assert_uint_eq(c->r[RCX], 98);
	ck_assert_uint_eq(c->r[RDI], 2 * MiB - 2);
	ck_assert_uint_eq(c->r[RIP], CODE);
	ck_assert_uint_eq(get32(ram->host + 2 * MiB - 6), 0x12345678);
	ck_assert_uint_eq(get16(ram->host + 2 * MiB - 2), 0);
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("integer");
	TCase *t = tcase_create("silicon");

	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_set_timeout(t, 120);
#if defined __x86_64__ && defined __linux__
	tcase_add_checked_fixture(t, make_host, NULL);
	tcase_add_test(t, two_words);
	tcase_add_test(t, shifts);
	tcase_add_test(t, multiplications);
	tcase_add_test(t, bit_tests);
	tcase_add_test(t, exchanges);
	tcase_add_test(t, extensions);
	tcase_add_test(t, strings);
	tcase_add_test(t, long_strings);
	tcase_add_test(t, string_fault);
#endif
	return bare_run(suite);
}
