/* SPDX-License-Identifier: MIT */
/* Controls of VMX that processors got after the models of 2020, against the SDM's vol. 3: user wait and pause, MSR lists,
 * URDMSR (25.1.3, 25.3, 27.2.1, 27.2.5), IPI virtualisation (29.1.6, 29.4.3, 29.5), their capability MSRs (appendix A.3)
 * and the checks of VM entries (26.2.1.1). */
#include "vmx_guest.h"
#include "cpu/system/apic.h"

enum { VAPIC = 0x50000, PAGE = 0x60000, PIDS = 0x70000, DESCRIPTOR = 0x71000, LIST = 0x72000, VALUES = 0x73000 };
enum { PROC = 0x04006172 }; /* what must be 1 */

static void later_setup(void)
{
	bare_new("max,+vmx,+waitpkg,+msrlist,+usermsr,+wrmsrns", RAM);
	c->feature_control = 5;
	put32(ram->host + ON, VMCS_REVISION);
	put32(ram->host + VM, VMCS_REVISION);
	host_mode(0);
}

static void tertiary(u64 bits)
{
	set(VMCS_PROC_CONTROLS, get(VMCS_PROC_CONTROLS) | PROC_TERTIARY);
	set(VMCS_TERTIARY_CONTROLS, bits);
}

/* What MSR INDEX says; -1: it is not there. */
static u64 msr(u32 index)
{
	u64 v = 0;

	return read_msr(c, index, &v) ? v : ~(u64)0;
}

/* Each control is there with its feature, and without it neither it nor its fields are. */
START_TEST(capabilities)
{
	static const struct { const char *cpu; u32 secondary; u64 tertiary; u32 highest; } rows[] = {
		{ "icelake-server", 0, 0, 0x32 }, { "sapphire-rapids", 0, 1 << 4, 0x42 }, { "max", 0, 1 << 4, 0x42 },
		{ "max,-vmx-ipi-virtualization", 0, 0, 0x32 }, { "haswell,+waitpkg", 1 << 26, 0, 0x2e },
		{ "haswell,+msrlist", 0, 1 << 6, 0x34 }, { "max,+waitpkg,+msrlist", 1 << 26, 0x50, 0x42 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u64 all = rows[i].tertiary;

		bare_free();
		bare_new(rows[i].cpu, RAM);
		c->feature_control = 5;
		put32(ram->host + ON, VMCS_REVISION);
		put32(ram->host + VM, VMCS_REVISION);
		host_mode(0);
		ck_assert_uint_eq(msr(0x48b) >> 32 & (1 << 26), rows[i].secondary);
		ck_assert_uint_eq(msr(0x492), all ? all : ~(u64)0);
		ck_assert_uint_eq(msr(0x482) >> (32 + 17) & 1, all != 0);
		ck_assert_uint_eq(msr(0x48e) >> (32 + 17) & 1, all != 0);
		on();
		for (unsigned k = 0; k < 4; k++) {
			static const u32 fields[] = { 0x2034, 0x2042, 0x0008, 0x2402 };
			static const u32 need[] = { ~0u, 1 << 4, 1 << 4, 1 << 6 };

			c->r[RBX] = fields[k];
			ck_assert_int_eq(STEP(VMREAD), -1);
			ck_assert_msg(!flags() == !!(all & need[k]), "%s: %x", rows[i].cpu, fields[k]);
		}
		ck_assert_uint_eq(msr(0x48a) & 0x3fe, rows[i].highest);
	}
}
END_TEST

START_TEST(user_wait)
{
	static const struct { const char *code; u32 reason, info; } rows[] = {
		{ "\x66\x0f\xae\xf3", 68, RBX << 3 },         /* tpause ebx */
		{ "\xf2\x41\x0f\xae\xf1", 67, 9 << 3 },       /* umwait r9d */
		{ "\xf3\x0f\xae\xf3", 18, 0 },                /* umonitor rbx */
	};

	valid_vm();
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_UD);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned len = (unsigned)strlen(rows[i].code);

		c->r[RBX] = c->r[9] = 0;
		set(VMCS_GUEST_RIP, GUEST);
		set(VMCS_PROC_CONTROLS, PROC | PROC_SECONDARY | PROC_RDTSC);
		set(VMCS_SECONDARY_CONTROLS, 0);
		ck_assert_uint_eq(guest(rows[i].code, len), 0);
		ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), 0x80000306);
		set(VMCS_SECONDARY_CONTROLS, SEC_USER_WAIT);
		ck_assert_uint_eq(guest(rows[i].code, len), rows[i].reason);
		if (rows[i].reason != 18) {
			ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_INFO) & 0x78, rows[i].info);
			ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0);
			ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), len);
			ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
		}
		set(VMCS_PROC_CONTROLS, PROC | PROC_SECONDARY);
		set(VMCS_GUEST_RIP, GUEST);
		ck_assert_uint_eq(guest(rows[i].code, len), 18);
		ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + len);
	}
}
END_TEST

#define RDMSRLIST "\xf2\x0f\x01\xc6"
#define WRMSRLIST "\xf3\x0f\x01\xc6"
START_TEST(msr_lists)
{
	valid_vm();
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_UD);
	set(VMCS_MSR_BITMAP, BITMAPS);
	put64(ram->host + LIST, 0x277);               /* IA32_PAT */
	put64(ram->host + LIST + 8, 0x174);           /* IA32_SYSENTER_CS */
	put64(ram->host + LIST + 16, 0x4000);         /* no bitmap has a bit for it */
	put64(ram->host + VALUES + 8, 0x1234);
	for (unsigned write = 0; write < 2; write++) {
		const char *code = write ? WRMSRLIST : RDMSRLIST;
		u32 reason = write ? 79 : 78;

		memset(ram->host + BITMAPS, 0, PAGE_SIZE);
		c->r[RSI] = LIST, c->r[RDI] = VALUES, c->r[RCX] = 2;
		set(VMCS_GUEST_RIP, GUEST);
		set(VMCS_PROC_CONTROLS, PROC);
		ck_assert_uint_eq(guest(code, 4), 0); /* #UD */
		tertiary(TERTIARY_MSR_LIST);
		ck_assert_uint_eq(guest(code, 4), reason);
		ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0);
		ck_assert_uint_eq(c->r[RCX], 2);
		set(VMCS_PROC_CONTROLS, PROC | PROC_TERTIARY | PROC_MSR_BITMAPS);
		set(VMCS_GUEST_SYSENTER_CS, 0x55);
		ck_assert_uint_eq(guest(code, 4), 18);
		ck_assert_uint_eq(c->r[RCX], 0);
		ck_assert_uint_eq(get(VMCS_GUEST_SYSENTER_CS), write ? 0x1234 : 0x55);
		ck_assert_uint_eq(get64(ram->host + VALUES + 8), write ? 0x1234 : 0x55);
		put64(ram->host + VALUES + 8, 0x1234);
		ram->host[BITMAPS + (write ? 2048 : 0) + 0x174 / 8] = 1 << (0x174 & 7);
		put64(ram->host + VALUES, 0x0007040600070406);
		set(VMCS_GUEST_RIP, GUEST);
		c->r[RCX] = 3; /* the first is done */
		ck_assert_uint_eq(guest(code, 4), reason);
		ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x174);
		ck_assert_uint_eq(c->r[RCX], 2);
		ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), 4);
		if (write)
			ck_assert_uint_eq(get(VMCS_MSR_DATA), 0x1234);
		c->r[RCX] = 4;
		ck_assert_uint_eq(guest(code, 4), reason);
		ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x4000);
	}
}
END_TEST

/* The bitmaps of VMX come behind that of IA32_USER_MSR_CTL. WRMSRNS has qualification 1. */
START_TEST(user_msrs)
{
	valid_vm();
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_GP);
	set(VMCS_MSR_BITMAP, BITMAPS);
	c->user_msr_ctl = LIST | 1;
	memset(ram->host + LIST, 0xff, PAGE_SIZE);
	ram->host[LIST + 0x40 / 8] = 0xfe;
	c->r[RCX] = 0x40;
	ck_assert_uint_eq(RUN_GUEST("\xf2\x0f\x38\xf8\xca"), 0); /* urdmsr rdx, rcx */
	c->r[RCX] = 0x277;
	ck_assert_uint_eq(RUN_GUEST("\xf2\x0f\x38\xf8\xca"), 80);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x277);
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_INFO), RDX << 3);
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), 5);
	ck_assert_uint_eq(RUN_GUEST("\xf3\x0f\x38\xf8\xca"), 81); /* uwrmsr rcx, rdx */
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_INFO), RDX << 3);
	set(VMCS_PROC_CONTROLS, PROC | PROC_MSR_BITMAPS);
	ck_assert_uint_eq(RUN_GUEST("\xf2\x0f\x38\xf8\xca"), 18);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RCX] = 0x2345; /* beyond the bitmaps */
	ck_assert_uint_eq(RUN_GUEST("\xf2\x0f\x38\xf8\xca"), 80);
	set(VMCS_PROC_CONTROLS, PROC);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x30"), 32);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x01\xc6"), 32);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 1);
}
END_TEST

/* ---- IPI virtualisation ---- */

static void ipi_vm(u32 secondary)
{
	valid_vm();
	set(VMCS_PROC_CONTROLS, PROC | PROC_SECONDARY | PROC_TPR_SHADOW | PROC_MSR_BITMAPS);
	set(VMCS_MSR_BITMAP, BITMAPS);
	set(VMCS_SECONDARY_CONTROLS, secondary);
	set(VMCS_VIRTUAL_APIC, VAPIC);
	set(VMCS_APIC_ACCESS, PAGE);
	tertiary(TERTIARY_IPI);
	set(VMCS_PID_TABLE, PIDS);
	set(VMCS_LAST_PID_INDEX, 2);
	memset(ram->host + VAPIC, 0, PAGE_SIZE);
	memset(ram->host + DESCRIPTOR, 0, 64);
	put64(ram->host + PIDS, 0);
	put64(ram->host + PIDS + 8, DESCRIPTOR | 1);
	put64(ram->host + PIDS + 16, DESCRIPTOR | 3); /* bits 5-1 are reserved */
	put64(ram->host + PIDS + 24, DESCRIPTOR | 1); /* behind the last */
}

static const struct { u64 icr; u32 reason; } ipis[] = {
	{ (u64)1 << 32 | 0x51, 18 }, { (u64)1 << 32 | 0x4051, 18 /* level asserted */ },
	{ 0x51, 56 /* not valid */ }, { (u64)2 << 32 | 0x51, 56 }, { (u64)3 << 32 | 0x51, 56 },
	{ (u64)1 << 32 | 0x0f, 56 }, { (u64)1 << 32 | 0x10, 18 }, { (u64)1 << 32 | 0x151, 56 /* lowest priority */ },
	{ (u64)1 << 32 | 0x851, 56 /* logical */ }, { (u64)1 << 32 | 0x8051, 56 /* level-triggered */ },
	{ (u64)1 << 32 | 0x40051, 56 /* self */ }, { (u64)1 << 32 | 0x80051, 56 },
	{ (u64)1 << 32 | 0x1051, 56 },
};

START_TEST(ipi_msr)
{
	c->apic = apic_new(c, &clk, &mem);
	for (unsigned i = 0; i < ARRAY_LEN(ipis); i++) {
		unsigned vector = ipis[i].icr & 0xff;

		ipi_vm(SEC_X2APIC);
		c->r[RCX] = 0x830, c->r[RAX] = (u32)ipis[i].icr, c->r[RDX] = ipis[i].icr >> 32;
		ck_assert_msg(RUN_GUEST("\x0f\x30") == ipis[i].reason, "row %u: %u", i, (u32)get(VMCS_EXIT_REASON));
		ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 2);
		ck_assert_uint_eq(get64(ram->host + VAPIC + 0x300), ipis[i].icr);
		ck_assert_uint_eq(ram->host[DESCRIPTOR + vector / 8] >> vector % 8 & 1, ipis[i].reason == 18);
		ck_assert_uint_eq(ram->host[DESCRIPTOR + 32], ipis[i].reason == 18);
		if (ipis[i].reason == 56)
			ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x300);
		POINTED(VMCLEAR, VM);
		POINTED(VMXON, ON);
		ck_assert_int_eq(STEP(VMXOFF), -1);
	}
	ipi_vm(SEC_X2APIC);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_GP);
	c->r[RDX] = 1;
	for (unsigned bit = 0; bit < 32; bit++) {
		c->r[RAX] = 0x51 | 1u << bit;
		set(VMCS_GUEST_RIP, GUEST);
		ck_assert_msg((RUN_GUEST("\x0f\x30") == 0) == (0xfff32000 >> bit & 1), "bit %u", bit);
	}
}
END_TEST

/* By the APIC-access page: the APIC ID has 8 bits. */
START_TEST(ipi_page)
{
	for (unsigned i = 0; i < ARRAY_LEN(ipis); i++) {
		ipi_vm(SEC_APIC_ACCESS);
		put32(ram->host + VAPIC + 0x310, (u32)(ipis[i].icr >> 32) << 24);
		c->r[RBX] = PAGE + 0x300, c->r[RAX] = (u32)ipis[i].icr;
		ck_assert_msg(RUN_GUEST("\x89\x03") == ipis[i].reason, "row %u", i);
		ck_assert_uint_eq(get32(ram->host + DESCRIPTOR + 32), ipis[i].reason == 18);
		POINTED(VMCLEAR, VM);
		POINTED(VMXON, ON);
		ck_assert_int_eq(STEP(VMXOFF), -1);
	}
}
END_TEST

/* The notification: none while one is outstanding or suppressed. It goes to the processor of the host's APIC ID. */
START_TEST(notification)
{
	for (unsigned bits = 0; bits < 4; bits++) {
		c->apic = c->apic ? c->apic : apic_new(c, &clk, &mem);
		c->apic->svr = 0x1ff;
		c->apic_base = 0xfee00800;
		memset(c->apic->irr, 0, sizeof c->apic->irr);
		ipi_vm(SEC_X2APIC);
		put64(ram->host + DESCRIPTOR + 32, bits | 0xf2 << 16 | (u64)c->apic->id << 40);
		c->r[RCX] = 0x830, c->r[RAX] = 0x51, c->r[RDX] = 1;
		ck_assert_uint_eq(RUN_GUEST("\x0f\x30"), 18);
		ck_assert_uint_eq(c->apic->irr[0xf2 / 32] >> 0xf2 % 32 & 1, !bits);
		ck_assert_uint_eq(ram->host[DESCRIPTOR + 32], bits ? bits : 1);
		ck_assert_uint_eq(ram->host[DESCRIPTOR + 0x51 / 8], 1 << (0x51 & 7));
		POINTED(VMCLEAR, VM);
		POINTED(VMXON, ON);
		ck_assert_int_eq(STEP(VMXOFF), -1);
	}
}
END_TEST

START_TEST(checks)
{
	static const struct { enum vmcs_field field; u64 value; } rows[] = {
		{ VMCS_TERTIARY_CONTROLS, TERTIARY_IPI | 1 }, { VMCS_TERTIARY_CONTROLS, TERTIARY_IPI | (u64)1 << 32 },
		{ VMCS_PID_TABLE, PIDS + 4 }, { VMCS_PID_TABLE, (u64)1 << 52 },
	};
	struct vm_check failed;

	ipi_vm(SEC_X2APIC);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u64 good = get(rows[i].field);

		ck_assert_msg(vmx_entry_check(c, &failed), "%x %s", failed.field, failed.rule);
		set(rows[i].field, rows[i].value);
		ck_assert_msg(!vmx_entry_check(c, &failed) && failed.field == rows[i].field, "row %u", i);
		set(rows[i].field, good);
	}
	set(VMCS_PID_TABLE, ((u64)1 << c->model->physical_bits) - 16);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_LAST_PID_INDEX);
	set(VMCS_LAST_PID_INDEX, 1);
	ck_assert(vmx_entry_check(c, &failed));
	set(VMCS_PROC_CONTROLS, get(VMCS_PROC_CONTROLS) & ~(u64)PROC_TPR_SHADOW);
	set(VMCS_SECONDARY_CONTROLS, 0);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_TERTIARY_CONTROLS);
	set(VMCS_PROC_CONTROLS, get(VMCS_PROC_CONTROLS) & ~(u64)PROC_TERTIARY); /* then the field does not count */
	ck_assert(vmx_entry_check(c, &failed));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmx_controls");
	TCase *t = tcase_create("controls");

	tcase_add_checked_fixture(t, later_setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, capabilities);
	tcase_add_test(t, user_wait);
	tcase_add_test(t, msr_lists);
	tcase_add_test(t, user_msrs);
	tcase_add_test(t, ipi_msr);
	tcase_add_test(t, ipi_page);
	tcase_add_test(t, notification);
	tcase_add_test(t, checks);
	suite_add_tcase(s, t);
	return bare_run(s);
}
