/* Shifts, multiplication, division, bit instructions, compare-and-exchange and strings against the processor that the tests run on: the same bytes,
 * registers, flags and memory, in 64-bit mode. Flags that the table calls undefined are not compared. */
#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/op.h"

#ifdef __x86_64__

enum { CODE = 0x10000, DATA = 0x20000, BUFFER = 64, AREA = 256 };
/* What goes in and comes out. rsi points into the buffer, wherever that is. */
struct state { u64 rax, rcx, rdx, rbx, rdi, r8, flags, rsi; u8 buffer[BUFFER]; };

/* Load the registers, call CODE, store them. */
void native_run(struct state *s, const void *code);
__asm__(".text\n"
	"native_run:\n"
	"push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n"
	"mov %rdi, %r13\n mov %rsi, %r12\n"
	"mov 0(%r13), %rax\n mov 8(%r13), %rcx\n mov 16(%r13), %rdx\n mov 24(%r13), %rbx\n"
	"mov 32(%r13), %rdi\n mov 40(%r13), %r8\n mov 56(%r13), %rsi\n"
	"pushq 48(%r13)\n popfq\n"
	"call *%r12\n"
	"pushfq\n popq 48(%r13)\n"
	"mov %rax, 0(%r13)\n mov %rcx, 8(%r13)\n mov %rdx, 16(%r13)\n mov %rbx, 24(%r13)\n"
	"mov %rdi, 32(%r13)\n mov %r8, 40(%r13)\n mov %rsi, 56(%r13)\n cld\n"
	"pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n");

static struct model model;
static struct space mem, io;
static struct clock the_clock;
static struct ram *ram;
static struct cpu *c;
static u8 *native_code;

/* 64-bit mode, the first 2 MiB mapped one to one. */
static void setup(void)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &the_clock, .bare = true };
	char *error;

	ck_assert(model_parse(&model, "max", &error));
	memset(model.features, 0xff, sizeof model.features);
	space_init(&mem);
	space_init(&io);
	mem.mask = ~(u64)0;
	ram = ram_new(2 * MiB);
	ck_assert_ptr_nonnull(ram);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, ram->size, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
	put64(ram->host + 0x1000, 0x2003);
	put64(ram->host + 0x2000, 0x3003);
	put64(ram->host + 0x3000, 0x83);
	c->cr0 = CR0_PG | CR0_PE | CR0_ET;
	c->cr3 = 0x1000;
	c->cr4 = CR4_PAE;
	c->efer = EFER_LME | EFER_LMA;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | SEG_G };
	c->seg[CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A | SEG_L | SEG_G;
	cpu_loaded(c);
	native_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(native_code != MAP_FAILED);
}

static void teardown(void)
{
	munmap(native_code, 4096);
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

/* ---- values ---- */

static u64 random_state = 88172645463325252u;

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static u64 value(void)
{
	static const u64 edges[] = {
		0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~(u64)0, ~(u64)0 - 1, 0x8080808080808080, 0x00ff00ff00ff00ff,
	};
	u64 r = random64();

	return r & 1 ? edges[(r >> 8) % ARRAY_LEN(edges)] : r & 2 ? random64() : random64() >> (r >> 8 & 63);
}

static void fill(struct state *s)
{
	s->rax = value(), s->rcx = value(), s->rdx = value(), s->rbx = value(), s->rdi = value(), s->r8 = value();
	s->flags = (random64() & OSZAPC) | FL_1 | FL_I;
	for (unsigned i = 0; i < BUFFER / 8; i++)
		put64(s->buffer + 8 * i, value());
}

/* ---- one instruction, many times ---- */

enum kind_of_case { ORDINARY, DIVIDE /* the quotient must fit */, SIGNED_DIVIDE, BIT_STRING /* the offset must stay in the buffer */ };

static void ours(struct state *s)
{
	c->r[RAX] = s->rax, c->r[RCX] = s->rcx, c->r[RDX] = s->rdx, c->r[RBX] = s->rbx, c->r[RDI] = s->rdi, c->r[R8] = s->r8;
	c->r[RSI] = DATA + 32;
	memcpy(ram->host + DATA, s->buffer, BUFFER);
	cpu_set_arith(c, (u32)s->flags);
	c->eflags = FL_1;
	c->r[RIP] = CODE;
	c->activity = ACTIVITY_RUN;
	ck_assert_int_eq(cpu_run(c, c->icount + 4, CLOCK_NEVER), CPU_IDLE);
	s->rax = c->r[RAX], s->rcx = c->r[RCX], s->rdx = c->r[RDX], s->rbx = c->r[RBX], s->rdi = c->r[RDI], s->r8 = c->r[R8];
	s->flags = cpu_flags(c);
	memcpy(s->buffer, ram->host + DATA, BUFFER);
}

static void limit(struct state *s, enum kind_of_case kind, unsigned size)
{
	if (kind == BIT_STRING) /* the bit number is in rcx: 256 bits to either side of rsi, less one operand */
		s->rcx = (u64)((s64)(s->rcx << 56) >> 56);
	if (kind == DIVIDE || kind == SIGNED_DIVIDE) { /* rdx:rax / rcx, and memory holds the same divisor */
		s->rcx |= (u64)1 << (8 * size - 3);
		s->rax = size == 1 ? s->rax & 0x0fff : s->rax;
		s->rdx &= (u64)0x0fffffffffffffff >> (64 - 8 * size);
		if (kind == SIGNED_DIVIDE && (s->rax ^ s->rbx) & 1 && size != 1)
			s->rdx = (u64)((s64)s->rax >> 63);
		if (kind == SIGNED_DIVIDE && size == 1)
			s->rax &= 0x03ff;
		if (kind == SIGNED_DIVIDE)
			s->rcx &= ~((u64)1 << (8 * size - 1));
		memcpy(s->buffer + 32, &s->rcx, 8);
	}
}

static unsigned cases, runs;

static void try(const char *name, const u8 *code, unsigned len, enum kind_of_case kind, unsigned size)
{
	struct dec d;
	struct op o;
	u32 undefined;

	ck_assert_msg(decode(c->isa, &model, MODE_64 | MODE_LONG | MODE_PE, code, len, &d, &o) == DECODE_OK, "%s is not decoded", name);
	ck_assert_msg(d.len == len, "%s: %u bytes, not %u", name, d.len, len);
	undefined = d.row->insn->undef;
	memcpy(native_code, code, len);
	native_code[len] = 0xc3;
	memcpy(ram->host + CODE, code, len);
	ram->host[CODE + len] = 0xf4;
	ram_touch(ram, CODE, len + 1, CODE);
	cases++;
	for (unsigned i = 0; i < 150; i++, runs++) {
		struct state before, a, b;

		fill(&before);
		limit(&before, kind, size);
		a = b = before;
		a.rsi = (u64)(uintptr_t)(a.buffer + 32);
		native_run(&a, native_code);
		ours(&b);
		a.flags &= OSZAPC & ~(u64)undefined;
		b.flags &= OSZAPC & ~(u64)undefined;
		if (a.rax == b.rax && a.rcx == b.rcx && a.rdx == b.rdx && a.rbx == b.rbx && a.rdi == b.rdi && a.r8 == b.r8 && a.flags == b.flags &&
		    !memcmp(a.buffer, b.buffer, BUFFER))
			continue;
		ck_abort_msg("%s, %u bytes, rax %llx rcx %llx rdx %llx memory %llx flags %llx:\n"
			     "silicon rax %llx rcx %llx rdx %llx memory %llx flags %llx, ours rax %llx rcx %llx rdx %llx memory %llx flags %llx", name, len,
			     (long long)before.rax, (long long)before.rcx, (long long)before.rdx, (long long)get64(before.buffer + 32), (long long)before.flags,
			     (long long)a.rax, (long long)a.rcx, (long long)a.rdx, (long long)get64(a.buffer + 32), (long long)a.flags,
			     (long long)b.rax, (long long)b.rcx, (long long)b.rdx, (long long)get64(b.buffer + 32), (long long)b.flags);
	}
}

/* PREFIX (0 or F3, 66...), operand size 1 2 4 8, opcode with its map, ModRM, and an immediate byte (-1: none). */
static void legacy(const char *name, u8 prefix, unsigned size, unsigned opcode, u8 modrm, int imm, enum kind_of_case kind)
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
static void forms(const char *name, u8 prefix, unsigned min, unsigned opcode, unsigned byte_opcode, unsigned reg, unsigned rm, int imm,
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
		u8 code[7] = { 0xc4, (u8)(0xe0 | map), (u8)((form & 1) << 7 | (uses_vvvv ? ~RDX & 15 : 15) << 3 | pp), opcode,
			       (u8)(reg << 3 | (form & 2 ? 6 : 0xc1)), (u8)imm };

		try(name, code, imm >= 0 ? 6 : 5, ORDINARY, form & 1 ? 8 : 4);
	}
}

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
	if (__builtin_cpu_supports("popcnt"))
		forms("popcnt", 0xf3, 2, 0x0fb8, 0, RAX, RCX, -1, ORDINARY);
	if (__builtin_cpu_supports("bmi")) {
		forms("tzcnt", 0xf3, 2, 0x0fbc, 0, RAX, RCX, -1, ORDINARY);
		vex("andn", 2, 0, 0xf2, RAX, true, -1);
		vex("bextr", 2, 0, 0xf7, RAX, true, -1);
		vex("blsr", 2, 0, 0xf3, 1, true, -1);
		vex("blsmsk", 2, 0, 0xf3, 2, true, -1);
		vex("blsi", 2, 0, 0xf3, 3, true, -1);
	}
	if (__builtin_cpu_supports("bmi2")) {
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
	if (__builtin_cpu_supports("bmi2") && model.signature) { /* ADX came one generation later; CPUID.7.EBX[19] */
		unsigned a = 7, b, cx = 0, dx;

		__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(cx), "=d"(dx));
		if (b >> 19 & 1) {
			for (unsigned size = 4; size <= 8; size *= 2) {
				legacy("adcx", 0x66, size, 0x0f38f6, 0xc1, -1, ORDINARY);
				legacy("adcx", 0x66, size, 0x0f38f6, 0x06, -1, ORDINARY);
				legacy("adox", 0xf3, size, 0x0f38f6, 0xc1, -1, ORDINARY);
				legacy("adox", 0xf3, size, 0x0f38f6, 0x06, -1, ORDINARY);
			}
		}
	}
	printf("%u encodings, %u runs\n", cases, runs);
}
END_TEST

/* ---- strings: both pointers into one area, so that they overlap in every way ---- */

static void try_string(u8 rep, unsigned size, u8 opcode)
{
	unsigned n = 0;
	static u8 area[AREA];
	u8 code[4];

	if (size == 2)
		code[n++] = 0x66;
	if (rep)
		code[n++] = rep;
	if (size == 8)
		code[n++] = 0x48;
	code[n++] = opcode | (size > 1);
	memcpy(native_code, code, n);
	native_code[n] = 0xc3;
	memcpy(ram->host + CODE, code, n);
	ram->host[CODE + n] = 0xf4;
	ram_touch(ram, CODE, n + 1, CODE);
	for (unsigned i = 0; i < 400; i++) {
		u8 before[AREA];
		struct state s;
		unsigned si = 96 + random64() % 64, di = 96 + random64() % 64;

		fill(&s);
		s.rcx = random64() % 8;
		s.flags |= random64() & FL_D;
		s.rax = i & 1 ? 0 : s.rax;
		for (unsigned k = 0; k < AREA; k++)
			before[k] = i & 2 ? (u8)s.rax : (u8)(random64() & 1);
		memcpy(area, before, AREA);
		memcpy(ram->host + DATA, before, AREA);
		c->r[RAX] = s.rax, c->r[RCX] = s.rcx, c->r[RSI] = DATA + si, c->r[RDI] = DATA + di;
		cpu_set_arith(c, (u32)s.flags);
		c->eflags = FL_1 | (s.flags & FL_D);
		c->r[RIP] = CODE;
		c->activity = ACTIVITY_RUN;
		ck_assert_int_eq(cpu_run(c, c->icount + 4, CLOCK_NEVER), CPU_IDLE);
		s.rsi = (u64)(uintptr_t)(area + si);
		s.rdi = (u64)(uintptr_t)(area + di);
		native_run(&s, native_code);
		ck_assert_msg(!memcmp(area, ram->host + DATA, AREA), "%02x %02x size %u: memory", rep, opcode, size);
		ck_assert_msg(c->r[RCX] == s.rcx && c->r[RAX] == s.rax && c->r[RSI] - DATA == s.rsi - (uintptr_t)area &&
			      c->r[RDI] - DATA == s.rdi - (uintptr_t)area && !((cpu_flags(c) ^ s.flags) & OSZAPC),
			      "%02x %02x size %u: rcx %llx rsi %llx rdi %llx flags %x", rep, opcode, size, (long long)c->r[RCX],
			      (long long)c->r[RSI] - DATA, (long long)c->r[RDI] - DATA, cpu_flags(c));
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

/* A long one comes in parts, each an instruction, the same parts whether the TLB knew the pages or not, and the first byte goes everywhere. */
START_TEST(long_strings)
{
	static const u8 code[] = { 0xf3, 0xa4, 0xf4 }; /* rep movsb; hlt */
	u64 parts[2];

	memcpy(ram->host + CODE, code, sizeof code);
	for (unsigned i = 0; i < 2; i++) {
		memset(ram->host + DATA, 0, 20000);
		ram->host[DATA + 5] = 0x5a;
		c->r[RSI] = DATA + 5, c->r[RDI] = DATA + 6, c->r[RCX] = 10000;
		c->eflags = FL_1;
		c->r[RIP] = CODE;
		c->activity = ACTIVITY_RUN;
		parts[i] = c->icount;
		ck_assert_int_eq(cpu_run(c, c->icount + 100, CLOCK_NEVER), CPU_IDLE);
		parts[i] = c->icount - parts[i];
		ck_assert_uint_eq(c->r[RCX], 0);
		ck_assert_uint_eq(c->r[RDI], DATA + 10006);
		for (unsigned k = 0; k < 20000; k++)
			ck_assert_uint_eq(ram->host[DATA + k], k >= 5 && k < 10006 ? 0x5a : 0);
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
	TCase *host = tcase_create("host");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, host);
#ifdef __x86_64__
	tcase_add_checked_fixture(host, setup, teardown);
	tcase_set_timeout(host, 60);
	tcase_add_test(host, shifts);
	tcase_add_test(host, multiplications);
	tcase_add_test(host, bit_tests);
	tcase_add_test(host, exchanges);
	tcase_add_test(host, extensions);
	tcase_add_test(host, strings);
	tcase_add_test(host, long_strings);
	tcase_add_test(host, string_fault);
#endif
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
