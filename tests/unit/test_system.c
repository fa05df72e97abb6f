/* Protection, gates, interrupts and tasks, against what the manual says (SDM vol. 2 and 3; the section is with each test). */
#include <check.h>
#include <stdlib.h>
#include "cpu/cpu.h"

enum { GDT = 0x1000, IDT = 0x2000, TSS_AT = 0x3000, TSS2_AT = 0x3800, CODE = 0x8000, HANDLER = 0x9000, STACK0 = 0x20000, STACK3 = 0x30000,
       PML4 = 0x40000, DATA = 0x50000 };
/* Selectors of the table that fresh() builds. */
enum { CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x18 | 3, DATA3 = 0x20 | 3, TASK = 0x28, TASK_HIGH = 0x30, SLOT = 0x38, SLOT2 = 0x40, SLOT3 = 0x48,
       CODE64 = 0x50, CODE64_3 = 0x58 | 3 };

static struct space mem, io;
static struct ram *ram;
static struct clock clk;
static struct model model;
static struct cpu *c;

static void poke(u64 at, const void *bytes, unsigned len) { space_poke(&mem, at, bytes, len); }
static void poke16(u64 at, u16 v) { poke(at, &v, 2); }
static void poke32(u64 at, u32 v) { poke(at, &v, 4); }
static void poke64(u64 at, u64 v) { poke(at, &v, 8); }
static u64 peek(u64 at, unsigned size)
{
	u64 v = 0;

	space_peek(&mem, at, &v, size);
	return v;
}
#define CODE_AT(at, ...) poke(at, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

/* A segment descriptor: ACCESS is byte 5, FLAGS the upper half of byte 6 (SDM vol. 3, figure 3-8). */
static u64 descriptor(u32 base, u32 limit, unsigned access, unsigned flags)
{
	return (limit & 0xffff) | (u64)(base & 0xffffff) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 |
	       (u64)(base >> 24) << 56;
}
static void set_descriptor(unsigned sel, u64 d) { poke64(GDT + (sel & 0xfff8), d); }
/* A gate: ACCESS is byte 5, COUNT the parameters or the IST. */
static u64 gate(u16 sel, u32 offset, unsigned access, unsigned count)
{
	return (offset & 0xffff) | (u64)sel << 16 | (u64)count << 32 | (u64)access << 40 | (u64)(offset >> 16) << 48;
}
static void set_gate(unsigned vector, u64 g) { poke64(IDT + 8 * vector, g); }
static void set_gate64(unsigned vector, u64 g) { poke64(IDT + 16 * vector, g); poke64(IDT + 16 * vector + 8, 0); }

static void build(const char *name)
{
	struct cpu_config config = { .model = &model, .mem = &mem, .io = &io, .clock = &clk, .bare = true };

	ck_assert(model_parse(&model, name, NULL));
	space_init(&mem);
	space_init(&io);
	clk = (struct clock){ 0 };
	ram = ram_new(MiB);
	ck_assert_int_ge(space_add_ram(&mem, "ram", 0, MiB, ram, 0, false), 0);
	c = cpu_new(&config);
	ck_assert_ptr_nonnull(c);
	ram->written = cpu_code_written;
	ram->owner = c;
}

static void tear_down(void)
{
	cpu_free(c);
	ram_free(ram);
	space_free(&mem);
	space_free(&io);
}

static void load_seg(unsigned reg, u16 sel)
{
	u64 d = peek(GDT + (sel & 0xfff8), 8);

	descriptor_to_seg(&c->seg[reg], sel, d);
}

static void tables(void)
{
	set_descriptor(CODE0, descriptor(0, 0xfffff, 0x9b, 0xc));
	set_descriptor(DATA0, descriptor(0, 0xfffff, 0x93, 0xc));
	set_descriptor(CODE3, descriptor(0, 0xfffff, 0xfb, 0xc));
	set_descriptor(DATA3, descriptor(0, 0xfffff, 0xf3, 0xc));
	set_descriptor(TASK, descriptor(TSS_AT, 0x3ff, 0x8b, 0));
	set_descriptor(CODE64, descriptor(0, 0xfffff, 0x9b, 0xa));
	set_descriptor(CODE64_3, descriptor(0, 0xfffff, 0xfb, 0xa));
	c->gdtr.base = GDT;
	c->gdtr.limit = 0x5f;
	c->idtr.base = IDT;
	descriptor_to_seg(&c->seg[TR], TASK, peek(GDT + TASK, 8));
	poke32(TSS_AT + 4, STACK0);
	poke16(TSS_AT + 8, DATA0);
	poke16(TSS_AT + 102, 0x80);
}

static void settle(void)
{
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
	tlb_flush(c, true);
}

/* Flat 32-bit protected mode at CPL, no paging; an exception stops the run until there is an IDT. */
static void protected_mode(unsigned cpl)
{
	tables();
	c->cr0 |= CR0_PE;
	c->cpl = (u8)cpl;
	load_seg(CS, cpl ? CODE3 : CODE0);
	for (unsigned i = ES; i <= GS; i++)
		if (i != CS)
			load_seg(i, cpl ? DATA3 : DATA0);
	c->r[RSP] = cpl ? STACK3 : STACK0;
	c->r[RIP] = CODE;
	settle();
}

/* 64-bit mode: one GiB, identity-mapped, for users too. */
static void long_mode(unsigned cpl)
{
	tables();
	poke64(PML4, (PML4 + 0x1000) | 7);
	poke64(PML4 + 0x1000, 0x87);
	c->cr3 = PML4;
	c->cr4 = CR4_PAE;
	c->efer = EFER_LME | EFER_LMA | EFER_SCE;
	c->cr0 |= CR0_PE | CR0_PG;
	c->cpl = (u8)cpl;
	load_seg(CS, cpl ? CODE64_3 : CODE64);
	for (unsigned i = ES; i <= GS; i++)
		if (i != CS)
			load_seg(i, cpl ? DATA3 : DATA0);
	set_descriptor(TASK, descriptor(TSS_AT, 0x3ff, 0x8b, 0));
	poke64(TSS_AT + 4, STACK0 + 8); /* not aligned: the processor does that */
	c->r[RSP] = cpl ? STACK3 : STACK0;
	c->r[RIP] = CODE;
	settle();
}

/* A virtual-8086 task at 0:CODE. */
static void v86_mode(unsigned level)
{
	protected_mode(3);
	c->eflags |= FL_VM | level << 12;
	for (unsigned i = ES; i <= GS; i++)
		seg_load_real(c, i, 0);
	c->r[RSP] = 0x7000;
	settle();
}

static void set_flags_zero(void) { cpu_set_arith(c, FL_Z); }

static enum cpu_stop step(unsigned n) { return cpu_run(c, c->icount + n, CLOCK_NEVER); }
static enum cpu_stop run(void) { return step(1000); }

static void expect_fault(unsigned vector, u32 error)
{
	ck_assert_int_eq(run(), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, vector);
	ck_assert_uint_eq(c->fault.error, error);
}
static void expect_halt(void)
{
	enum cpu_stop stop = run();

	ck_assert_msg(stop == CPU_IDLE, "stop %d, fault %u (%x) at %x:%llx", stop, c->fault.vector, c->fault.error, c->seg[CS].sel,
		      (unsigned long long)c->r[RIP]);
}

/* ---- segment registers (vol. 2, MOV; vol. 3, 5.4 and 5.6) ---- */

struct load { u16 sel; u8 access; unsigned cpl; u8 vector; u16 error; }; /* vector 0xff: it loads */

START_TEST(loads_of_ds)
{
	static const struct load all[] = {
		{ SLOT, 0x93, 0, 0xff, 0 }, { SLOT, 0x91, 0, 0xff, 0 }, { SLOT, 0x9b, 0, 0xff, 0 },    /* data, read-only, readable code */
		{ SLOT, 0x99, 0, VEC_GP, SLOT }, { SLOT, 0x89, 0, VEC_GP, SLOT },                      /* execute-only, a TSS */
		{ SLOT, 0x13, 0, VEC_NP, SLOT }, { 0, 0, 0, 0xff, 0 }, { 3, 0, 3, 0xff, 0 },           /* not present, null */
		{ SLOT | 3, 0xf3, 0, 0xff, 0 }, { SLOT | 3, 0x93, 0, VEC_GP, SLOT },                   /* RPL > DPL */
		{ SLOT, 0x93, 3, VEC_GP, SLOT }, { SLOT | 3, 0x9f, 3, 0xff, 0 },                       /* CPL > DPL; conforming code */
		{ 0x60, 0, 0, VEC_GP, 0x60 }, { SLOT | 4, 0x93, 0, VEC_GP, SLOT | 4 },                 /* beyond the GDT, no LDT */
	};
	const struct load *l = &all[_i];

	build("max");
	protected_mode(l->cpl);
	if (l->access)
		set_descriptor(SLOT, descriptor(0x1234, 0xfff, l->access, 4));
	CODE_AT(CODE, 0x8e, 0xd8, 0x0f, 0x0b); /* mov ds, ax; ud2 */
	c->r[RAX] = l->sel;
	if (l->vector == 0xff) {
		expect_fault(VEC_UD, 0);
		ck_assert_uint_eq(c->seg[DS].sel, l->sel);
		if (l->access) {
			ck_assert_uint_eq(c->seg[DS].base, 0x1234);
			ck_assert_uint_eq(c->seg[DS].limit, 0xfff);
		}
	} else {
		expect_fault(l->vector, l->error);
		ck_assert_uint_eq(c->r[RIP], CODE);
	}
	tear_down();
}
END_TEST

START_TEST(loads_of_ss)
{
	static const struct load all[] = {
		{ SLOT, 0x93, 0, 0xff, 0 }, { SLOT | 3, 0xf3, 3, 0xff, 0 }, { 0, 0, 0, VEC_GP, 0 }, { SLOT, 0x91, 0, VEC_GP, SLOT },
		{ SLOT, 0x9b, 0, VEC_GP, SLOT }, { SLOT | 1, 0x93, 0, VEC_GP, SLOT }, { SLOT, 0xb3, 0, VEC_GP, SLOT }, { SLOT, 0x13, 0, VEC_SS, SLOT },
	};
	const struct load *l = &all[_i];

	build("max");
	protected_mode(l->cpl);
	if (l->access)
		set_descriptor(SLOT, descriptor(0, 0xfff, l->access, 4));
	CODE_AT(CODE, 0x8e, 0xd0, 0x0f, 0x0b); /* mov ss, ax; ud2 */
	c->r[RAX] = l->sel;
	if (l->vector == 0xff)
		expect_fault(VEC_UD, 0);
	else
		expect_fault(l->vector, l->error);
	tear_down();
}
END_TEST

/* The accessed bit is set by a load, and only then. */
START_TEST(accessed_bit)
{
	build("max");
	protected_mode(0);
	set_descriptor(SLOT, descriptor(0, 0xfff, 0x92, 4));
	CODE_AT(CODE, 0x8e, 0xd8, 0x0f, 0x0b);
	c->r[RAX] = SLOT;
	expect_fault(VEC_UD, 0);
	ck_assert_uint_eq(peek(GDT + SLOT + 5, 1), 0x93);
	tear_down();
}
END_TEST

/* Limits (5.3): the last byte of an access; of an expand-down segment, what is above the limit. */
START_TEST(limits)
{
	static const struct { u8 access, flags; u32 limit, offset; bool ok; } all[] = {
		{ 0x93, 4, 0xfff, 0xffc, true }, { 0x93, 4, 0xfff, 0xffd, false }, { 0x93, 0xc, 0, 0xffc, true }, { 0x93, 0xc, 0, 0xffd, false },
		{ 0x97, 4, 0xfff, 0x1000, true }, { 0x97, 4, 0xfff, 0xfff, false }, { 0x97, 4, 0xfff, 0xfffd, true },
		{ 0x97, 0, 0xfff, 0xfffc, true }, { 0x97, 0, 0xfff, 0xfffd, false }, { 0x97, 0, 0xfff, 0x10000, false },
	};

	build("max");
	protected_mode(0);
	set_descriptor(SLOT, descriptor(0, all[_i].limit, all[_i].access, all[_i].flags));
	CODE_AT(CODE, 0x8e, 0xd8, 0x8b, 0x03, 0xf4); /* mov ds, ax; mov eax, [ebx]; hlt */
	c->r[RAX] = SLOT;
	c->r[RBX] = all[_i].offset;
	if (all[_i].ok)
		expect_halt();
	else
		expect_fault(VEC_GP, 0);
	tear_down();
}
END_TEST

/* LAR and LSL: types that are valid (vol. 2, tables 3-53 and 3-54), and what they give. */
START_TEST(lar_and_lsl)
{
	/* By type of a system descriptor: bit 0 LAR, bit 1 LSL; legacy mode, IA-32e mode. */
	static const u8 legacy[16] = { 0, 3, 3, 3, 1, 1, 0, 0, 0, 3, 0, 3, 1, 0, 0, 0 }, ia32e[16] = { [2] = 3, [9] = 3, [11] = 3, [12] = 1 };
	bool lm = _i >= 16;
	unsigned type = _i & 15;
	u8 valid = (lm ? ia32e : legacy)[type];

	build("max");
	if (lm)
		long_mode(0);
	else
		protected_mode(0);
	set_descriptor(SLOT, descriptor(0, 0x12, 0x80 | type, 8));
	c->r[RAX] = SLOT;
	c->r[RBX] = c->r[RCX] = 0x55;
	CODE_AT(CODE, 0x0f, 0x02, 0xd8, 0x0f, 0x94, 0xc2, 0x0f, 0x03, 0xc8, 0x0f, 0x94, 0xc6, 0xf4); /* lar ebx, eax; setz dl; lsl ecx, eax; setz dh */
	expect_halt();
	ck_assert_uint_eq(c->r[RDX] & 0xff, valid & 1);
	ck_assert_uint_eq(c->r[RBX], valid & 1 ? 0x800000u | 0x8000 | type << 8 : 0x55);
	ck_assert_uint_eq(c->r[RDX] >> 8 & 0xff, valid >> 1);
	ck_assert_uint_eq(c->r[RCX], valid & 2 ? 0x12fff : 0x55);
	tear_down();
}
END_TEST

/* ---- interrupts through gates (vol. 3, 6.12) ---- */

/* INT 40h from ring 3 through a 32-bit interrupt gate: figure 6-4. */
START_TEST(gate_to_inner_ring)
{
	build("max");
	protected_mode(3);
	c->idtr.limit = 0x7ff;
	c->eflags |= FL_I | FL_NT;
	set_gate(0x40, gate(CODE0, HANDLER, _i ? 0xef : 0xee, 0)); /* a trap gate leaves IF */
	CODE_AT(CODE, 0xcd, 0x40);
	CODE_AT(HANDLER, 0xf4);
	expect_halt();
	ck_assert_uint_eq(c->cpl, 0);
	ck_assert_uint_eq(c->seg[SS].sel, DATA0);
	ck_assert_uint_eq(c->r[RSP], STACK0 - 20);
	ck_assert_uint_eq(peek(STACK0 - 20, 4), CODE + 2);
	ck_assert_uint_eq(peek(STACK0 - 16, 4) & 0xffff, CODE3);
	ck_assert_uint_eq(peek(STACK0 - 12, 4) & (FL_I | FL_NT | FL_RF), FL_I | FL_NT);
	ck_assert_uint_eq(peek(STACK0 - 8, 4), STACK3);
	ck_assert_uint_eq(peek(STACK0 - 4, 4) & 0xffff, DATA3);
	ck_assert_uint_eq(c->eflags & (FL_I | FL_NT), _i ? FL_I : 0);
	tear_down();
}
END_TEST

/* A fault: the frame has an error code, and RF is set in the image of EFLAGS (17.3.1.1). IRET restarts the instruction. */
START_TEST(fault_and_restart)
{
	build("max");
	protected_mode(3);
	c->idtr.limit = 0x7ff;
	set_gate(VEC_GP, gate(CODE0, HANDLER, 0x8e, 0));
	CODE_AT(CODE, 0x8e, 0xd8, 0xcd, VEC_GP); /* mov ds, ax (bad); then INT 13 */
	CODE_AT(HANDLER, 0x58, 0x89, 0xc1, 0xb8, DATA3, 0, 0, 0, 0x8b, 0x54, 0x24, 0x08, 0xcf); /* pop eax; mov ecx, eax; mov eax, DATA3; mov edx, [esp + 8]; iret */
	c->r[RAX] = DATA0;
	/* The second time it is INT 13 whose gate has DPL 0: #GP(13 * 8 + 2) (6.13), with CS:EIP at the INT. */
	step(6);
	ck_assert_uint_eq(c->r[RCX], DATA0);
	ck_assert_uint_eq(c->r[RDX] & FL_RF, FL_RF);
	ck_assert_uint_eq(c->seg[DS].sel, DATA3);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	step(2);
	ck_assert_uint_eq(c->r[RCX], VEC_GP * 8 + 2);
	tear_down();
}
END_TEST

START_TEST(bad_gates)
{
	static const struct { u8 access; u16 sel; u8 vector; u16 error; } all[] = {
		{ 0x6e, CODE0, VEC_NP, 0x40 * 8 + 2 },  /* not present */
		{ 0xe9, CODE0, VEC_GP, 0x40 * 8 + 2 },  /* a TSS in the IDT */
		{ 0x8e, CODE0, VEC_GP, 0x40 * 8 + 2 },  /* DPL 0, INT from ring 3 */
		{ 0xee, 0, VEC_GP, 0 },                 /* null */
		{ 0xee, DATA0, VEC_GP, DATA0 },         /* not code */
		{ 0xee, 0x60, VEC_GP, 0x60 },           /* beyond the GDT */
		{ 0xee, SLOT, VEC_NP, SLOT },           /* code that is not present */
	};

	build("max");
	protected_mode(3);
	c->bare = false;
	c->idtr.limit = 0x207;
	set_descriptor(SLOT, descriptor(0, 0xfffff, 0x1b, 0xc));
	set_gate(0x40, gate(all[_i].sel, HANDLER, all[_i].access, 0));
	set_gate(all[_i].vector, gate(CODE0, HANDLER, 0x8e, 0));
	CODE_AT(CODE, 0xcd, 0x40);
	CODE_AT(HANDLER, 0xf4);
	ck_assert_int_eq(run(), CPU_DEAD_HALT);
	ck_assert_uint_eq(peek(STACK0 - 24, 4), all[_i].error);
	ck_assert_uint_eq(peek(STACK0 - 20, 4), CODE);
	tear_down();
}
END_TEST

/* Table 6-5, and what is left of it in the end: a triple fault with its chain. */
START_TEST(double_and_triple)
{
	build("max");
	protected_mode(0);
	c->bare = false;
	c->idtr.limit = 0x7ff;
	CODE_AT(HANDLER, 0xf4);
	CODE_AT(CODE, 0xf7, 0xf1); /* div ecx: #DE, whose gate is missing: #GP; two contributory ones */
	c->r[RCX] = 0;
	if (_i == 0) {
		set_gate(VEC_DF, gate(CODE0, HANDLER, 0x8e, 0));
		ck_assert_int_eq(run(), CPU_DEAD_HALT);
		ck_assert_uint_eq(peek(STACK0 - 16, 4), 0); /* error code */
		ck_assert_uint_eq(peek(STACK0 - 12, 4), CODE);
	} else {
		ck_assert_int_eq(run(), CPU_TRIPLE_FAULT);
		ck_assert_uint_eq(c->chain_len, 3);
		ck_assert_uint_eq(c->chain[0].vector, VEC_DE);
		ck_assert_uint_eq(c->chain[1].vector, VEC_GP);
		ck_assert_uint_eq(c->chain[1].error, VEC_DE * 8 + 2 + 1); /* IDT, EXT */
		ck_assert_uint_eq(c->chain[2].error, VEC_DF * 8 + 2 + 1);
	}
	tear_down();
}
END_TEST

/* ---- call gates (vol. 3, 5.8) ---- */

/* From ring 3 with three parameters, and back with RET 12: figure 5-13. */
START_TEST(call_gate)
{
	build("max");
	protected_mode(3);
	set_descriptor(SLOT, gate(CODE0, HANDLER, 0xec, 3));
	CODE_AT(CODE, 0x6a, 1, 0x6a, 2, 0x6a, 3, 0x9a, 0, 0, 0, 0, SLOT | 3, 0, 0x0f, 0x0b); /* push 1; 2; 3; call SLOT:0; ud2 */
	CODE_AT(HANDLER, 0x8b, 0x44, 0x24, 0x08, 0x8b, 0x5c, 0x24, 0x10, 0x89, 0xe1, 0xca, 12, 0); /* mov eax, [esp + 8]; mov ebx, [esp + 16]; mov ecx, esp; retf 12 */
	expect_fault(VEC_UD, 0);
	ck_assert_uint_eq(c->r[RAX], 3);
	ck_assert_uint_eq(c->r[RBX], 1);
	ck_assert_uint_eq(c->r[RCX], STACK0 - 28); /* SS ESP, 3 parameters, CS EIP */
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->r[RSP], STACK3); /* RET released them from both stacks */
	ck_assert_uint_eq(c->r[RIP], CODE + 13);
	tear_down();
}
END_TEST

/* RET to ring 3 takes segments of ring 0 away (vol. 2, RET). */
START_TEST(return_to_outer_ring)
{
	build("max");
	protected_mode(0);
	CODE_AT(CODE, 0x6a, DATA3, 0x68, 0, 0, 3, 0, 0x6a, CODE3, 0x68, 0, 0x90, 0, 0, 0xcb); /* push DATA3; push STACK3; push CODE3; push HANDLER; retf */
	CODE_AT(HANDLER, 0x0f, 0x0b);
	load_seg(ES, DATA3);
	settle();
	expect_fault(VEC_UD, 0);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->seg[DS].sel, 0);
	ck_assert_uint_eq(c->seg[ES].sel, DATA3);
	ck_assert_uint_eq(c->r[RSP], STACK3);
	tear_down();
}
END_TEST

/* ---- virtual-8086 mode (vol. 3, 20) ---- */

/* A fault: nine doublewords and the error code (figure 20-4), data segments null. IRET goes back. */
START_TEST(v86_and_back)
{
	build("max");
	v86_mode(0);
	c->idtr.limit = 0x7ff;
	seg_load_real(c, GS, 0x1111);
	seg_load_real(c, DS, 0x2222);
	set_gate(VEC_GP, gate(CODE0, HANDLER, 0x8e, 0));
	CODE_AT(CODE, 0xfa, 0x90, 0x0f, 0x0b); /* cli with IOPL 0: #GP(0); nop; ud2 */
	CODE_AT(HANDLER, 0x58, 0x66, 0x8c, 0xd9, 0x89, 0xe2, 0xff, 0x04, 0x24, 0xcf); /* pop eax; mov cx, ds; mov edx, esp; inc dword [esp]; iret */
	c->r[RCX] = 0xffff;
	step(6);
	ck_assert_uint_eq(c->r[RCX], 0);
	ck_assert_uint_eq(c->r[RDX], STACK0 - 36);
	ck_assert_uint_eq(peek(STACK0 - 4, 4), 0x1111);
	ck_assert_uint_eq(peek(STACK0 - 12, 4), 0x2222);
	ck_assert_uint_eq(peek(STACK0 - 24, 4), 0x7000);
	ck_assert(peek(STACK0 - 28, 4) & FL_VM);
	ck_assert(c->eflags & FL_VM);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->seg[GS].base, 0x11110);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	tear_down();
}
END_TEST

/* CR4.VME with IOPL 0: CLI, STI, PUSHF and POPF use VIF (20.4); INT n goes where the redirection bitmap says (table 20-2). */
START_TEST(v86_extensions)
{
	build("max");
	v86_mode(0);
	c->cr4 |= CR4_VME;
	c->eflags |= FL_VIF | FL_I;
	poke16(TSS_AT + 102, 0x88);
	poke(TSS_AT + 0x68 + 0x40 / 8, (u8[]){ _i ? 1 : 0 }, 1);
	poke32(4 * 0x40, 0x00001000); /* 0:1000h */
	CODE_AT(0x1000, 0xf4);
	CODE_AT(CODE, 0xfa, 0x9c, 0x58, 0xfb, 0xcd, 0x40); /* cli; pushf; pop ax; sti; int 40h */
	expect_fault(VEC_GP, 0); /* HLT in the handler, or the INT itself */
	ck_assert_uint_eq(c->r[RAX] & (FL_I | FL_IOPL), FL_IOPL);
	ck_assert(c->eflags & FL_I);
	if (_i) {
		ck_assert_uint_eq(c->r[RIP], CODE + 4);
	} else {
		ck_assert_uint_eq(c->r[RIP], 0x1000);
		ck_assert(!(c->eflags & FL_VIF));
		ck_assert_uint_eq(peek(0x7000 - 2, 2) & (FL_I | FL_IOPL), FL_I | FL_IOPL);
		ck_assert_uint_eq(peek(0x7000 - 6, 2), CODE + 6);
	}
	tear_down();
}
END_TEST

/* STI and POPF with an interrupt pending for the task: #GP(0). */
START_TEST(v86_pending)
{
	build("max");
	v86_mode(0);
	c->cr4 |= CR4_VME;
	c->eflags |= FL_VIP;
	if (_i) {
		CODE_AT(CODE, 0x68, 0, 2, 0x9d); /* push 200h; popf */
	} else {
		CODE_AT(CODE, 0xfb);
	}
	expect_fault(VEC_GP, 0);
	ck_assert_uint_eq(c->r[RIP], _i ? CODE + 3 : CODE);
	ck_assert_uint_eq(c->r[RSP], _i ? 0x6ffe : 0x7000);
	tear_down();
}
END_TEST

/* ---- 64-bit mode (vol. 3, 6.14) ---- */

START_TEST(gate_64)
{
	build("max");
	long_mode(3);
	c->idtr.limit = 0xfff;
	poke64(TSS_AT + 36, 0x28000); /* IST1 */
	set_gate64(0x40, gate(CODE64, HANDLER, 0xee, _i));
	CODE_AT(CODE, 0xcd, 0x40, 0x0f, 0x0b);
	CODE_AT(HANDLER, 0x8c, 0xd0, 0x48, 0x89, 0xe3, 0x48, 0xcf); /* mov eax, ss; mov rbx, rsp; iretq */
	step(4);
	ck_assert_uint_eq(c->r[RAX], 0); /* SS is null, with RPL = CPL */
	ck_assert_uint_eq(c->r[RBX], (_i ? 0x28000 : STACK0) - 40);
	ck_assert_uint_eq(peek(c->r[RBX] + 8, 8), CODE64_3);
	ck_assert_uint_eq(peek(c->r[RBX] + 24, 8), STACK3);
	ck_assert_uint_eq(peek(c->r[RBX] + 32, 8), DATA3);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->r[RSP], STACK3);
	ck_assert_uint_eq(c->seg[SS].sel, DATA3);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	tear_down();
}
END_TEST

/* SYSCALL and SYSRET: RCX, R11, STAR and FMASK (vol. 2). */
START_TEST(syscall_sysret)
{
	build("max");
	long_mode(3);
	c->star = (u64)(CODE64 - 8 - 0) << 32 | (u64)(0x48 | 3) << 48;
	c->lstar = HANDLER;
	c->sfmask = FL_I | FL_D;
	c->eflags |= FL_I | FL_D;
	CODE_AT(CODE, 0x0f, 0x05, 0x0f, 0x0b);
	CODE_AT(HANDLER, 0x9c, 0x58, 0x8c, 0xcb, 0x48, 0x0f, 0x07); /* pushfq; pop rax; mov ebx, cs; sysretq */
	expect_fault(VEC_UD, 0);
	ck_assert_uint_eq(c->r[RAX] & (FL_I | FL_D), 0);
	ck_assert_uint_eq(c->r[RBX], CODE64 - 8);
	ck_assert_uint_eq(c->r[RCX], CODE + 2);
	ck_assert_uint_eq(c->r[R11] & (FL_I | FL_D), FL_I | FL_D);
	ck_assert_uint_eq(c->eflags & (FL_I | FL_D), FL_I | FL_D);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->seg[CS].sel, 0x5b);
	ck_assert_uint_eq(c->seg[SS].sel, 0x53);
	tear_down();
}
END_TEST

/* From 64-bit code to compatibility mode and back, by far jumps through memory. */
START_TEST(compatibility)
{
	build("max");
	long_mode(0);
	poke32(DATA, 0xa000);
	poke16(DATA + 4, CODE0);
	CODE_AT(CODE, 0xff, 0x2c, 0x25, 0x00, 0x00, 0x05, 0x00); /* jmp far [DATA] */
	CODE_AT(0xa000, 0x48, 0xea, 0x00, 0x90, 0x00, 0x00, CODE64, 0x00); /* here 48h is DEC EAX; jmp CODE64:9000h */
	CODE_AT(HANDLER, 0x48, 0xff, 0xc3, 0xf4); /* inc rbx; hlt */
	c->r[RAX] = 8;
	c->r[RBX] = 0xffffffff;
	expect_halt();
	ck_assert_uint_eq(c->r[RAX], 7);
	ck_assert_uint_eq(c->r[RBX], 0x100000000);
	tear_down();
}
END_TEST

/* ---- tasks (vol. 3, 7.3) ---- */

static void second_task(void)
{
	set_descriptor(SLOT, descriptor(TSS2_AT, 0x67, 0x89, 0));
	poke32(TSS2_AT + 32, HANDLER);
	poke32(TSS2_AT + 36, 2);
	poke32(TSS2_AT + 40, 0x1234);       /* EAX */
	poke32(TSS2_AT + 56, 0x28000);      /* ESP */
	for (unsigned i = 0; i < 6; i++)
		poke16(TSS2_AT + 72 + 4 * i, i == 1 ? CODE0 : DATA0);
}

START_TEST(task_call_and_iret)
{
	build("max");
	protected_mode(0);
	second_task();
	c->idtr.limit = 0x7ff;
	set_gate(0x40, gate(SLOT, 0, 0x85, 0)); /* task gate */
	if (_i) {
		CODE_AT(CODE, 0xcd, 0x40, 0xf4);
	} else {
		CODE_AT(CODE, 0x9a, 0, 0, 0, 0, SLOT, 0, 0xf4);
	}
	CODE_AT(HANDLER, 0xa3, 0x00, 0x00, 0x05, 0x00, 0xcf); /* mov [DATA], eax; iret */
	c->r[RAX] = 0x77;
	step(1);
	ck_assert_uint_eq(c->r[RIP], HANDLER);
	ck_assert_uint_eq(c->seg[TR].sel, SLOT);
	ck_assert(c->eflags & FL_NT);
	ck_assert(c->cr0 & CR0_TS);
	ck_assert_uint_eq(peek(TSS2_AT, 2), TASK);       /* back link */
	ck_assert_uint_eq(peek(GDT + TASK + 5, 1), 0x8b); /* both busy (table 7-2) */
	ck_assert_uint_eq(peek(GDT + SLOT + 5, 1), 0x8b);
	ck_assert_uint_eq(peek(TSS_AT + 40, 4), 0x77);
	expect_halt();
	ck_assert_uint_eq(peek(DATA, 4), 0x1234);
	ck_assert_uint_eq(c->r[RAX], 0x77);
	ck_assert_uint_eq(c->seg[TR].sel, TASK);
	ck_assert_uint_eq(peek(GDT + SLOT + 5, 1), 0x89);
	ck_assert(!(c->eflags & FL_NT));
	tear_down();
}
END_TEST

START_TEST(task_jump)
{
	build("max");
	protected_mode(0);
	second_task();
	CODE_AT(CODE, 0xea, 0, 0, 0, 0, SLOT, 0);
	CODE_AT(HANDLER, 0xf4);
	expect_halt();
	ck_assert_uint_eq(peek(GDT + TASK + 5, 1), 0x89); /* table 7-2: the old one is free again */
	ck_assert_uint_eq(peek(TSS2_AT, 2), 0);
	ck_assert(!(c->eflags & FL_NT));
	tear_down();
}
END_TEST

/* A task whose SS is bad: the fault is the new task's, #TS(SS). */
START_TEST(task_with_bad_stack)
{
	build("max");
	protected_mode(0);
	c->bare = false;
	second_task();
	poke16(TSS2_AT + 72 + 8, CODE0);
	c->idtr.limit = 0x7ff;
	set_descriptor(SLOT2, descriptor(0x3a00, 0x67, 0x89, 0));
	space_write_block(&mem, 0x3a00, ram->host + TSS2_AT, 0x68);
	poke16(0x3a00 + 72 + 8, DATA0);
	poke32(0x3a00 + 32, 0xa000);
	set_gate(VEC_TS, gate(SLOT2, 0, 0x85, 0));
	CODE_AT(CODE, 0xea, 0, 0, 0, 0, SLOT, 0);
	CODE_AT(0xa000, 0xf4);
	ck_assert_int_eq(run(), CPU_DEAD_HALT);
	ck_assert_uint_eq(peek(c->r[RSP], 4), CODE0); /* the error code is on the handler's stack */
	ck_assert_uint_eq(peek(0x3a00, 2), SLOT);
	tear_down();
}
END_TEST

/* ---- control registers ---- */

START_TEST(bad_control_registers)
{
	static const struct { u8 reg; bool lm; u64 v; } all[] = {
		{ 0, false, 0x80000000 }, { 0, false, 0x20000001 },        /* PG without PE; NW without CD */
		{ 0, true, 0x1 }, { 0, true, (u64)1 << 32 | 0x80000001 },  /* PG off in 64-bit mode; upper half */
		{ 4, true, 0 }, { 4, false, 0x80000000 }, { 4, false, 0x20000 }, /* PAE off in IA-32e mode; reserved; PCIDE outside of it */
		{ 3, true, (u64)1 << 60 }, { 8, true, 16 },
	};

	build("max");
	if (all[_i].lm)
		long_mode(0);
	else
		protected_mode(0);
	if (all[_i].reg == 8) {
		CODE_AT(CODE, 0x44, 0x0f, 0x22, 0xc0);
	} else {
		CODE_AT(CODE, 0x0f, 0x22, 0xc0 | all[_i].reg << 3);
	}
	c->r[RAX] = all[_i].v;
	expect_fault(VEC_GP, 0);
	tear_down();
}
END_TEST

/* The way into 64-bit mode, instruction by instruction (9.8.5). */
START_TEST(real_to_long)
{
	build("max");
	tables();
	poke64(PML4, (PML4 + 0x1000) | 3);
	poke64(PML4 + 0x1000, 0x83);
	poke16(DATA, 0x5f);
	poke32(DATA + 2, GDT);
	c->seg[CS].sel = 0;
	c->seg[CS].base = 0;
	c->seg[DS].base = DATA;
	c->r[RIP] = CODE;
	c->idtr.limit = 0;
	settle();
	CODE_AT(CODE, 0x66, 0x0f, 0x01, 0x16, 0x00, 0x00,      /* lgdtd [0] */
		0x66, 0xb8, 0x20, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0, /* mov eax, PAE; mov cr4, eax */
		0x66, 0xb8, 0x00, 0x00, 0x04, 0x00, 0x0f, 0x22, 0xd8, /* mov eax, PML4; mov cr3, eax */
		0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32,       /* mov ecx, EFER; rdmsr */
		0x66, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30,       /* or eax, LME; wrmsr */
		0x66, 0xb8, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, /* mov eax, PG | PE; mov cr0, eax */
		0x66, 0xea, 0x00, 0x90, 0x00, 0x00, CODE64, 0x00);    /* jmp CODE64:9000h */
	CODE_AT(HANDLER, 0x0f, 0x32, 0x48, 0x0f, 0x20, 0xc3, 0xf4); /* rdmsr; mov rbx, cr0; hlt */
	expect_halt();
	ck_assert_uint_eq(c->r[RAX], EFER_LME | EFER_LMA);
	ck_assert_uint_eq(c->r[RBX] & (CR0_PG | CR0_PE), CR0_PG | CR0_PE);
	ck_assert(in_64(c));
	tear_down();
}
END_TEST

/* Ports (vol. 1, 19.5.2): two bytes of the bitmap, a set bit forbids. */
START_TEST(io_bitmap)
{
	static const struct { u16 port; u8 opcode; bool ok; } all[] = {
		{ 0x10, 0xec, true }, { 0x13, 0xec, false }, { 0x10, 0xed, false }, { 0x14, 0xed, true }, { 0xf, 0xec, true },
		{ 0xffff, 0xec, false },
	};

	build("max");
	protected_mode(3);
	poke(TSS_AT + 0x82, (u8[]){ 8 }, 1); /* port 13h */
	CODE_AT(CODE, all[_i].opcode, 0x0f, 0x0b);
	c->r[RDX] = all[_i].port;
	if (all[_i].ok)
		expect_fault(VEC_UD, 0);
	else
		expect_fault(VEC_GP, 0);
	tear_down();
}
END_TEST

/* STI and MOV SS hold an interrupt off for one instruction (vol. 2, STI; vol. 3, 6.8.3). */
START_TEST(shadows)
{
	build("max");
	protected_mode(0);
	c->apic = NULL;
	c->idtr.limit = 0x7ff;
	set_gate(0xff, gate(CODE0, HANDLER, 0x8e, 0));
	cpu_intr(c, 0, true); /* nobody answers the INTA cycle: vector FFh */
	CODE_AT(HANDLER, 0xf4);
	if (_i == 0) {
		CODE_AT(CODE, 0xfb, 0x90, 0x90); /* sti; nop; nop */
	} else {
		CODE_AT(CODE, 0x90, 0x8e, 0xd0, 0x90, 0x90); /* nop; mov ss, ax; nop; nop */
		c->r[RAX] = DATA0;
		cpu_intr(c, 0, false);
		c->eflags |= FL_I;
		step(2);
		cpu_intr(c, 0, true);
	}
	expect_halt();
	ck_assert_uint_eq(peek(STACK0 - 12, 4), _i == 0 ? CODE + 2 : CODE + 4);
	tear_down();
}
END_TEST

/* ---- CPUID and MSRs ---- */

START_TEST(cpuid_facts)
{
	u32 out[4];
	char vendor[13] = { 0 };

	build("max");
	cpuid(c, 0, 0, out);
	memcpy(vendor, &out[1], 4);
	memcpy(vendor + 4, &out[3], 4);
	memcpy(vendor + 8, &out[2], 4);
	ck_assert_str_eq(vendor, "GenuineIntel");
	ck_assert_uint_ge(out[0], 0x16);
	cpuid(c, 1, 0, out);
	ck_assert_uint_eq(out[2] >> 31, 0);                 /* no hypervisor */
	ck_assert_uint_eq(out[2] >> 27 & 1, 0);             /* OSXSAVE follows CR4 */
	c->cr4 |= CR4_OSXSAVE;
	cpuid(c, 1, 0, out);
	ck_assert_uint_eq(out[2] >> 27 & 1, 1);
	cpuid(c, 0x15, 0, out);                              /* TSC = crystal * EBX / EAX */
	ck_assert_uint_eq((u64)out[2] * out[1] / out[0], 1000000000);
	cpuid(c, 0x80000008, 0, out);
	ck_assert_uint_eq(out[0] & 0xffff, 48 << 8 | 40);
	tear_down();
}
END_TEST

START_TEST(bad_msrs)
{
	static const struct { u32 index; u64 v; } all[] = {
		{ 0x12345, 0 }, { 0xc0000080, 2 }, { 0xc0000082, (u64)1 << 60 }, { 0xc0000101, 0x800000000000 }, { 0x277, 2 }, { 0x2ff, 0x100 },
		{ 0x200, 7 }, { 0x10a, 0 },
	};

	build("max");
	long_mode(0);
	CODE_AT(CODE, 0x0f, 0x30);
	c->r[RCX] = all[_i].index;
	c->r[RAX] = (u32)all[_i].v;
	c->r[RDX] = all[_i].v >> 32;
	expect_fault(VEC_GP, 0);
	tear_down();
}
END_TEST

/* ---- debug registers (vol. 3, 17.2) ---- */

START_TEST(breakpoints)
{
	build("max");
	protected_mode(0);
	c->idtr.limit = 0x7ff;
	set_gate(VEC_DB, gate(CODE0, HANDLER, 0x8e, 0));
	CODE_AT(HANDLER, 0xf4);
	CODE_AT(CODE, 0x90, 0xa2, 0x02, 0x00, 0x05, 0x00, 0x90, 0xf4); /* nop; mov [DATA + 2], al; nop; hlt */
	ck_assert(write_dr(c, 0, _i ? DATA : CODE + 1));
	ck_assert(write_dr(c, 7, _i ? 0xd0002 : 2)); /* 4 bytes, write; or execution */
	expect_halt();
	ck_assert_uint_eq(c->dr[6] & 15, 1);
	ck_assert_uint_eq(peek(STACK0 - 12, 4), _i ? CODE + 6 : CODE + 1); /* a trap; a fault */
	ck_assert_uint_eq(peek(STACK0 - 4, 4) & FL_RF, _i ? 0 : 0);
	tear_down();
}
END_TEST

/* A single step ends after one instruction; DR6.BS. */
START_TEST(single_step)
{
	build("max");
	protected_mode(0);
	c->idtr.limit = 0x7ff;
	set_gate(VEC_DB, gate(CODE0, HANDLER, 0x8e, 0));
	CODE_AT(HANDLER, 0xf4);
	CODE_AT(CODE, 0x68, 0x02, 0x01, 0, 0, 0x9d, 0x40, 0x40); /* push 102h; popf; inc eax; inc eax */
	c->r[RAX] = 0;
	expect_halt();
	ck_assert_uint_eq(c->r[RAX], 1);
	ck_assert_uint_eq(c->dr[6] >> 14 & 1, 1);
	ck_assert_uint_eq(peek(STACK0 - 12, 4), CODE + 7);
	ck_assert(!(c->eflags & FL_T));
	tear_down();
}
END_TEST

/* SYSRET (vol. 2): #UD without EFER.SCE, whatever CPL; then #GP(0) above 0. */
START_TEST(sysret_checks)
{
	static const struct { unsigned cpl; bool sce; int vector; } all[] = { { 0, false, VEC_UD }, { 3, false, VEC_UD }, { 3, true, VEC_GP } };

	build("max");
	long_mode(all[_i].cpl);
	c->efer = (c->efer & ~(u64)EFER_SCE) | (all[_i].sce ? EFER_SCE : 0);
	CODE_AT(CODE, 0x48, 0x0f, 0x07);
	expect_fault((unsigned)all[_i].vector, 0);
	tear_down();
}
END_TEST

/* A near jump or call to an address that is not canonical is #GP(0) at the instruction, with nothing changed (vol. 2, JMP, CALL, LOOP, RET). The code
 * is mapped at the very end of the lower half. */
START_TEST(not_canonical)
{
	static const struct { u8 code[8]; } all[] = {
		{ { 0xe9, 0, 1, 0, 0 } }, { { 0xe8, 0, 1, 0, 0 } }, { { 0x0f, 0x84, 0, 1, 0, 0 } }, { { 0xeb, 0x7f } }, { { 0xe2, 0x7f } }, { { 0xe3, 0x7f } },
		{ { 0x39, 0xc0, 0x74, 0x7f } }, /* cmp eax, eax; jz: one operation */
		{ { 0xff, 0xe3 } }, { { 0xff, 0xd3 } }, { { 0xc3 } },
	};
	const u64 top = (u64)1 << 47, at = top - 0x40;

	build("max");
	long_mode(0);
	poke64(PML4 + 8 * 255, (PML4 + 0x2000) | 7);
	poke64(PML4 + 0x2000 + 8 * 511, (PML4 + 0x3000) | 7);
	poke64(PML4 + 0x3000 + 8 * 511, (PML4 + 0x4000) | 7);
	poke64(PML4 + 0x4000 + 8 * 511, 0x60000 | 7);
	poke(0x60fc0, all[_i].code, sizeof all[_i].code);
	c->r[RBX] = top;
	poke64(STACK0, top);
	set_flags_zero();
	for (unsigned n = 0; n < 3; n++) {
		unsigned skip = all[_i].code[0] == 0x39 ? 2 : 0;

		c->r[RIP] = at;
		c->r[RCX] = all[_i].code[0] == 0xe3 ? 0 : 5;
		c->r[RSP] = STACK0;
		poke64(STACK0 - 8, 0x1234);
		expect_fault(VEC_GP, 0);
		ck_assert_uint_eq(c->r[RIP], at + skip);
		ck_assert_uint_eq(c->r[RSP], STACK0);
		ck_assert_uint_eq(c->r[RCX], all[_i].code[0] == 0xe3 ? 0 : 5);
		ck_assert_uint_eq(peek(STACK0 - 8, 8), 0x1234);
	}
	/* Nor does it help that another mode has been where the jump cache would look: CR0.TS is one bit of the key, bit 47 of the address another. */
	c->cr0 |= CR0_TS;
	update_mode(c);
	CODE_AT(CODE, 0xff, 0xe3); /* jmp rbx */
	CODE_AT(0x70000, 0xf4);
	c->r[RIP] = CODE;
	c->r[RBX] = 0x70000;
	expect_halt();
	c->activity = ACTIVITY_RUN;
	c->cr0 &= ~(u64)CR0_TS;
	update_mode(c);
	for (unsigned bit = 47; bit < 63; bit++) {
		c->r[RIP] = CODE;
		c->r[RBX] = 0x70000 | (u64)1 << bit;
		expect_fault(VEC_GP, 0);
		ck_assert_uint_eq(c->r[RIP], CODE);
	}
	tear_down();
}
END_TEST

/* An interrupt between two parts of a repeated string instruction finds RF set in its image, so that the instruction's breakpoint does not fire
 * again (vol. 3, 17.3.1.1); after the last part it is clear. */
START_TEST(interrupted_repetition)
{
	build("max");
	protected_mode(0);
	c->idtr.limit = 0x7ff;
	set_gate(VEC_NMI, gate(CODE0, HANDLER, 0x8e, 0));
	CODE_AT(HANDLER, 0xf4);
	CODE_AT(CODE, 0xf3, 0xaa, 0x90, 0x90); /* rep stosb; nop; nop */
	c->r[RDI] = DATA;
	c->r[RCX] = _i == 1 ? 16 : 0x9000;
	step(1);
	ck_assert_uint_eq(c->r[RIP], _i == 1 ? CODE + 2 : CODE);
	if (_i == 2) { /* the end of it, and the instruction behind */
		while (c->r[RIP] == CODE)
			step(1);
		step(1);
	}
	cpu_nmi(c, 0, true);
	expect_halt();
	ck_assert_uint_eq(peek(STACK0 - 12, 4), _i == 0 ? CODE : _i == 1 ? CODE + 2 : CODE + 3);
	ck_assert_uint_eq(peek(STACK0 - 4, 4) & FL_RF, _i == 0 ? FL_RF : 0);
	tear_down();
}
END_TEST

/* VERR, VERW, LAR and LSL (vol. 2) over all types of code and data, DPL, CPL and RPL. */
START_TEST(verify)
{
	unsigned cpl = _i & 16 ? 3 : 0, type = _i & 15;

	build("max");
	protected_mode(cpl);
	CODE_AT(CODE, 0x0f, 0x00, 0xe0, 0x0f, 0x94, 0xc3, 0x0f, 0x00, 0xe8, 0x0f, 0x94, 0xc7, /* verr ax; setz bl; verw ax; setz bh */
		0x0f, 0x02, 0xc8, 0x0f, 0x94, 0xc2, 0x0f, 0x03, 0xe8, 0x0f, 0x94, 0xc6, 0x0f, 0x0b); /* lar ecx, eax; setz dl; lsl ebp, eax; setz dh; ud2 */
	for (unsigned n = 0; n < 16; n++) {
		unsigned dpl = n & 3, rpl = n >> 2;
		bool code = type & 8, conforming = code && type & 4, reachable = conforming || (dpl >= cpl && dpl >= rpl);

		set_descriptor(SLOT, descriptor(0, 0x12, 0x90 | dpl << 5 | type, 8));
		c->r[RIP] = CODE;
		c->r[RAX] = SLOT | rpl;
		c->r[RBX] = c->r[RCX] = c->r[RDX] = c->r[RBP] = 0;
		expect_fault(VEC_UD, 0);
		ck_assert_uint_eq(c->r[RBX] & 0xff, reachable && (!code || type & 2));
		ck_assert_uint_eq(c->r[RBX] >> 8 & 0xff, reachable && !code && type & 2);
		ck_assert_uint_eq(c->r[RDX], reachable ? 0x101 : 0);
		ck_assert_uint_eq(c->r[RCX], reachable ? 0x800000u | 0x9000 | dpl << 13 | type << 8 : 0);
		ck_assert_uint_eq(c->r[RBP], reachable ? 0x12fff : 0);
	}
	tear_down();
}
END_TEST

/* ARPL (vol. 2): the RPL of the first is raised to that of the second, and ZF says whether it was. */
START_TEST(arpl)
{
	build("max");
	protected_mode(3);
	CODE_AT(CODE, 0x63, 0xc8, 0x0f, 0x94, 0xc2, 0x0f, 0x0b); /* arpl ax, cx; setz dl; ud2 */
	for (unsigned n = 0; n < 16; n++) {
		unsigned to = n & 3, from = n >> 2;

		c->r[RIP] = CODE;
		c->r[RAX] = 0x12345670 | to;
		c->r[RCX] = from;
		c->r[RDX] = 0;
		expect_fault(VEC_UD, 0);
		ck_assert_uint_eq(c->r[RAX], 0x12345670 | (to < from ? from : to));
		ck_assert_uint_eq(c->r[RDX], to < from);
	}
	tear_down();
}
END_TEST

/* A task with the T bit (vol. 3, 7.2.1): #DB with DR6.BT before its first instruction. */
START_TEST(task_trap)
{
	build("max");
	protected_mode(0);
	second_task();
	poke16(TSS2_AT + 100, 1);
	c->idtr.limit = 0x7ff;
	set_gate(VEC_DB, gate(CODE0, 0xa000, 0x8e, 0));
	CODE_AT(CODE, 0xea, 0, 0, 0, 0, SLOT, 0);
	CODE_AT(HANDLER, 0x0f, 0x0b);
	CODE_AT(0xa000, 0xf4);
	expect_halt();
	ck_assert_uint_eq(c->r[RIP], 0xa001);
	ck_assert_uint_eq(c->dr[6] >> 15 & 1, 1);
	ck_assert_uint_eq(peek(c->r[RSP], 4), HANDLER);
	tear_down();
}
END_TEST

/* CALL and JMP to a task (vol. 3, 7.3): busy, not present, too short, beyond its privilege; nothing of it has happened. */
START_TEST(bad_tasks)
{
	static const struct { u8 access; u16 limit, sel; u8 vector; u16 error; } all[] = {
		{ 0x8b, 0x67, SLOT, VEC_GP, SLOT }, { 0x09, 0x67, SLOT, VEC_NP, SLOT }, { 0x89, 0x66, SLOT, VEC_TS, SLOT }, { 0x89, 0x67, SLOT | 3, VEC_GP, SLOT },
		{ 0x89, 0x67, SLOT | 4, VEC_GP, SLOT | 4 },
	};

	for (unsigned call = 0; call < 2; call++) {
		build("max");
		protected_mode(0);
		second_task();
		set_descriptor(SLOT, descriptor(TSS2_AT, all[_i].limit, all[_i].access, 0));
		CODE_AT(CODE, call ? 0x9a : 0xea, 0, 0, 0, 0, (u8)all[_i].sel, 0);
		expect_fault(all[_i].vector, all[_i].error);
		ck_assert_uint_eq(c->r[RIP], CODE);
		ck_assert_uint_eq(c->seg[TR].sel, TASK);
		ck_assert_uint_eq(peek(GDT + SLOT + 5, 1), all[_i].access);
		ck_assert_uint_eq(peek(GDT + TASK + 5, 1), 0x8b);
		tear_down();
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("system");
	TCase *t = tcase_create("system");

	tcase_add_loop_test(t, loads_of_ds, 0, 14);
	tcase_add_loop_test(t, loads_of_ss, 0, 8);
	tcase_add_test(t, accessed_bit);
	tcase_add_loop_test(t, limits, 0, 10);
	tcase_add_loop_test(t, lar_and_lsl, 0, 32);
	tcase_add_loop_test(t, gate_to_inner_ring, 0, 2);
	tcase_add_test(t, fault_and_restart);
	tcase_add_loop_test(t, bad_gates, 0, 7);
	tcase_add_loop_test(t, double_and_triple, 0, 2);
	tcase_add_test(t, call_gate);
	tcase_add_test(t, return_to_outer_ring);
	tcase_add_test(t, v86_and_back);
	tcase_add_loop_test(t, v86_extensions, 0, 2);
	tcase_add_loop_test(t, v86_pending, 0, 2);
	tcase_add_loop_test(t, gate_64, 0, 2);
	tcase_add_test(t, syscall_sysret);
	tcase_add_test(t, compatibility);
	tcase_add_loop_test(t, task_call_and_iret, 0, 2);
	tcase_add_test(t, task_jump);
	tcase_add_test(t, task_with_bad_stack);
	tcase_add_loop_test(t, bad_control_registers, 0, 9);
	tcase_add_test(t, real_to_long);
	tcase_add_loop_test(t, io_bitmap, 0, 6);
	tcase_add_loop_test(t, shadows, 0, 2);
	tcase_add_test(t, cpuid_facts);
	tcase_add_loop_test(t, bad_msrs, 0, 8);
	tcase_add_loop_test(t, breakpoints, 0, 2);
	tcase_add_test(t, single_step);
	tcase_add_loop_test(t, verify, 0, 32);
	tcase_add_test(t, arpl);
	tcase_add_test(t, task_trap);
	tcase_add_loop_test(t, bad_tasks, 0, 5);
	tcase_add_loop_test(t, sysret_checks, 0, 3);
	tcase_add_loop_test(t, not_canonical, 0, 10);
	tcase_add_loop_test(t, interrupted_repetition, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
