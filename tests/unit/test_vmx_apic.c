/* SPDX-License-Identifier: MIT */
/* The virtual APIC against the SDM's vol. 3, chapter 29: which accesses to the APIC-access page and to MSRs of x2APIC
 * mode have its registers and which exit (29.4, 29.5), virtual interrupts (29.1, 29.2), posted ones (29.6), the checks
 * of VM entries (26.2.1.1). */
#include "vmx_guest.h"

enum { VAPIC = 0x50000, PAGE = 0x60000, DESCRIPTOR = 0x70000, TPR = 0x80, PPR = 0xa0, ISR = 0x100, IRR = 0x200 };
enum { REGS = SEC_APIC_REGISTERS, INTRS = SEC_VIRTUAL_INTR };

static u32 reg(unsigned offset) { return get32(ram->host + VAPIC + offset); }
static void set_reg(unsigned offset, u32 v) { put32(ram->host + VAPIC + offset, v); }
static void pend(unsigned table, unsigned vector)
{
	ram->host[VAPIC + table + vector / 32 * 16 + vector / 8 % 4] |= 1 << vector % 8;
}

static bool pending(unsigned table, unsigned vector) { return reg(table + vector / 32 * 16) >> vector % 32 & 1; }

static void virtual_apic(u32 secondary)
{
	valid_vm();
	set(VMCS_PIN_CONTROLS, 0x16 | (secondary & INTRS ? PIN_INTR : 0));
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY | PROC_TPR_SHADOW);
	set(VMCS_SECONDARY_CONTROLS, secondary);
	set(VMCS_VIRTUAL_APIC, VAPIC);
	set(VMCS_APIC_ACCESS, PAGE);
	set(VMCS_TPR_THRESHOLD, 0);
	memset(ram->host + VAPIC, 0, PAGE_SIZE);
	memset(ram->host + PAGE, 0xcc, PAGE_SIZE);
}

#define READ "\x8b\x03"         /* mov eax, [rbx] */
#define WRITE "\x89\x03"        /* mov [rbx], eax */
#define READ64 "\x48\x8b\x03"
#define WRITE8 "\x88\x03"
#define RDMSR "\x0f\x32"
#define WRMSR "\x0f\x30"
#define JUMP "\xff\xe3"         /* jmp rbx */
static const struct {
	const char *code;
	unsigned offset;
	u32 shadow, secondary, reason, qualification; /* 18: VMCALL's, the register was there */
	bool behind;                                  /* the instruction has retired */
} accesses[] = {
	{ READ, TPR, 0, 0, 44, TPR, false }, { WRITE, TPR, 0, 0, 44, 0x1080, false },
	{ READ, TPR, 1, 0, 18, 0, true }, { WRITE, TPR, 1, 0, 18, 0, true }, { WRITE8, TPR, 1, 0, 18, 0, true },
	{ READ, 0x20, 1, 0, 44, 0x20, false }, { READ, 0x20, 1, REGS, 18, 0, true },
	{ READ, PPR, 1, REGS, 44, PPR, false }, { READ, 0x390, 1, REGS, 44, 0x390, false },
	{ READ, 0x24, 1, REGS, 44, 0x24, false }, { READ, 0x22, 1, REGS, 44, 0x22, false },
	{ READ64, TPR, 1, REGS, 44, TPR, false }, { READ, 0x270, 1, REGS, 18, 0, true },
	{ READ, 0xffe, 1, REGS, 44, 0xffe, false }, { READ, 0x2f0, 1, REGS, 44, 0x2f0, false },
	{ WRITE, 0x30, 1, REGS, 44, 0x1030, false }, { WRITE, 0x100, 1, REGS, 44, 0x1100, false },
	{ WRITE, 0xb0, 1, 0, 44, 0x10b0, false }, { WRITE, 0xb0, 1, REGS, 56, 0xb0, true },
	{ WRITE, 0xb0, 1, INTRS, 18, 0, true }, { WRITE, 0x300, 1, INTRS, 56, 0x300, true },
	{ WRITE, 0xd0, 1, INTRS, 44, 0x10d0, false }, { WRITE, 0xd0, 1, REGS, 56, 0xd0, true },
	{ WRITE, 0x310, 1, REGS, 18, 0, true }, { JUMP, 0x80, 1, REGS, 44, 0x2080, false },
};

START_TEST(page)
{
	for (unsigned i = 0; i < ARRAY_LEN(accesses); i++) {
		unsigned len = (unsigned)strlen(accesses[i].code);
		bool jumps = accesses[i].code[0] == JUMP[0];
		u32 reason;

		virtual_apic(SEC_APIC_ACCESS | accesses[i].secondary);
		if (!accesses[i].shadow)
			set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY);
		set(VMCS_GUEST_RIP, GUEST);
		set_reg(accesses[i].offset & 0xff0, 0x11223344);
		c->r[RBX] = PAGE + accesses[i].offset;
		c->r[RAX] = 0xabcdef21;
		reason = guest(accesses[i].code, len);
		ck_assert_msg(reason == accesses[i].reason, "row %u: %u", i, reason);
		if (reason != 18)
			ck_assert_msg(get(VMCS_EXIT_QUALIFICATION) == accesses[i].qualification, "row %u: %llx", i,
				      (unsigned long long)get(VMCS_EXIT_QUALIFICATION));
		ck_assert_uint_eq(get(VMCS_GUEST_RIP), jumps ? PAGE + 0x80 : GUEST + (accesses[i].behind ? len : 0));
		if (accesses[i].code[0] == READ[0])
			ck_assert_uint_eq(c->r[RAX], accesses[i].behind ? 0x11223344 : 0xabcdef21);
		else if (accesses[i].behind && accesses[i].code[0] == WRITE[0])
			ck_assert_msg(reg(accesses[i].offset) == (accesses[i].offset == TPR ? 0x21
								  : accesses[i].offset == 0x310 ? 0xab000000
								  : accesses[i].offset == 0xb0 && reason == 18 ? 0
								  : 0xabcdef21), "row %u", i);
		ck_assert_uint_eq(get32(ram->host + PAGE + TPR), 0xcccccccc);
		POINTED(VMCLEAR, VM);
		POINTED(VMXON, ON);
		ck_assert_int_eq(STEP(VMXOFF), -1);
	}
}
END_TEST

/* The APIC-access page as a stack while an event is delivered; as a paging structure, with EPT. */
START_TEST(not_by_instructions)
{
	virtual_apic(SEC_APIC_ACCESS | REGS);
	gate(VEC_UD);
	set(VMCS_GUEST_RSP, PAGE + 0x100);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), 44);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x30f8);
	ck_assert_uint_eq(get(VMCS_IDT_VECTORING), 0x80000306);

	ept_make(7);
	set(VMCS_SECONDARY_CONTROLS, SEC_APIC_ACCESS | SEC_EPT);
	put64(ept_entry(TABLES), PAGE | 6 << 3 | 7);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 44);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION) & 0xf000, 0xf000);
	put64(ept_entry(TABLES), TABLES | 6 << 3 | 7);
	put64(ept_entry(0x40000), PAGE | 6 << 3 | 7); /* what counts is the physical address */
	c->r[RBX] = 0x40080;
	set_reg(TPR, 0x30);
	ck_assert_uint_eq(RUN_GUEST(READ), 18);
	ck_assert_uint_eq(c->r[RAX], 0x30);
	set(VMCS_TPR_THRESHOLD, 4); /* 26.7.7 */
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 43);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
	set(VMCS_TPR_THRESHOLD, 3);
	c->r[RAX] = 0x2f;
	ck_assert_uint_eq(RUN_GUEST(WRITE), 43); /* behind the write */
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 2);
}
END_TEST

START_TEST(interrupts)
{
	virtual_apic(SEC_APIC_ACCESS | INTRS);
	gate(0x51);
	gate(0x62);
	set(VMCS_GUEST_RFLAGS, 2 | FL_I);
	set(VMCS_GUEST_INTERRUPT_STATUS, 0x51);
	pend(IRR, 0x51);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x5100);
	ck_assert_uint_eq(reg(PPR), 0x50);
	ck_assert(pending(ISR, 0x51) && !pending(IRR, 0x51));

	set(VMCS_GUEST_RIP, GUEST); /* 0x52 is of the same priority: it waits for the EOI */
	set(VMCS_GUEST_RFLAGS, 2 | FL_I);
	set(VMCS_GUEST_INTERRUPT_STATUS, 0x5152);
	pend(IRR, 0x52);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 1);
	set(VMCS_EOI_EXIT_BITMAP1, (u64)1 << 0x11);
	c->r[RBX] = PAGE + 0xb0;
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST(WRITE), 45);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x51);
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x52);
	ck_assert(!pending(ISR, 0x51));

	set(VMCS_GUEST_INTERRUPT_STATUS, 0); /* a self-IPI by ICR; TPR holds it off, until CR8 is written */
	memset(ram->host + VAPIC + IRR, 0, 128);
	set_reg(TPR, 0x60);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RAX] = 0x40062;
	c->r[RBX] = PAGE + 0x300;
	c->r[RDX] = 5;
	ck_assert_uint_eq(RUN_GUEST(WRITE), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x62);
	ck_assert(pending(IRR, 0x62));
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x44\x0f\x22\xc2\x90"), 18); /* mov cr8, rdx */
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCS_GUEST_RSP)), GUEST + 4);
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x6200);

	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_GUEST_RFLAGS, 2);
	set(VMCS_GUEST_INTERRUPT_STATUS, 0x62);
	set(VMCS_GUEST_ACTIVITY, 1); /* STI and HLT: it wakes */
	set(VMCS_GUEST_RFLAGS, 2 | FL_I);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	set(VMCS_GUEST_ACTIVITY, 0);
	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_GUEST_INTERRUPT_STATUS, 0x62);
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY | PROC_TPR_SHADOW | PROC_INTR_WINDOW);
	set(VMCS_GUEST_RFLAGS, 2 | FL_I);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 7); /* with that control none is recognised */
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x62);
}
END_TEST

START_TEST(msrs)
{
	c->apic = apic_new(c, &clk, &mem);
	virtual_apic(SEC_X2APIC | REGS | INTRS);
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY | PROC_TPR_SHADOW | PROC_MSR_BITMAPS);
	set(VMCS_MSR_BITMAP, BITMAPS);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_GP);
	put64(ram->host + VAPIC + 0x20, 0x0123456789abcdef);
	c->r[RCX] = 0x802;
	ck_assert_uint_eq(RUN_GUEST(RDMSR), 18);
	ck_assert_uint_eq(c->r[RAX], 0x89abcdef);
	ck_assert_uint_eq(c->r[RDX], 0x01234567);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RCX] = 0x808, c->r[RAX] = 0x45, c->r[RDX] = 0;
	ck_assert_uint_eq(RUN_GUEST(WRMSR), 18);
	ck_assert_uint_eq(reg(TPR), 0x45);
	ck_assert_uint_eq(reg(PPR), 0x45);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RAX] = 0x100;
	ck_assert_uint_eq(RUN_GUEST(WRMSR), 0); /* #GP: bit 8 */
	c->r[RCX] = 0x80b, c->r[RAX] = 1;
	ck_assert_uint_eq(RUN_GUEST(WRMSR), 0);
	c->r[RCX] = 0x83f, c->r[RAX] = 0xf;
	ck_assert_uint_eq(RUN_GUEST(WRMSR), 56);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x3f0);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 2);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RAX] = 0x41;
	ck_assert_uint_eq(RUN_GUEST(WRMSR), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x41);
	ram->host[BITMAPS + 0x802 / 8] = 1 << 2; /* the bitmap comes first */
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RCX] = 0x802;
	ck_assert_uint_eq(RUN_GUEST(RDMSR), 31);
}
END_TEST

static u8 inta(void *owner)
{
	cpu_intr(c, 0, false);
	return *(u8 *)owner;
}

START_TEST(posted)
{
	u8 vector = 0xf2;

	virtual_apic(SEC_APIC_ACCESS | INTRS);
	c->acknowledge = inta;
	c->acknowledge_owner = &vector;
	set(VMCS_PIN_CONTROLS, 0x16 | PIN_INTR | PIN_POSTED);
	set(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | EXIT_ACK_INTR);
	set(VMCS_POSTED_VECTOR, vector);
	set(VMCS_POSTED_DESCRIPTOR, DESCRIPTOR);
	ram->host[DESCRIPTOR + 0x51 / 8] = 1 << (0x51 & 7);
	ram->host[DESCRIPTOR + 32] = 3; /* ON, SN */
	gate(0x51);
	set(VMCS_GUEST_RFLAGS, 2 | FL_I);
	cpu_intr(c, 0, true);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	ck_assert_uint_eq(ram->host[DESCRIPTOR + 32], 2);
	ck_assert_uint_eq(get64(ram->host + DESCRIPTOR + 8), 0);
	ck_assert_uint_eq(get(VMCS_GUEST_INTERRUPT_STATUS), 0x5100);
	vector = 0x33; /* another: an exit */
	cpu_intr(c, 0, true);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 1);
	ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), 0x80000033);
}
END_TEST

/* A state saved while a virtual interrupt is recognised and IF is clear. */
START_TEST(saved)
{
	struct part parts[2];
	u8 image[1024], cpu[16384];

	virtual_apic(SEC_APIC_ACCESS | INTRS);
	gate(0x51);
	set(VMCS_GUEST_INTERRUPT_STATUS, 0x51);
	pend(IRR, 0x51);
	memcpy(ram->host + GUEST, "\xfb\x90\x90\x0f\x01\xc1", 6); /* sti; nop; nop; vmcall */
	ck_assert_int_eq(STEP(VMLAUNCH), -1);
	ck_assert(vmx_guest(c));
	ck_assert_uint_eq(cpu_parts(c, parts, 2), 2);
	ck_assert_uint_le(part_size(&parts[1]), sizeof image);
	part_save(&parts[0], cpu);
	part_save(&parts[1], image);
	vmx_forget_guest(c);
	ck_assert(part_load(&parts[0], cpu, part_size(&parts[0]), NULL) &&
		  part_load(&parts[1], image, part_size(&parts[1]), NULL));
	cpu_loaded(c);
	for (unsigned i = 0; i < 5 && vmx_guest(c); i++)
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert_uint_eq(get(VMCS_EXIT_REASON), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCS_GUEST_RSP)), GUEST + 2);
}
END_TEST

static const struct { u32 pin, proc, secondary; enum vmcs_field field; u64 value; bool enters; } entries[] = {
	{ 0, PROC_TPR_SHADOW, SEC_APIC_ACCESS, VMCS_APIC_ACCESS, PAGE, true },
	{ 0, PROC_TPR_SHADOW, SEC_APIC_ACCESS, VMCS_APIC_ACCESS, PAGE + 8, false },
	{ 0, PROC_TPR_SHADOW, SEC_APIC_ACCESS, VMCS_APIC_ACCESS, (u64)1 << 45, false },
	{ 0, PROC_TPR_SHADOW, SEC_APIC_ACCESS | SEC_X2APIC, VMCS_APIC_ACCESS, PAGE, false },
	{ 0, 0, SEC_X2APIC, VMCS_TPR_THRESHOLD, 0, false }, { 0, 0, REGS, VMCS_TPR_THRESHOLD, 0, false },
	{ PIN_INTR, 0, INTRS, VMCS_TPR_THRESHOLD, 0, false },
	{ 0, PROC_TPR_SHADOW, INTRS, VMCS_TPR_THRESHOLD, 0, false },
	{ PIN_INTR, PROC_TPR_SHADOW, INTRS, VMCS_TPR_THRESHOLD, 0x10, true },
	{ 0, PROC_TPR_SHADOW, 0, VMCS_TPR_THRESHOLD, 0x10, false },
	{ 0, PROC_TPR_SHADOW, 0, VMCS_TPR_THRESHOLD, 1, false }, /* VTPR is 0 */
	{ 0, PROC_TPR_SHADOW, 0, VMCS_VIRTUAL_APIC, 8, false },
	{ PIN_INTR | PIN_POSTED, PROC_TPR_SHADOW, INTRS, VMCS_POSTED_VECTOR, 0xf2, true },
	{ PIN_INTR | PIN_POSTED, PROC_TPR_SHADOW, INTRS, VMCS_POSTED_VECTOR, 0x100, false },
	{ PIN_INTR | PIN_POSTED, PROC_TPR_SHADOW, INTRS, VMCS_POSTED_DESCRIPTOR, 32, false },
	{ PIN_INTR | PIN_POSTED, PROC_TPR_SHADOW, INTRS, VMCS_POSTED_DESCRIPTOR, (u64)1 << 45, false },
	{ PIN_INTR | PIN_POSTED, PROC_TPR_SHADOW, 0, VMCS_POSTED_VECTOR, 0xf2, false },
	{ PIN_INTR | PIN_POSTED, PROC_TPR_SHADOW, INTRS, VMCS_EXIT_CONTROLS, 0x36dfb | EXIT_HOST_64, false },
};

START_TEST(entry_checks)
{
	for (unsigned i = 0; i < ARRAY_LEN(entries); i++) {
		u64 good;

		virtual_apic(0);
		set(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | EXIT_ACK_INTR);
		set(VMCS_PIN_CONTROLS, 0x16 | entries[i].pin);
		set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY | entries[i].proc);
		set(VMCS_SECONDARY_CONTROLS, entries[i].secondary);
		good = get(entries[i].field);
		set(entries[i].field, entries[i].value);
		memcpy(ram->host + GUEST, VMCALL, 3);
		cpu_code_written(c, GUEST, 3);
		STEP(VMLAUNCH);
		ck_assert_msg(vmx_guest(c) == entries[i].enters, "row %u", i);
		if (entries[i].enters) {
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			ck_assert_uint_eq(get(VMCS_EXIT_REASON), 18);
		} else {
			ck_assert_uint_eq(flags(), FL_Z);
			ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), 7);
		}
		set(entries[i].field, good);
		POINTED(VMCLEAR, VM);
		ck_assert_int_eq(STEP(VMXOFF), -1);
	}
}
END_TEST

/* A Haswell has the APIC-access page; what follows came later. */
START_TEST(models)
{
	bare_free();
	bare_new("haswell", RAM);
	ck_assert_uint_eq(vmx_capability(c, 0x48b) >> 32 & (SEC_APIC_ACCESS | SEC_X2APIC | REGS | INTRS),
			  SEC_APIC_ACCESS | SEC_X2APIC);
	ck_assert(!(vmx_capability(c, 0x48d) >> 32 & PIN_POSTED));
	bare_free();
	setup();
	ck_assert(vmx_capability(c, 0x48d) >> 32 & PIN_POSTED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmx_apic");
	TCase *t = tcase_create("vmx_apic");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, page);
	tcase_add_test(t, not_by_instructions);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, msrs);
	tcase_add_test(t, posted);
	tcase_add_test(t, saved);
	tcase_add_test(t, entry_checks);
	tcase_add_test(t, models);
	suite_add_tcase(s, t);
	return bare_run(s);
}
