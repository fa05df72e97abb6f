/* SPDX-License-Identifier: MIT */
/* AVIC against the APM's vol. 2, 15.29: what an access to each register of the guest's APIC does (table 15-22),
 * interrupts from the backing page, IPIs through the tables of APIC IDs, and their exits. */
#include "svm_guest.h"

enum { BACKING = 0x40000, PHYSICAL = 0x41000, LOGICAL = 0x42000, OTHER = 0x43000, APIC = 0x50000,
       TPR = 0x80, PPR = 0xa0, EOI = 0xb0, DFR = 0xe0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ICR = 0x300,
       ICR_HIGH = 0x310 };
#define WRITE ((u64)1 << 32)
static const char load[] = "\x8b\x03", store[] = "\x89\x03"; /* mov eax, [rbx]; mov [rbx], eax */

static u32 reg(u64 page, unsigned offset) { return get32(ram->host + page + offset); }
static bool marked(u64 page, unsigned table, unsigned vector)
{
	return reg(page, table + 16 * (vector / 32)) >> vector % 32 & 1;
}
static void mark(u64 page, unsigned table, unsigned vector)
{
	ram->host[page + table + 16 * (vector / 32) + vector % 32 / 8] |= (u8)(1 << (vector & 7));
}

/* The guest is the first of two, of which the second does not run. */
static void avic_vm(void)
{
	valid_vm();
	nested_make(7);
	set(VMCB_V_INTR, V_AVIC_ENABLE | V_INTR_MASKING);
	set(VMCB_AVIC_APIC_BAR, APIC);
	set(VMCB_AVIC_BACKING_PAGE, BACKING);
	set(VMCB_AVIC_LOGICAL_TABLE, LOGICAL);
	set(VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL | 1);
	memset(ram->host + BACKING, 0, 4 * PAGE_SIZE);
	put64(ram->host + PHYSICAL, (u64)3 << 62 | BACKING | 9 /* no such processor */);
	put64(ram->host + PHYSICAL + 8, (u64)1 << 63 | OTHER);
	put32(ram->host + LOGICAL + 4, 1u << 31 | 1);
	put32(ram->host + BACKING + DFR, 0xffffffff);
	gate(0x41);
	gate(0x35);
}

/* The guest writes V to the register at OFFSET. The exit; where the guest stands behind the write: VMMCALL. */
static u64 write_register(unsigned offset, u32 v)
{
	c->r[RBX] = APIC + offset;
	set(VMCB_RAX, v);
	return guest(store, 2);
}

/* ---- the page ---- */

enum { FAULT, TRAP, DONE };
static const struct { unsigned first, last; bool read; u8 write; } rows[] = {
	{ 0x000, 0x010, false, FAULT }, { 0x020, 0x020, true, TRAP }, { 0x030, 0x030, true, FAULT },
	{ 0x040, 0x070, false, FAULT }, { TPR, TPR, true, DONE }, { 0x090, 0x090, false, FAULT },
	{ PPR, PPR, true, FAULT }, { EOI, EOI, true, DONE }, { 0x0c0, 0x0f0, true, TRAP },
	{ ISR, 0x270, true, FAULT }, { 0x280, 0x280, true, TRAP }, { 0x290, 0x2f0, false, FAULT },
	{ ICR_HIGH, ICR_HIGH, true, DONE }, { 0x320, 0x380, true, TRAP }, { 0x390, 0x3d0, false, FAULT },
	{ 0x3e0, 0x3e0, true, TRAP }, { 0x3f0, 0x500, false, FAULT },
};

static void expect_code(u64 code, u64 expected, unsigned offset)
{
	ck_assert_msg(code == expected, "%03x: exit %llx", offset, (unsigned long long)code);
}

static void expect_exit(u64 code, unsigned offset, bool write, u64 rip)
{
	expect_code(code, SVM_EXIT_AVIC_NOACCEL, offset);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), offset | (write ? WRITE : 0));
	ck_assert_uint_eq(get(VMCB_EXITINFO2), 0);
	ck_assert_uint_eq(get(VMCB_RIP), rip);
}

static void try_register(unsigned offset, bool read, unsigned write)
{
	u32 kept = offset == PPR ? 0 : 0x12; /* VMRUN computes the PPR */
	u64 code;

	avic_vm();
	put32(ram->host + BACKING + offset, 0x12);
	put32(ram->host + APIC + offset, 0x55); /* what the nested tables map is never seen */
	c->r[RBX] = APIC + offset;
	code = guest(load, 2);
	if (read) {
		expect_code(code, SVM_EXIT_VMMCALL, offset);
		ck_assert_uint_eq(get(VMCB_RAX), kept);
	} else {
		expect_exit(code, offset, false, GUEST);
	}
	code = write_register(offset, 0x10);
	if (write == DONE)
		expect_code(code, SVM_EXIT_VMMCALL, offset);
	else
		expect_exit(code, offset, true, write == TRAP ? GUEST + 2 : GUEST);
	ck_assert_uint_eq(reg(BACKING, offset), write == FAULT ? kept : 0x10);
	ck_assert_uint_eq(reg(APIC, offset), 0x55);
}

START_TEST(registers)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		for (unsigned offset = rows[i].first; offset <= rows[i].last; offset += 16)
			try_register(offset, rows[i].read, rows[i].write);
}
END_TEST

/* The page must be mapped, accesses are of 4 bytes, and without nested paging there is no AVIC. */
START_TEST(page)
{
	avic_vm();
	put64(nested_entry(APIC), 0);
	c->r[RBX] = APIC + TPR;
	ck_assert_uint_eq(guest(load, 2), SVM_EXIT_NPF);
	put64(nested_entry(APIC), APIC | 7);
	ck_assert_uint_eq(RUN_GUEST("\x48\x8b\x03"), SVM_EXIT_AVIC_NOACCEL); /* mov rax, [rbx] */
	set(VMCB_NP_ENABLE, 0);
	put32(ram->host + APIC + TPR, 0x77);
	ck_assert_uint_eq(guest(load, 2), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RAX), 0x77);
	set(VMCB_NP_ENABLE, 1);
	set(VMCB_AVIC_BACKING_PAGE, (u64)1 << 51);
	ck_assert_uint_eq(guest(load, 2), SVM_EXIT_INVALID);
}
END_TEST

/* ---- interrupts ---- */

static void expect_interrupt(u64 code, u64 from)
{
	ck_assert_uint_eq(code, SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCB_RSP)), from);
	ck_assert(!(get(VMCB_V_INTR) & V_IRQ));
}

START_TEST(interrupts)
{
	avic_vm();
	mark(BACKING, IRR, 0x41);
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL); /* IF is clear */
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 1);
	set(VMCB_RFLAGS, 2 | FL_I);
	expect_interrupt(RUN_GUEST("\x90"), GUEST);
	ck_assert(marked(BACKING, ISR, 0x41) && !marked(BACKING, IRR, 0x41));
	ck_assert_uint_eq(reg(BACKING, PPR), 0x40);

	mark(BACKING, IRR, 0x35); /* its class is below that of the one in service */
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 1);
	mark(BACKING, TMR, 0x41); /* level-triggered: the hypervisor ends it */
	ck_assert_uint_eq(write_register(EOI, 0), SVM_EXIT_AVIC_NOACCEL);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), EOI | WRITE);
	ck_assert_uint_eq(get(VMCB_EXITINFO2), 0x41);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 2);
	ck_assert(marked(BACKING, ISR, 0x41));
	memset(ram->host + BACKING + TMR, 0, 0x80);
	set(VMCB_RFLAGS, 2 | FL_I);
	expect_interrupt(write_register(EOI, 0), GUEST + 2);
	ck_assert(marked(BACKING, ISR, 0x35) && !marked(BACKING, ISR, 0x41));
}
END_TEST

START_TEST(priority)
{
	avic_vm();
	mark(BACKING, IRR, 0x41);
	set(VMCB_RFLAGS, 2 | FL_I);
	set(VMCB_V_INTR, V_AVIC_ENABLE | V_INTR_MASKING | 5);
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 1);
	expect_interrupt(write_register(TPR, 0x3f), GUEST + 2);
	ck_assert_uint_eq(get(VMCB_V_INTR) & V_TPR, 3);
	memset(ram->host + BACKING + ISR, 0, 0x80);
	mark(BACKING, IRR, 0x41);
	c->r[RCX] = 6;
	set(VMCB_RFLAGS, 2);
	ck_assert_uint_eq(RUN_GUEST("\x44\x0f\x22\xc1"), SVM_EXIT_VMMCALL); /* mov cr8, rcx */
	ck_assert_uint_eq(reg(BACKING, TPR), 0x60);
	ck_assert_uint_eq(reg(BACKING, PPR), 0x60);
	ck_assert_uint_eq(get(VMCB_V_INTR) & V_TPR, 6);
}
END_TEST

/* ---- IPIs ---- */

/* To ICR, with DEST in its high half: the exit for AVIC_INCOMPLETE_IPI with ID and INDEX; VMMCALL for 9. */
static void ipi(u32 icr, u32 dest, unsigned id, unsigned index)
{
	u64 code;

	put32(ram->host + BACKING + ICR_HIGH, dest << 24);
	code = write_register(ICR, icr);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 2); /* a trap */
	ck_assert_uint_eq(reg(BACKING, ICR), icr);
	if (id == 9) {
		ck_assert_uint_eq(code, SVM_EXIT_VMMCALL);
		return;
	}
	ck_assert_msg(code == SVM_EXIT_AVIC_INCOMPLETE_IPI, "ICR %x: %llx", icr, (unsigned long long)code);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), (u64)dest << 56 | icr);
	ck_assert_uint_eq(get(VMCB_EXITINFO2), (u64)id << 32 | index);
}

/* That the second one has got VECTOR, and only it. */
static void expect_sent(unsigned vector)
{
	ck_assert(marked(OTHER, IRR, vector) && !marked(BACKING, IRR, vector));
	memset(ram->host + OTHER, 0, PAGE_SIZE);
}

START_TEST(ipis)
{
	u64 v;

	avic_vm();
	ck_assert(write_msr(c, 0xc001011b, 0)); /* the doorbell is write-only */
	ck_assert(!read_msr(c, 0xc001011b, &v));
	ipi(0x40041, 0, 9, 0);                 /* to itself */
	ck_assert(marked(BACKING, IRR, 0x41));
	memset(ram->host + BACKING + IRR, 0, 0x80);
	ipi(0x41, 0, 9, 0);                    /* the same, by its ID */
	ck_assert(marked(BACKING, IRR, 0x41));
	memset(ram->host + BACKING + IRR, 0, 0x80);
	ipi(0x41, 1, 1, 1);                    /* the target does not run */
	expect_sent(0x41);
	ipi(0x841, 2, 1, 1);                   /* logical, flat: bit 1 */
	expect_sent(0x41);
	put32(ram->host + BACKING + DFR, 0x0fffffff);
	put32(ram->host + LOGICAL + 4 * (4 * 3 + 2), 1u << 31 | 1);
	ipi(0x841, 0x34, 1, 1);                /* logical, cluster 3, bit 2 */
	expect_sent(0x41);
	ipi(0xc0041, 0, 1, 1);                 /* all but itself */
	expect_sent(0x41);
	ipi(0x80041, 0, 1, 1);                 /* all */
	ck_assert(marked(BACKING, IRR, 0x41) && marked(OTHER, IRR, 0x41));
	memset(ram->host + OTHER, 0, PAGE_SIZE);
	memset(ram->host + BACKING + IRR, 0, 0x80);
	ipi(0x41, 2, 2, 2);                    /* beyond the table */
	ipi(0x841, 0x11, 2, 0x11);             /* not valid in the logical table */
	put64(ram->host + PHYSICAL + 8, OTHER);
	ipi(0x41, 1, 2, 1);                    /* not valid in the physical table */
	ipi(0x400, 1, 0, 0);                   /* NMI */
	ipi(0xc041, 1, 0, 0);                  /* level-triggered */
	ipi(0x0f, 1, 4, 0);                    /* a vector that there is not */
	ck_assert_uint_eq(reg(OTHER, IRR), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("svm_avic");
	TCase *t = tcase_create("svm_avic");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, registers);
	tcase_add_test(t, page);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, priority);
	tcase_add_test(t, ipis);
	suite_add_tcase(s, t);
	return bare_run(s);
}
