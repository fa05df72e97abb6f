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

/* ---- x2AVIC (15.29.10) ---- */

enum { GP_FAULT = SVM_EXIT_EXCEPTION + VEC_GP, MSRPM = PERMISSIONS + 0x3000 };

static void x2avic_setup(void)
{
	bare_new("zen4", RAM);
	host_mode(0);
	ck_assert(write_msr(c, 0xc0010117, SAVE));
	c->apic = apic_new(c, &clk, &mem);
}

static void x2avic_vm(void)
{
	avic_vm();
	set(VMCB_V_INTR, V_AVIC_ENABLE | V_X2AVIC_ENABLE | V_INTR_MASKING);
	set(VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL | 0x1ff);
	intercept(SVM_EXIT_MSR, true); /* the map allows all */
	memset(ram->host + MSRPM, 0, 0x2000);
	intercept(GP_FAULT, true);
}

static u64 msr_access(u32 index, bool write, u64 v)
{
	c->r[RCX] = index, c->r[RDX] = v >> 32;
	set(VMCB_RAX, (u32)v);
	set(VMCB_RIP, GUEST);
	return write ? RUN_GUEST("\x0f\x30") : RUN_GUEST("\x0f\x32");
}

/* Table 15-22, as far as x2APIC mode has the registers and allows the access (16.11): others are #GP. */
static const struct { unsigned first, last; bool read, read_exits; u8 write; } x2_rows[] = {
	{ 0x00, 0x01, false, false, FAULT }, { 0x02, 0x03, true, false, FAULT }, { 0x04, 0x07, false, false, FAULT },
	{ 0x08, 0x08, true, false, DONE }, { 0x09, 0x09, false, true, FAULT }, { 0x0a, 0x0a, true, false, FAULT },
	{ 0x0b, 0x0b, false, false, DONE }, { 0x0c, 0x0c, false, false, FAULT }, { 0x0d, 0x0d, true, false, FAULT },
	{ 0x0e, 0x0e, false, false, FAULT }, { 0x0f, 0x0f, true, false, TRAP }, { 0x10, 0x27, true, false, FAULT },
	{ 0x28, 0x28, true, false, TRAP }, { 0x29, 0x2f, false, false, FAULT }, { 0x31, 0x31, false, false, FAULT },
	{ 0x32, 0x38, true, false, TRAP }, { 0x39, 0x39, false, true, FAULT }, { 0x3a, 0x3d, false, false, FAULT },
	{ 0x3e, 0x3e, true, false, TRAP }, { 0x40, 0xff, false, false, FAULT },
};

START_TEST(x2_registers)
{
	x2avic_vm();
	for (unsigned i = 0; i < ARRAY_LEN(x2_rows); i++)
		for (unsigned n = x2_rows[i].first; n <= x2_rows[i].last; n++) {
			u64 v = n == 0x0b || n == 0x28 ? 0 : 0x10, code;

			memset(ram->host + BACKING, 0, PAGE_SIZE);
			if (n < 0x40 && n != 0x0a)
				put32(ram->host + BACKING + 16 * n, n == 8 ? 0x50 : 0x12);
			set(VMCB_V_INTR, V_AVIC_ENABLE | V_X2AVIC_ENABLE | V_INTR_MASKING | (n == 8 ? 5 : 0));
			code = msr_access(0x800 + n, false, 0);
			expect_code(code, x2_rows[i].read ? SVM_EXIT_VMMCALL : x2_rows[i].read_exits ? SVM_EXIT_AVIC_NOACCEL
					      : GP_FAULT, n);
			if (x2_rows[i].read)
				ck_assert_uint_eq(get(VMCB_RAX), n == 0x0a ? 0 : n == 8 ? 0x50 : 0x12);
			if (x2_rows[i].read_exits)
				ck_assert(get(VMCB_EXITINFO1) == 16 * n && get(VMCB_RIP) == GUEST);
			code = msr_access(0x800 + n, true, v);
			expect_code(code, x2_rows[i].write == DONE   ? SVM_EXIT_VMMCALL
					  : x2_rows[i].write == TRAP ? SVM_EXIT_AVIC_NOACCEL : GP_FAULT, n);
			if (x2_rows[i].write == TRAP) {
				ck_assert_uint_eq(get(VMCB_EXITINFO1), (16 * n) | WRITE);
				ck_assert_uint_eq(get(VMCB_RIP), GUEST + 2);
			}
			if (x2_rows[i].write != FAULT)
				ck_assert_uint_eq(reg(BACKING, 16 * n), v);
			code = msr_access(0x800 + n, true, (u64)1 << 32 | v); /* reserved bits */
			expect_code(code, GP_FAULT, n);
		}
	ram->host[MSRPM + 2 * 0x808 / 8] = 3; /* the map comes first */
	ck_assert_uint_eq(msr_access(0x808, false, 0), SVM_EXIT_MSR);
	put32(ram->host + APIC + TPR, 0x77); /* the page is not virtualised */
	c->r[RBX] = APIC + TPR;
	set(VMCB_RIP, GUEST);
	ck_assert_uint_eq(guest(load, 2), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RAX), 0x77);
}
END_TEST

/* ICR with a destination of 32 bits: the exit for AVIC_INCOMPLETE_IPI with ID and INDEX; VMMCALL for 9. */
static void x2_ipi(u64 icr, unsigned id, unsigned index)
{
	u64 code = msr_access(0x830, true, icr);

	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 2);
	ck_assert_uint_eq(reg(BACKING, ICR), (u32)icr);
	ck_assert_uint_eq(reg(BACKING, ICR_HIGH), icr >> 32);
	if (id == 9) {
		ck_assert_uint_eq(code, SVM_EXIT_VMMCALL);
		return;
	}
	ck_assert_msg(code == SVM_EXIT_AVIC_INCOMPLETE_IPI, "ICR %llx: %llx", (unsigned long long)icr,
		      (unsigned long long)code);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), icr);
	ck_assert_uint_eq(get(VMCB_EXITINFO2), (u64)id << 32 | index);
}

START_TEST(x2_ipis)
{
	x2avic_vm();
	put64(ram->host + PHYSICAL + 8 * 0x123, (u64)1 << 63 | OTHER);
	x2_ipi((u64)0x123 << 32 | 0x41, 1, 0x123);     /* an APIC ID of more than 8 bits */
	expect_sent(0x41);
	x2_ipi((u64)0x120008 << 32 | 0x841, 1, 0x123); /* logical: cluster 12h, bit 3. No table says so. */
	expect_sent(0x41);
	x2_ipi((u64)0x120010 << 32 | 0x841, 2, 0x124);
	x2_ipi((u64)0x124 << 32 | 0x41, 2, 0x124);
	x2_ipi((u64)0x200 << 32 | 0x41, 2, 0x200);     /* beyond the table */
	put64(ram->host + PHYSICAL + 8, 0);
	x2_ipi((u64)0xffffffff << 32 | 0x41, 1, 0x123); /* to all */
	ck_assert(marked(BACKING, IRR, 0x41) && marked(OTHER, IRR, 0x41));
	memset(ram->host + OTHER, 0, PAGE_SIZE);
	memset(ram->host + BACKING + IRR, 0, 0x80);
	x2_ipi((u64)0xff << 32 | 0x41, 2, 0xff);       /* which FFh is not */
	x2_ipi(0xc0041, 1, 0x123);                     /* all but itself */
	expect_sent(0x41);
	x2_ipi(0x40041, 9, 0);
	ck_assert(marked(BACKING, IRR, 0x41));
	memset(ram->host + BACKING + IRR, 0, 0x80);
	x2_ipi((u64)0x123 << 32 | 0x441, 0, 0);        /* NMI */
	x2_ipi((u64)0x123 << 32 | 0x0f, 4, 0);
	ck_assert_uint_eq(msr_access(0x83f, true, 0x41), SVM_EXIT_VMMCALL); /* SELF IPI */
	ck_assert(marked(BACKING, IRR, 0x41));
}
END_TEST

START_TEST(x2_checks)
{
	struct vm_check failed;
	u32 leaf[4];

	cpuid(c, 0x8000000a, 0, leaf);
	ck_assert_uint_eq(leaf[3] >> 18 & 1, 1);
	x2avic_vm();
	c->r[RAX] = VM;
	ck_assert(svm_entry_check(c, &failed));
	set(VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL | 0x200);
	ck_assert(!svm_entry_check(c, &failed) && failed.field == (SVM_NUMBER | 0xf8));
	set(VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL | 0x100);
	ck_assert(svm_entry_check(c, &failed));
	set(VMCB_V_INTR, V_AVIC_ENABLE);
	ck_assert(!svm_entry_check(c, &failed) && failed.field == (SVM_NUMBER | 0xf8));
	set(VMCB_AVIC_PHYSICAL_TABLE, PHYSICAL | 0xff);
	ck_assert(svm_entry_check(c, &failed));
	set(VMCB_V_INTR, V_X2AVIC_ENABLE);
	ck_assert(!svm_entry_check(c, &failed) && failed.field == (SVM_NUMBER | 0x60));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("svm_avic");
	TCase *t = tcase_create("svm_avic"), *x2 = tcase_create("x2AVIC");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, registers);
	tcase_add_test(t, page);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, priority);
	tcase_add_test(t, ipis);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(x2, x2avic_setup, bare_free);
	tcase_add_test(x2, x2_registers);
	tcase_add_test(x2, x2_ipis);
	tcase_add_test(x2, x2_checks);
	suite_add_tcase(s, x2);
	return bare_run(s);
}
