/* SPDX-License-Identifier: MIT */
/* Whole sequences of what test_segments, test_gates, test_interrupts, test_iret, test_task, test_v86, test_control and
 * test_traps take one by one: into a handler and back, into a mode and out of it (SDM vol. 2 and 3; the section is with
 * each test). */
#include "tests/unit/modes.h"

static enum cpu_stop step(unsigned n) { return cpu_run(c, c->icount + n, CLOCK_NEVER); }
static void expect_fault(unsigned vector, u32 error)
{
	ck_assert_int_eq(step(1000), CPU_EXCEPTION);
	ck_assert_uint_eq(c->fault.vector, vector);
	ck_assert_uint_eq(c->fault.error, error);
}
static void expect_halt(void)
{
	enum cpu_stop stop = step(1000);

	ck_assert_msg(stop == CPU_IDLE, "stop %d, fault %u (%x) at %x:%llx", stop, c->fault.vector, c->fault.error,
		c->seg[CS].sel,
		      (unsigned long long)c->r[RIP]);
}

/* A fault: the handler mends it, and IRET restarts the instruction (vol. 3, 6.5). The second time it is INT 13, whose
 * gate has DPL 0. */
START_TEST(fault_and_restart)
{
	u32 gp = handler_of(VEC_GP);

	enter(P32, 3);
	with_idt();
	set_gate(VEC_GP, gate(CODE32(0), gp, 0x8e, 0));
	POKE(CODE, 0x8e, 0xd8, 0xcd, VEC_GP); /* mov ds, ax (bad); int 13 */
	/* pop eax; mov ecx, eax; mov eax, DATA32(3); mov edx, [esp + 8]; iret */
	POKE(gp, 0x58, 0x89, 0xc1, 0xb8, DATA32(3), 0, 0, 0, 0x8b, 0x54, 0x24, 0x08, 0xcf);
	c->r[RAX] = DATA32(0);
	step(6);
	ck_assert_uint_eq(c->r[RCX], DATA32(0));
	ck_assert_uint_eq(c->r[RDX] & FL_RF, FL_RF);
	ck_assert_uint_eq(c->seg[DS].sel, DATA32(3));
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	step(2);
	ck_assert_uint_eq(c->r[RCX], VEC_GP * 8 + 2);
}
END_TEST

/* A triple fault leaves the chain that led to it (table 6-5). */
START_TEST(triple_fault)
{
	enter(P32, 0);
	c->idtr.limit = 7;
	POKE(CODE, 0xf7, 0xf1); /* div ecx */
	set_gate(0, 0);
	ck_assert_int_eq(step(1000), CPU_TRIPLE_FAULT);
	ck_assert_uint_eq(c->chain_len, 3);
	FAULT(0, VEC_DE, 0);
	FAULT(1, VEC_GP, VEC_DE * 8 + 2 + 1);
	FAULT(2, VEC_GP, VEC_DF * 8 + 2 + 1);
}
END_TEST

/* So does a benign fault without an IDT: it is the first, then what delivering it led to. */
START_TEST(benign_triple_fault)
{
	enter(P32, 0);
	c->idtr.limit = 7; /* 0: the caller's, with a bare processor */
	POKE(CODE, 0x0f, 0x0b); /* ud2 */
	ck_assert_int_eq(step(1000), CPU_TRIPLE_FAULT);
	ck_assert_uint_eq(c->chain_len, 4);
	FAULT(0, VEC_UD, 0);
	FAULT(1, VEC_GP, VEC_UD * 8 + 2 + 1);
	FAULT(2, VEC_GP, VEC_GP * 8 + 2 + 1);
	FAULT(3, VEC_GP, VEC_DF * 8 + 2 + 1);
	ck_assert_ptr_null(c->chain[0].why);
	ck_assert_str_eq(c->chain[1].why, "the vector is beyond the limit of the IDT (6.10)");
}
END_TEST

/* Through a call gate from ring 3 with three parameters, and back with RET 12: figure 5-13. */
START_TEST(call_gate)
{
	u64 top = ring_stack(0);

	enter(P32, 3);
	set_descriptor(SLOT, gate(CODE32(0), HANDLER, 0xec, 3));
	/* push 1; 2; 3; call SLOT:0; ud2 */
	POKE(CODE, 0x6a, 1, 0x6a, 2, 0x6a, 3, 0x9a, 0, 0, 0, 0, SLOT | 3, 0, 0x0f, 0x0b);
	/* mov eax, [esp + 8]; mov ebx, [esp + 16]; mov ecx, esp; retf 12 */
	POKE(HANDLER, 0x8b, 0x44, 0x24, 0x08, 0x8b, 0x5c, 0x24, 0x10, 0x89, 0xe1, 0xca, 12, 0);
	expect_fault(VEC_UD, 0);
	ck_assert_uint_eq(c->r[RAX], 3);
	ck_assert_uint_eq(c->r[RBX], 1);
	ck_assert_uint_eq(c->r[RCX], top - 28); /* SS ESP, 3 parameters, CS EIP */
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->r[RSP], STACK); /* RET released them from both stacks */
	ck_assert_uint_eq(c->r[RIP], CODE + 13);
}
END_TEST

/* As a 286 has it, on itself and on its successors: a TSS of 44 bytes, gates of 16 bits, a frame of words; and a task
 * of that kind, called and left by IRET. Five words lie on the inner stack (286 manual, 7.4 and 9.4). */
START_TEST(sixteen_bits)
{
	static const char *const models[] = { "286", "386", "max" };
	const u64 stack = ring_stack(0);

	bare_free();
	bare_new(models[_i], RAM_SIZE);
	enter(P16, 3);
	with_idt();
	c->seg[TR].attr = SEG_P | 3;
	c->seg[TR].limit = 43;
	set_descriptor(TASK, descriptor(TSS_AT, 43, 0x83, 0));
	poke16(TSS_AT + 2, (u16)stack);
	poke16(TSS_AT + 4, DATA16(0));
	set_gate(0x40, gate(CODE16(0), HANDLER, 0xe6, 0));
	POKE(CODE, 0xcd, 0x40, 0x9a, 0, 0, SLOT | 3, 0, 0x90); /* int 40h; call SLOT:0; nop */
	POKE(HANDLER, 0x89, 0xe3, 0x58, 0x50, 0xcf); /* mov bx, sp; pop ax; push ax; iret */
	step(5);
	ck_assert_uint_eq((u16)c->r[RBX], stack - 10);
	ck_assert_uint_eq((u16)c->r[RAX], CODE + 2);
	ck_assert_uint_eq(peek(stack - 8, 2), CODE16(3));
	ck_assert_uint_eq(peek(stack - 4, 2), STACK);
	ck_assert_uint_eq(peek(stack - 2, 2), DATA16(3));
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	set_descriptor(SLOT, descriptor(TSS2_AT, 43, 0xe1, 0));
	poke16(TSS2_AT + 14, HANDLER + 0x20);
	poke16(TSS2_AT + 16, 2);
	poke16(TSS2_AT + 18, 0x1234); /* AX */
	poke16(TSS2_AT + 26, 0x7000); /* SP */
	for (unsigned i = 0; i < 4; i++)
		poke16(TSS2_AT + 34 + 2 * i, i == 1 ? CODE16(0) : DATA16(0));
	POKE(HANDLER + 0x20, 0xa3, DATA & 0xff, DATA >> 8, 0xcf); /* mov [DATA], ax; iret */
	step(3);
	ck_assert_uint_eq(peek(DATA, 2), 0x1234);
	ck_assert_uint_eq(peek(TSS2_AT, 2), TASK);
	ck_assert_uint_eq((u16)c->r[RAX], CODE + 2);
	ck_assert_uint_eq(c->r[RIP], CODE + 7);
	ck_assert_uint_eq(c->seg[TR].sel, TASK);
	ck_assert_uint_eq(c->cpl, 3);
}
END_TEST

/* A virtual-8086 monitor: a fault comes with nine doublewords and the error code (figure 20-4), IRET goes back behind
 * it. */
START_TEST(v86_and_back)
{
	u64 top = ring_stack(0);

	enter(V86, 3);
	with_idt();
	seg_load_real(c, GS, 0x1111);
	seg_load_real(c, DS, 0x2222);
	POKE(CODE, 0xfa, 0x90, 0x0f, 0x0b); /* cli with IOPL 0: #GP(0); nop; ud2 */
	/* pop eax; mov cx, ds; mov edx, esp; inc dword [esp]; iret */
	POKE(handler_of(VEC_GP), 0x58, 0x66, 0x8c, 0xd9, 0x89, 0xe2, 0xff, 0x04, 0x24, 0xcf);
	c->r[RCX] = 0xffff;
	step(6);
	ck_assert_uint_eq(c->r[RCX], 0);
	ck_assert_uint_eq(c->r[RDX], top - 36);
	ck_assert_uint_eq(peek(top - 4, 4), 0x1111);
	ck_assert(c->eflags & FL_VM);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->seg[GS].base, 0x11110);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
}
END_TEST

/* Into a 64-bit handler, with and without IST, and back by IRETQ (6.14). */
START_TEST(gate_64)
{
	enter(LONG, 3);
	with_idt();
	poke64(TSS_AT + 36, ring_stack(1)); /* IST1 */
	set_gate(0x40, gate(CODE64(0), HANDLER, 0xee, _i));
	POKE(CODE, 0xcd, 0x40, 0x0f, 0x0b);
	POKE(HANDLER, 0x8c, 0xd0, 0x48, 0x89, 0xe3, 0x48, 0xcf); /* mov eax, ss; mov rbx, rsp; iretq */
	step(4);
	ck_assert_uint_eq(c->r[RAX], 0);
	ck_assert_uint_eq(c->r[RBX], ring_stack(_i) - 40);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->r[RSP], STACK);
	ck_assert_uint_eq(c->seg[SS].sel, DATA32(3));
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
}
END_TEST

START_TEST(syscall_and_back)
{
	enter(LONG, 3);
	c->star = (u64)0x48 << 32 | (u64)(0x48 | 3) << 48;
	c->lstar = HANDLER;
	c->sfmask = FL_I | FL_D;
	c->eflags |= FL_I | FL_D;
	POKE(CODE, 0x0f, 0x05, 0x0f, 0x0b);
	POKE(HANDLER, 0x9c, 0x58, 0x8c, 0xcb, 0x48, 0x0f, 0x07); /* pushfq; pop rax; mov ebx, cs; sysretq */
	expect_fault(VEC_UD, 0);
	ck_assert_uint_eq(c->r[RAX] & (FL_I | FL_D), 0);
	ck_assert_uint_eq(c->r[RBX], 0x48);
	ck_assert_uint_eq(c->eflags & (FL_I | FL_D), FL_I | FL_D);
	ck_assert_uint_eq(c->cpl, 3);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
}
END_TEST

/* From 64-bit code to compatibility mode and back, by far jumps. */
START_TEST(compatibility)
{
	enter(LONG, 0);
	poke32(DATA, CODE + 0x80);
	poke16(DATA + 4, CODE32(0));
	POKE(CODE, 0xff, 0x2c, 0x25, DATA & 0xff, DATA >> 8, 0x00, 0x00); /* jmp far [DATA] */
	/* here 48h is DEC EAX; jmp CODE64(0):9000h */
	POKE(CODE + 0x80, 0x48, 0xea, 0x00, 0x90, 0x00, 0x00, CODE64(0), 0x00);
	POKE(HANDLER, 0x48, 0xff, 0xc3, 0xf4); /* inc rbx; hlt */
	c->r[RAX] = 8;
	c->r[RBX] = 0xffffffff;
	expect_halt();
	ck_assert_uint_eq(c->r[RAX], 7);
	ck_assert_uint_eq(c->r[RBX], 0x100000000);
}
END_TEST

/* The way into 64-bit mode, instruction by instruction (9.8.5). */
START_TEST(real_to_long)
{
	enter(REAL, 0);
	poke64(PML4, (PML4 + 0x1000) | 3);
	poke64(PML4 + 0x1000, 0x83);
	poke16(DATA, GDT_END - 1);
	poke32(DATA + 2, GDT);
	seg_load_real(c, DS, DATA >> 4);
	c->idtr.limit = 0;
	POKE(CODE, 0x66, 0x0f, 0x01, 0x16, 0x00, 0x00,                /* lgdtd [0] */
	     0x66, 0xb8, 0x20, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xe0,     /* mov eax, PAE; mov cr4, eax */
	     0x66, 0xb8, 0x00, PML4 >> 8, 0x00, 0x00, 0x0f, 0x22, 0xd8, /* mov eax, PML4; mov cr3, eax */
	     0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32,           /* mov ecx, EFER; rdmsr */
	     0x66, 0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30,           /* or eax, LME; wrmsr */
	     0x66, 0xb8, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0,     /* mov eax, PG | PE; mov cr0, eax */
	     0x66, 0xea, 0x00, 0x90, 0x00, 0x00, CODE64(0), 0x00);     /* jmp CODE64(0):9000h */
	POKE(HANDLER, 0x0f, 0x32, 0x48, 0x0f, 0x20, 0xc3, 0xf4); /* rdmsr; mov rbx, cr0; hlt */
	expect_halt();
	ck_assert_uint_eq(c->r[RAX], EFER_LME | EFER_LMA);
	ck_assert_uint_eq(c->r[RBX] & (CR0_PG | CR0_PE), CR0_PG | CR0_PE);
	ck_assert(in_64(c));
}
END_TEST

START_TEST(cpuid_facts)
{
	u32 out[4];
	char vendor[13] = { 0 };

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
	/* leaf 4: sub-leaves beyond the last cache are null, however far */
	for (u32 sub = 0; sub < 8; sub++) {
		cpuid(c, 4, sub, out);
		ck_assert_uint_eq(out[0] != 0, sub < 4);
	}
	cpuid(c, 4, 0x6c657000, out);
	ck_assert_uint_eq(out[0] | out[1] | out[2] | out[3], 0);
	cpuid(c, 0x15, 0, out);                              /* TSC = crystal * EBX / EAX */
	ck_assert_uint_eq((u64)out[2] * out[1] / out[0], 1000000000);
	cpuid(c, 0x80000008, 0, out);
	ck_assert_uint_eq(out[0] & 0xffff, 48 << 8 | 40);
}
END_TEST

/* A near jump or call to an address that is not canonical is #GP(0) at the instruction, with nothing changed (vol. 2,
 * JMP, CALL, LOOP, RET). The code is mapped at the very end of the lower half. */
START_TEST(not_canonical)
{
	static const struct { u8 code[8]; } all[] = {
		{ { 0xe9, 0, 1, 0, 0 } }, { { 0xe8, 0, 1, 0, 0 } }, { { 0x0f, 0x84, 0, 1, 0, 0 } }, { { 0xeb, 0x7f } },
			{ { 0xe2, 0x7f } }, { { 0xe3, 0x7f } },
		{ { 0x39, 0xc0, 0x74, 0x7f } }, /* cmp eax, eax; jz: one operation */
		{ { 0xff, 0xe3 } }, { { 0xff, 0xd3 } }, { { 0xc3 } },
	};
	const u64 top = (u64)1 << 47, at = top - 0x40, page = HANDLER;

	enter(LONG, 0);
	poke64(PML4 + 8 * 255, (PML4 + 0x2000) | 0x67);
	poke64(PML4 + 0x2000 + 8 * 511, 0x4000 | 0x67);
	poke64(0x4000 + 8 * 511, 0x6000 | 0x67);
	poke64(0x6000 + 8 * 511, page | 0x67);
	poke(page + 0xfc0, all[_i].code, sizeof all[_i].code);
	c->r[RBX] = top;
	poke64(STACK, top);
	cpu_set_arith(c, FL_Z);
	for (unsigned n = 0; n < 3; n++) {
		unsigned skip = all[_i].code[0] == 0x39 ? 2 : 0;

		c->r[RIP] = at;
		c->r[RCX] = all[_i].code[0] == 0xe3 ? 0 : 5;
		c->r[RSP] = STACK;
		poke64(STACK - 8, 0x1234);
		expect_fault(VEC_GP, 0);
		ck_assert_uint_eq(c->r[RIP], at + skip);
		ck_assert_uint_eq(c->r[RSP], STACK);
		ck_assert_uint_eq(c->r[RCX], all[_i].code[0] == 0xe3 ? 0 : 5);
		ck_assert_uint_eq(peek(STACK - 8, 8), 0x1234);
	}
	/* Nor does it help that another mode has been where the jump cache would look: CR0.TS is one bit of the key,
	 * bit 47 of the address another. */
	c->cr0 |= CR0_TS;
	update_mode(c);
	POKE(CODE, 0xff, 0xe3); /* jmp rbx */
	POKE(DATA, 0xf4);
	c->r[RIP] = CODE;
	c->r[RBX] = DATA;
	expect_halt();
	c->activity = ACTIVITY_RUN;
	c->cr0 &= ~(u64)CR0_TS;
	update_mode(c);
	for (unsigned bit = 47; bit < 63; bit++) {
		c->r[RIP] = CODE;
		c->r[RBX] = DATA | (u64)1 << bit;
		expect_fault(VEC_GP, 0);
		ck_assert_uint_eq(c->r[RIP], CODE);
	}
}
END_TEST

/* An interrupt between two parts of a repeated string instruction finds RF set in its image, so that the instruction's
 * breakpoint does not fire again (vol. 3, 17.3.1.1); after the last part it is clear. */
START_TEST(interrupted_repetition)
{
	enter(P32, 0);
	with_idt();
	POKE(CODE, 0xf3, 0xaa, 0x90, 0x90); /* rep stosb; nop; nop */
	c->seg[ES].base = (u64)GiB; /* nothing is there */
	c->r[RDI] = 0;
	c->r[RCX] = _i == 1 ? 16 : 0x9000;
	settle();
	step(1);
	ck_assert_uint_eq(c->r[RIP], _i == 1 ? CODE + 2 : CODE);
	if (_i == 2) { /* the end of it, and the instruction behind */
		while (c->r[RIP] == CODE)
			step(1);
		step(1);
	}
	cpu_nmi(c, 0, true);
	ck_assert_int_eq(taken(), VEC_NMI);
	ck_assert_uint_eq(peek(c->r[RSP], 4), _i == 0 ? CODE : _i == 1 ? CODE + 2 : CODE + 3);
	ck_assert_uint_eq(peek(c->r[RSP] + 8, 4) & FL_RF, _i == 0 ? FL_RF : 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("system");
	TCase *t = tcase_create("system");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_add_test(t, fault_and_restart);
	tcase_add_test(t, triple_fault);
	tcase_add_test(t, benign_triple_fault);
	tcase_add_test(t, call_gate);
	tcase_add_loop_test(t, sixteen_bits, 0, 3);
	tcase_add_test(t, v86_and_back);
	tcase_add_loop_test(t, gate_64, 0, 2);
	tcase_add_test(t, syscall_and_back);
	tcase_add_test(t, compatibility);
	tcase_add_test(t, real_to_long);
	tcase_add_test(t, cpuid_facts);
	tcase_add_loop_test(t, not_canonical, 0, 10);
	tcase_add_loop_test(t, interrupted_repetition, 0, 3);
	suite_add_tcase(s, t);
	return bare_run(s);
}
