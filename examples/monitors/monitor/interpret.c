/* SPDX-License-Identifier: MIT */
/* An instruction of the guest, by hand: the privileged and sensitive ones, and those that a kernel's compiler
 * makes. It is the interpreter of the hybrid monitor; the others use it for the instructions that trap. Every
 * access to memory is translated by the guest's page tables. */
#include "monitor.h"

static void *guard[5];
static struct { unsigned vector; u32 error; } pending_fault;
static u32 restart[8]; /* the registers at the instruction, for a fault */

void fault(unsigned vector, u32 error)
{
	pending_fault.vector = vector;
	pending_fault.error = error;
	__builtin_longjmp(guard, 1);
}

/* ---- operands ---- */

static u32 access_now(void) { return cpl() == 3 ? ACCESS_USER : 0; }

static u32 effective(const struct insn *insn)
{
	return (insn->base >= 0 ? cpu.r[insn->base] : 0) + (insn->index >= 0 ? cpu.r[insn->index] << insn->scale : 0) +
	       insn->displacement;
}

static u32 linear(const struct insn *insn)
{
	unsigned segment = insn->segment < SEGMENTS ? insn->segment : insn->base == ESP || insn->base == EBP ? SS : DS;

	return cpu.seg[segment].base + effective(insn);
}

static u32 get_register(unsigned n, unsigned size)
{
	return size == 4 ? cpu.r[n] : size == 2 ? cpu.r[n] & 0xffff : cpu.r[n & 3] >> (n & 4 ? 8 : 0) & 0xff;
}

static void set_register(unsigned n, unsigned size, u32 value)
{
	if (size == 4)
		cpu.r[n] = value;
	else if (size == 2)
		cpu.r[n] = (cpu.r[n] & 0xffff0000) | (value & 0xffff);
	else if (n & 4)
		cpu.r[n & 3] = (cpu.r[n & 3] & 0xffff00ff) | (value & 0xff) << 8;
	else
		cpu.r[n] = (cpu.r[n] & 0xffffff00) | (value & 0xff);
}

static u32 get_rm(const struct insn *insn, unsigned size)
{
	return insn->memory ? load(linear(insn), size, access_now()) : get_register(insn->rm, size);
}

static void set_rm(const struct insn *insn, unsigned size, u32 value)
{
	if (insn->memory)
		store(linear(insn), size, value, access_now());
	else
		set_register(insn->rm, size, value);
}

/* ---- arithmetic: the processor itself computes the result and the flags ---- */

#define RUN(name, suffix, modifier) \
	__asm__("bt $0, %[flags]; " name suffix " %" modifier "[b], %" modifier "[a]; pushf; pop %[flags]" \
		: [a] "+q"(a), [flags] "+r"(flags) \
		: [b] "cq"(b) \
		: "cc")
#define SIZES(name) \
	do { \
		if (size == 4) \
			RUN(name, "l", ""); \
		else if (size == 2) \
			RUN(name, "w", "w"); \
		else \
			RUN(name, "b", "b"); \
	} while (0)

static void set_flags(u32 flags, u32 mask) { cpu.eflags = (cpu.eflags & ~mask) | (flags & mask); }

/* ADD OR ADC SBB AND SUB XOR CMP */
static u32 alu(unsigned which, unsigned size, u32 a, u32 b)
{
	u32 flags = cpu.eflags;

	switch (which) {
	case 0: SIZES("add"); break;
	case 1: SIZES("or"); break;
	case 2: SIZES("adc"); break;
	case 3: SIZES("sbb"); break;
	case 4: SIZES("and"); break;
	case 6: SIZES("xor"); break;
	default: SIZES("sub"); break;
	}
	set_flags(flags, FLAGS_ARITHMETIC);
	return a;
}

#define SHIFT(name) \
	do { \
		if (size == 4) \
			__asm__("bt $0, %1; " name "l %%cl, %0; pushf; pop %1" \
				: "+q"(a), "+r"(flags) \
				: "c"(n) \
				: "cc"); \
		else if (size == 2) \
			__asm__("bt $0, %1; " name "w %%cl, %w0; pushf; pop %1" \
				: "+q"(a), "+r"(flags) \
				: "c"(n) \
				: "cc"); \
		else \
			__asm__("bt $0, %1; " name "b %%cl, %b0; pushf; pop %1" \
				: "+q"(a), "+r"(flags) \
				: "c"(n) \
				: "cc"); \
	} while (0)

/* ROL ROR RCL RCR SHL SHR SAL SAR */
static u32 shift(unsigned which, unsigned size, u32 a, u32 n)
{
	u32 flags = cpu.eflags;

	n &= 31;
	if (!n)
		return a;
	switch (which) {
	case 0: SHIFT("rol"); break;
	case 1: SHIFT("ror"); break;
	case 2: SHIFT("rcl"); break;
	case 3: SHIFT("rcr"); break;
	case 5: SHIFT("shr"); break;
	case 7: SHIFT("sar"); break;
	default: SHIFT("shl"); break;
	}
	set_flags(flags, which < 4 ? 0x801 : FLAGS_ARITHMETIC);
	return a;
}

static u32 sign(u32 value, unsigned size)
{
	return size == 1 ? (u32)(int8_t)value : size == 2 ? (u32)(int16_t)value : value;
}

static void set_carry(bool carry) { set_flags(carry ? 0x801 : 0, 0x801); }

/* TEST - NOT NEG MUL IMUL DIV IDIV */
static void group3(const struct insn *insn, unsigned size)
{
	u32 a = get_rm(insn, size);
	u64 product;

	switch (insn->reg) {
	case 0: case 1: alu(4, size, a, insn->immediate); return;
	case 2: set_rm(insn, size, ~a); return;
	case 3: set_rm(insn, size, alu(5, size, 0, a)); return;
	case 4: case 5:
		if (size != 4)
			break;
		product = insn->reg == 4 ? (u64)cpu.r[EAX] * a : (u64)((int64_t)(int32_t)cpu.r[EAX] * (int32_t)a);
		cpu.r[EAX] = (u32)product, cpu.r[EDX] = (u32)(product >> 32);
		set_carry(insn->reg == 4 ? cpu.r[EDX] : cpu.r[EDX] != (u32)((int32_t)cpu.r[EAX] >> 31));
		return;
	case 6:
		if (size != 4)
			break;
		if (cpu.r[EDX] >= a)
			fault(0, 0);
		__asm__("divl %2" : "+a"(cpu.r[EAX]), "+d"(cpu.r[EDX]) : "r"(a) : "cc");
		return;
	default: break;
	}
	die("interpreter: MUL, DIV of this size");
}

static void multiply(const struct insn *insn, u32 a, u32 b)
{
	int64_t product = (int64_t)(int32_t)sign(a, insn->size) * (int32_t)sign(b, insn->size);

	set_register(insn->reg, insn->size, (u32)product);
	set_carry(product != (int32_t)sign((u32)product, insn->size));
}

static bool condition(unsigned which)
{
	u32 f = cpu.eflags;
	bool less = !(f & 0x80) != !(f & 0x800), result;

	switch (which >> 1) {
	case 0: result = f & 0x800; break;
	case 1: result = f & FLAG_C; break;
	case 2: result = f & FLAG_Z; break;
	case 3: result = f & (FLAG_C | FLAG_Z); break;
	case 4: result = f & 0x80; break;
	case 5: result = f & 4; break;
	case 6: result = less; break;
	default: result = less || f & FLAG_Z; break;
	}
	return result != (which & 1);
}

/* ---- strings, and their ports ---- */

static void require_port_rights(void)
{
	if (cpl() > (cpu.eflags >> 12 & 3)) /* and there is no I/O map in a task of this guest */
		fault(13, 0);
}

static void string_element(const struct insn *insn, unsigned size)
{
	u32 step = cpu.eflags & FLAG_D ? -size : size,
	    from = cpu.seg[insn->segment < SEGMENTS ? insn->segment : DS].base + cpu.r[ESI],
	    to = cpu.seg[ES].base + cpu.r[EDI], access = access_now();

	switch (insn->op & 0xfe) {
	case 0x6c: store(to, size, port_read((u16)cpu.r[EDX], size), access), cpu.r[EDI] += step; break;
	case 0x6e: port_write((u16)cpu.r[EDX], size, load(from, size, access)), cpu.r[ESI] += step; break;
	case 0xa4: store(to, size, load(from, size, access), access), cpu.r[EDI] += step, cpu.r[ESI] += step; break;
	case 0xa6:
		alu(7, size, load(from, size, access), load(to, size, access)), cpu.r[EDI] += step, cpu.r[ESI] += step;
		break;
	case 0xaa: store(to, size, cpu.r[EAX], access), cpu.r[EDI] += step; break;
	case 0xac: set_register(EAX, size, load(from, size, access)), cpu.r[ESI] += step; break;
	default: alu(7, size, get_register(EAX, size), load(to, size, access)), cpu.r[EDI] += step; break;
	}
}

/* A fault in the middle leaves what is done. */
static void string(const struct insn *insn, unsigned size)
{
	bool compares = (insn->op & 0xfe) == 0xa6 || (insn->op & 0xfe) == 0xae;

	if ((insn->op & 0xfc) == 0x6c)
		require_port_rights();
	if (!insn->rep) {
		string_element(insn, size);
		return;
	}
	while (cpu.r[ECX]) {
		string_element(insn, size);
		cpu.r[ECX]--;
		__builtin_memcpy(restart, cpu.r, sizeof restart);
		if (compares && !(cpu.eflags & FLAG_Z) == (insn->rep == 0xf3))
			break;
	}
}

/* ---- sensitive instructions ---- */

static void require_supervisor(void)
{
	if (cpl())
		fault(13, 0);
}

static void store_table(const struct insn *insn, const struct table *t)
{
	store(linear(insn), 2, t->limit, access_now());
	store(linear(insn) + 2, 4, t->base, access_now());
}

/* SGDT SIDT LGDT LIDT SMSW - LMSW INVLPG */
static void group7(const struct insn *insn)
{
	struct table t;

	if (insn->reg < 2) {
		store_table(insn, insn->reg ? &cpu.idtr : &cpu.gdtr);
		return;
	}
	if (insn->reg == 4) {
		set_rm(insn, insn->memory ? 2 : insn->size, cpu.cr0);
		return;
	}
	require_supervisor();
	if (insn->reg == 2 || insn->reg == 3) {
		t = (struct table){ .limit = load(linear(insn), 2, access_now()),
				    .base = load(linear(insn) + 2, 4, access_now()) };
		*(insn->reg == 2 ? &cpu.gdtr : &cpu.idtr) = t;
		cpu.new_gdt |= insn->reg == 2;
	} else if (insn->reg == 6) {
		cpu.cr0 = (cpu.cr0 & ~14u) | (get_rm(insn, 2) & 15);
	} else if (insn->reg == 7 && insn->memory) {
		shadow_invalidate(linear(insn));
	} else {
		fault(6, 0);
	}
}

/* LAR, LSL, VERR, VERW: may the guest's program use that selector? */
static bool may(const struct segment *s, u16 selector)
{
	u32 dpl = s->access >> 5 & 3;

	return s->access && ((s->access & 0x1c) == 0x1c || (cpl() <= dpl && (selector & 3u) <= dpl));
}

static void verify(const struct insn *insn, u16 selector)
{
	struct segment s = describe(selector);
	bool code = s.access & 8, ok = may(&s, selector) && s.access & 0x10;

	ok = ok && (insn->reg == 4 ? !code || s.access & 2 : !code && s.access & 2);
	set_flags(ok ? FLAG_Z : 0, FLAG_Z);
}

/* SLDT STR LLDT LTR VERR VERW */
static void group6(const struct insn *insn)
{
	u32 low, at;

	if (insn->reg < 2) {
		set_rm(insn, insn->memory ? 2 : insn->size, insn->reg ? cpu.tr.selector : cpu.ldtr.selector);
		return;
	}
	if (insn->reg >= 4) {
		verify(insn, (u16)get_rm(insn, 2));
		return;
	}
	require_supervisor();
	if (insn->reg == 2) {
		cpu.ldtr = describe((u16)get_rm(insn, 2));
		return;
	}
	cpu.tr = describe((u16)get_rm(insn, 2));
	if ((cpu.tr.access & 0x9f) != 0x89)
		fault(13, cpu.tr.selector & 0xfffcu);
	at = cpu.gdtr.base + (cpu.tr.selector & 0xfff8u) + 4;
	low = load(at, 4, 0);
	store(at, 4, low | 0x200, 0); /* busy */
	cpu.tr.access |= 2;
}

static void access_rights(const struct insn *insn)
{
	u16 selector = (u16)get_rm(insn, 2);
	struct segment s = describe(selector);
	bool ok = may(&s, selector);

	set_flags(ok ? FLAG_Z : 0, FLAG_Z);
	if (!ok)
		return;
	if (insn->op == 0x103)
		set_register(insn->reg, insn->size, s.limit);
	else
		set_register(insn->reg, insn->size, load(cpu.gdtr.base + (selector & 0xfff8u) + 4, 4, 0) & 0xffff00);
}

static void move_control(const struct insn *insn)
{
	u32 *cr = insn->reg == 0   ? &cpu.cr0
		  : insn->reg == 2 ? &cpu.cr2
		  : insn->reg == 3 ? &cpu.cr3
				   : &cpu.cr4,
	    old = cpu.cr0;

	require_supervisor();
	if (insn->reg == 1 || insn->reg > 4)
		fault(6, 0);
	if (insn->op == 0x120) {
		cpu.r[insn->rm] = *cr;
		return;
	}
	*cr = cpu.r[insn->rm];
	if (insn->reg == 3 || old != cpu.cr0)
		shadow_flush();
}

static void set_interrupts(bool on)
{
	if (cpl() > (cpu.eflags >> 12 & 3))
		fault(13, 0);
	cpu.inhibit = on && !(cpu.eflags & FLAG_IF);
	set_flags(on ? FLAG_IF : 0, FLAG_IF);
}

static void pop_flags(void)
{
	u32 iopl = cpu.eflags >> 12 & 3;

	set_flags(pop(), FLAGS_NATIVE | (cpl() == 0 ? FLAGS_IOPL : 0) | (cpl() <= iopl ? FLAG_IF : 0));
}

static void port(const struct insn *insn)
{
	unsigned size = insn->op & 1 ? insn->size : 1;
	u16 number = insn->op & 8 ? (u16)cpu.r[EDX] : (u16)(insn->immediate & 0xff);

	require_port_rights();
	if (insn->op & 2)
		port_write(number, size, get_register(EAX, size));
	else
		set_register(EAX, size, port_read(number, size));
}

/* The instructions of the system; false: it is none of them. */
static bool execute_system(const struct insn *insn)
{
	switch (insn->op) {
	case 0x06: case 0x0e: case 0x16: case 0x1e: push(cpu.seg[insn->op >> 3].selector); return true;
	case 0x07: case 0x17: case 0x1f: {
		u32 esp = cpu.r[ESP];

		load_segment(insn->op >> 3, (u16)load(cpu.seg[SS].base + esp, 2, access_now()));
		cpu.r[ESP] = esp + 4;
		return true;
	}
	case 0x6c: case 0x6d: case 0x6e: case 0x6f: return false; /* strings */
	case 0x8c: set_rm(insn, insn->memory ? 2 : insn->size, cpu.seg[insn->reg].selector); return true;
	case 0x8e: load_segment(insn->reg, (u16)get_rm(insn, 2)); return true;
	case 0x9a: {
		u32 back = cpu.eip;

		push(cpu.seg[CS].selector);
		push(back);
		far_jump(insn->selector, insn->immediate);
		return true;
	}
	case 0x9c: push(cpu.eflags); return true;
	case 0x9d: pop_flags(); return true;
	case 0xca: case 0xcb: far_return(insn->op == 0xca ? insn->immediate : 0); return true;
	case 0xcc: deliver(3, true, false, 0); return true;
	case 0xcd: deliver(insn->immediate & 0xff, true, false, 0); return true;
	case 0xcf: interrupt_return(); return true;
	case 0xe4: case 0xe5: case 0xe6: case 0xe7: case 0xec: case 0xed: case 0xee: case 0xef: port(insn); return true;
	case 0xea: far_jump(insn->selector, insn->immediate); return true;
	case 0xf4: require_supervisor(), cpu.halted = true; return true;
	case 0xfa: case 0xfb: set_interrupts(insn->op & 1); return true;
	case 0x100: group6(insn); return true;
	case 0x101: group7(insn); return true;
	case 0x102: case 0x103: access_rights(insn); return true;
	case 0x106: require_supervisor(), cpu.cr0 &= ~8u; return true;
	case 0x120: case 0x122: move_control(insn); return true;
	default: return false;
	}
}

/* ---- the others ---- */

static void branch(u32 to) { cpu.eip = to; }

/* INC DEC CALL - JMP - PUSH, and of bytes. */
static void group5(const struct insn *insn, unsigned size)
{
	u32 a = get_rm(insn, size), carry = cpu.eflags & FLAG_C;

	switch (insn->reg) {
	case 0: case 1:
		set_rm(insn, size, alu(insn->reg ? 5 : 0, size, a, 1));
		set_flags(carry, FLAG_C);
		break;
	case 2: push(cpu.eip), branch(a); break;
	case 4: branch(a); break;
	case 6: push(a); break;
	default: die("interpreter: FFh");
	}
}

static bool execute_two_bytes(const struct insn *insn)
{
	u16 op = insn->op;

	if (op >= 0x140 && op < 0x150) {
		u32 value = get_rm(insn, insn->size);

		if (condition(op & 15))
			set_register(insn->reg, insn->size, value);
	} else if (op >= 0x180 && op < 0x190) {
		if (condition(op & 15))
			branch(cpu.eip + insn->immediate);
	} else if (op >= 0x190 && op < 0x1a0) {
		set_rm(insn, 1, condition(op & 15));
	} else if (op == 0x1af) {
		multiply(insn, get_register(insn->reg, insn->size), get_rm(insn, insn->size));
	} else if (op == 0x1b6 || op == 0x1b7) {
		set_register(insn->reg, insn->size, get_rm(insn, op & 1 ? 2 : 1));
	} else if (op == 0x1be || op == 0x1bf) {
		set_register(insn->reg, insn->size, sign(get_rm(insn, op & 1 ? 2 : 1), op & 1 ? 2 : 1));
	} else {
		return false;
	}
	return true;
}

/* 00h to 3Fh: six forms of eight operations. */
static void execute_alu(const struct insn *insn, unsigned size)
{
	unsigned which = insn->op >> 3, form = insn->op & 7;
	u32 result;

	if (form < 2) {
		result = alu(which, size, get_rm(insn, size), get_register(insn->reg, size));
		if (which != 7)
			set_rm(insn, size, result);
	} else {
		unsigned to = form < 4 ? insn->reg : EAX;

		result = alu(which, size, get_register(to, size), form < 4 ? get_rm(insn, size) : insn->immediate);
		if (which != 7)
			set_register(to, size, result);
	}
}

static void push_all(void)
{
	u32 esp = cpu.r[ESP];

	for (unsigned i = 0; i < 8; i++)
		push(i == ESP ? esp : cpu.r[i]);
}

static void pop_all(void)
{
	for (int i = 7; i >= 0; i--) {
		u32 value = pop();

		if (i != ESP)
			cpu.r[i] = value;
	}
}

static bool execute_one_byte(const struct insn *insn)
{
	unsigned size = insn->op & 1 ? insn->size : 1, low = insn->op & 7;
	u32 value;

	switch (insn->op >> 3) {
	case 0x40 >> 3: case 0x48 >> 3:
		value = cpu.eflags;
		cpu.r[low] = alu(insn->op & 8 ? 5 : 0, 4, cpu.r[low], 1);
		set_flags(value, FLAG_C);
		return true;
	case 0x50 >> 3: push(cpu.r[low]); return true;
	case 0x58 >> 3: value = pop(), cpu.r[low] = value; return true;
	case 0x70 >> 3: case 0x78 >> 3:
		if (condition(insn->op & 15))
			branch(cpu.eip + insn->immediate);
		return true;
	case 0x90 >> 3: value = cpu.r[low], cpu.r[low] = cpu.r[EAX], cpu.r[EAX] = value; return true;
	case 0xb0 >> 3: set_register(low, 1, insn->immediate); return true;
	case 0xb8 >> 3: set_register(low, insn->size, insn->immediate); return true;
	default: break;
	}
	switch (insn->op) {
	case 0x60: push_all(); return true;
	case 0x61: pop_all(); return true;
	case 0x68: case 0x6a: push(insn->immediate); return true;
	case 0x69: case 0x6b: multiply(insn, get_rm(insn, insn->size), insn->immediate); return true;
	case 0x6c:
	case 0x6d:
	case 0x6e:
	case 0x6f:
	case 0xa4:
	case 0xa5:
	case 0xa6:
	case 0xa7:
	case 0xaa:
	case 0xab:
	case 0xac:
	case 0xad: case 0xae: case 0xaf: string(insn, size); return true;
	case 0x80: case 0x81: case 0x83:
		value = alu(insn->reg, size, get_rm(insn, size), insn->immediate);
		if (insn->reg != 7)
			set_rm(insn, size, value);
		return true;
	case 0x84: case 0x85: alu(4, size, get_rm(insn, size), get_register(insn->reg, size)); return true;
	case 0x86: case 0x87:
		value = get_rm(insn, size);
		set_rm(insn, size, get_register(insn->reg, size));
		set_register(insn->reg, size, value);
		return true;
	case 0x88: case 0x89: set_rm(insn, size, get_register(insn->reg, size)); return true;
	case 0x8a: case 0x8b: set_register(insn->reg, size, get_rm(insn, size)); return true;
	case 0x8d: set_register(insn->reg, insn->size, effective(insn)); return true;
	case 0x8f: value = pop(), set_rm(insn, insn->size, value); return true;
	case 0x98: cpu.r[EAX] = sign(cpu.r[EAX], 2); return true;
	case 0x99: cpu.r[EDX] = (u32)((int32_t)cpu.r[EAX] >> 31); return true;
	case 0xa0: case 0xa1: set_register(EAX, size, get_rm(insn, size)); return true;
	case 0xa2: case 0xa3: set_rm(insn, size, get_register(EAX, size)); return true;
	case 0xa8: case 0xa9: alu(4, size, get_register(EAX, size), insn->immediate); return true;
	case 0xc0:
	case 0xc1: set_rm(insn, size, shift(insn->reg, size, get_rm(insn, size), insn->immediate)); return true;
	case 0xc2: value = pop(), cpu.r[ESP] += insn->immediate, branch(value); return true;
	case 0xc3: branch(pop()); return true;
	case 0xc6: case 0xc7: set_rm(insn, size, insn->immediate); return true;
	case 0xc9:
		value = load(cpu.seg[SS].base + cpu.r[EBP], 4, access_now()), cpu.r[ESP] = cpu.r[EBP] + 4,
		cpu.r[EBP] = value;
		return true;
	case 0xd0: case 0xd1: set_rm(insn, size, shift(insn->reg, size, get_rm(insn, size), 1)); return true;
	case 0xd2: case 0xd3: set_rm(insn, size, shift(insn->reg, size, get_rm(insn, size), cpu.r[ECX])); return true;
	case 0xe2: if (--cpu.r[ECX]) branch(cpu.eip + insn->immediate); return true;
	case 0xe3: if (!cpu.r[ECX]) branch(cpu.eip + insn->immediate); return true;
	case 0xe8: push(cpu.eip), branch(cpu.eip + insn->immediate); return true;
	case 0xe9: case 0xeb: branch(cpu.eip + insn->immediate); return true;
	case 0xf6: case 0xf7: group3(insn, size); return true;
	case 0xf8: case 0xf9: set_flags(insn->op & 1, FLAG_C); return true;
	case 0xfc: case 0xfd: set_flags(insn->op & 1 ? FLAG_D : 0, FLAG_D); return true;
	case 0xfe: case 0xff: group5(insn, size); return true;
	default: return false;
	}
}

static void execute(void)
{
	struct insn insn;

	if (!fetch(&insn))
		fault(6, 0);
	cpu.eip += insn.length;
	cpu.inhibit = false;
	if (execute_system(&insn))
		return;
	if (insn.op < 0x40 && (insn.op & 7) < 6)
		execute_alu(&insn, insn.op & 1 ? insn.size : 1);
	else if (insn.op >= 0x100 ? !execute_two_bytes(&insn) : !execute_one_byte(&insn))
		fault(6, 0);
}

void exception(unsigned vector, u32 error)
{
	if (__builtin_setjmp(guard))
		die("the guest has a triple fault");
	deliver(vector, false, vector == 8 || (vector >= 10 && vector <= 14) || vector == 17, error);
}

void attempt(void (*work)(void))
{
	static u32 eip, flags, code;

	__builtin_memcpy(restart, cpu.r, sizeof restart);
	eip = cpu.eip, flags = cpu.eflags, code = cpu.seg[CS].selector;
	if (__builtin_setjmp(guard)) {
		__builtin_memcpy(cpu.r, restart, sizeof restart);
		cpu.eip = eip, cpu.eflags = flags, cpu.seg[CS].selector = code;
		exception(pending_fault.vector, pending_fault.error);
	} else {
		work();
	}
}

void interpret(void)
{
	do
		attempt(execute);
	while (cpu.inhibit && !cpu.halted);
}
