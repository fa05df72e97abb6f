/* SPDX-License-Identifier: MIT */
/* Controls of VMX that processors got after the models of 2020, against the SDM's vol. 3: user wait and pause, MSR lists,
 * URDMSR (25.1.3, 25.3, 27.2.1, 27.2.5), IPI virtualisation (29.1.6, 29.4.3, 29.5), bus locks and the instruction
 * timeout (25.2), R16 to R31 (APX's specification), FRED (24.7, 24.8.3, 26.6, 27.2), their capability MSRs (appendix A)
 * and the checks of VM entries (26.2.1, 26.2.2, 26.3.1). */
#include "cpu/system/apic.h"
#include "cpu/system/system.h"
#include "vmx_guest.h" /* behind those: it has names that they use for parameters */

enum { VAPIC = 0x50000, PAGE = 0x60000, PIDS = 0x70000, DESCRIPTOR = 0x71000, LIST = 0x72000, VALUES = 0x73000 };
enum { PROC = 0x04006172 }; /* what must be 1 */

static void later_setup(void) { setup_model("max,+vmx,+waitpkg,+msrlist,+usermsr,+wrmsrns,+bus-lock-detect,+enqcmd"); }

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
		setup_model(rows[i].cpu);
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

/* ENQCMD and ENQCMDS with PASID translation (25.5.9): directory, table; reserved bits; which of the directories. */
START_TEST(pasids)
{
	enum { LOW = 0x74000, HIGH = 0x75000, TABLE = 0x76000 };
	static const struct { u32 pasid; u64 directory; u32 entry; bool exits; } rows[] = {
		{ 0x12345, TABLE | 1, 0x80000777, false }, { 0x92345, TABLE | 1, 0x80000777, false },
		{ 0x12345, TABLE, 0x80000777, true }, { 0x12345, TABLE | 3, 0x80000777, true },
		{ 0x12345, TABLE | 0x801, 0x80000777, true }, { 0x12345, (u64)1 << 52 | TABLE | 1, 0x80000777, true },
		{ 0x12345, TABLE | 1, 0x777, true }, { 0x12345, TABLE | 1, 0x80100777, true },
		{ 0x12345, TABLE | 1, 0xc0000777, true }, { 0xfffff, TABLE | 1, 0x800fffff, false },
	};
	struct vm_check failed;

	valid_vm();
	set(VMCS_SECONDARY_CONTROLS, SEC_PASID);
	set(VMCS_LOW_PASID_DIRECTORY, LOW);
	set(VMCS_HIGH_PASID_DIRECTORY, HIGH);
	for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		u32 pasid = rows[i / 2].pasid;
		bool system = i & 1;
		u32 reason;

		memset(ram->host + LOW, 0, 3 * PAGE_SIZE);
		put64(ram->host + (pasid >> 19 ? HIGH : LOW) + 8 * (pasid >> 10 & 0x1ff), rows[i / 2].directory);
		put32(ram->host + TABLE + 4 * (pasid & 0x3ff), rows[i / 2].entry);
		memset(ram->host + DESCRIPTOR, 0, 64);
		put32(ram->host + DESCRIPTOR, system ? 1u << 31 | pasid : 0);
		c->pasid = 1u << 31 | pasid;
		c->r[RAX] = LIST, c->r[RBX] = DESCRIPTOR;
		set(VMCS_GUEST_RIP, GUEST);
		reason = system ? RUN_GUEST("\xf3\x0f\x38\xf8\x03") : RUN_GUEST("\xf2\x0f\x38\xf8\x03");
		ck_assert_msg(reason == (!rows[i / 2].exits ? 18u : system ? 73 : 72), "row %u: %u", i, reason);
		if (rows[i / 2].exits)
			ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), system ? 1u << 31 | pasid : pasid);
	}
	set(VMCS_HIGH_PASID_DIRECTORY, HIGH + 8);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_HIGH_PASID_DIRECTORY);
	set(VMCS_SECONDARY_CONTROLS, 0);
	ck_assert(vmx_entry_check(c, &failed));
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

/* ---- bus locks ---- */

enum { DATA = 0x40000 };
static const struct { const char *code; unsigned offset; bool split; u64 rcx; } lockers[] = {
	{ "\xf0\x01\x03", 0x3d, true, 0 }, { "\xf0\x01\x03", 0x3c, false, 0 }, /* lock add [rbx], eax */
	{ "\x01\x03", 0x3d, false, 0 },                                       /* without LOCK */
	{ "\x87\x03", 0x3f, true, 0 }, { "\x86\x03", 0x3f, false, 0 },        /* xchg [rbx], eax; al */
	{ "\xf0\x48\x0f\xc1\x03", 0x39, true, 0 },                            /* lock xadd [rbx], rax */
	{ "\xf0\x48\x0f\xc1\x03", 0x38, false, 0 },
	{ "\xf0\x0f\xc7\x0b", 0x3c, true, 0 }, { "\xf0\x0f\xc7\x0b", 0x38, false, 0 }, /* lock cmpxchg8b [rbx] */
	{ "\xf0\x0f\xab\x0b", 2, true, 0x3c * 8 },                            /* lock bts [rbx], ecx */
	{ "\xf0\x0f\xab\x0b", 2, false, 0x38 * 8 }, { "\xf0\x0f\xab\x0b", 0x42, true, (u32)-32 },
	{ "\xf0\x0f\xba\x2b\x02", 0x3e, true, 0 },                            /* lock bts dword [rbx], 2 */
	{ "\xf0\x66\xff\x03", 0x3f, true, 0 }, { "\xf0\xfe\x03", 0x3f, false, 0 }, /* lock inc word, byte */
};

/* Reason 74, behind the instruction; bit 26 of the reason. */
START_TEST(bus_lock)
{
	ck_assert_uint_eq(msr(0x48b) >> (32 + 30) & 1, 1);
	valid_vm();
	for (unsigned with = 0; with < 2; with++)
		for (unsigned i = 0; i < ARRAY_LEN(lockers); i++) {
			unsigned len = (unsigned)strlen(lockers[i].code);
			bool exits = with && lockers[i].split;
			u8 before[128];
			u32 reason;

			set(VMCS_SECONDARY_CONTROLS, with ? SEC_BUS_LOCK : 0);
			set(VMCS_GUEST_RIP, GUEST);
			memset(ram->host + DATA, 0x5a, sizeof before);
			memcpy(before, ram->host + DATA, sizeof before);
			c->r[RBX] = DATA + lockers[i].offset, c->r[RAX] = 0x11223344, c->r[RCX] = lockers[i].rcx;
			if (lockers[i].code[2] == '\xc7')
				c->r[RAX] = c->r[RDX] = 0x5a5a5a5a;
			reason = guest(lockers[i].code, len);
			ck_assert_msg(reason == (exits ? (74 | 1u << 26) : 18), "row %u: %x", i, reason);
			ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + len);
			ck_assert(memcmp(before, ram->host + DATA, sizeof before));
			if (exits)
				ck_assert_uint_eq(c->vmx->cause.bit, SEC_BUS_LOCK);
		}
	/* one that faults has locked nothing */
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_PF);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RBX] = 0x8000003f;
	ck_assert_uint_eq(RUN_GUEST("\xf0\x01\x03"), 0);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
	c->r[RBX] = DATA;
	ck_assert_uint_eq(RUN_GUEST("\xf0\x01\x03"), 18);
}
END_TEST

/* The trap for programs: IA32_DEBUGCTL, bit 2, and DR6, bit 11, which is 0 for it (17.3.1.6). */
START_TEST(bus_lock_trap)
{
	for (unsigned cpl = 0; cpl <= 3; cpl += 3)
		for (unsigned i = 0; i < ARRAY_LEN(lockers); i++) {
			unsigned len = (unsigned)strlen(lockers[i].code);
			bool traps = cpl && lockers[i].split;

			host_mode(cpl);
			memset(ram->host + HOST + 0x100, 0x90, 16);
			ck_assert(write_msr(c, 0x1d9, 4));
			c->dr[6] = 0xffff0ff0;
			c->r[RBX] = DATA + lockers[i].offset, c->r[RCX] = lockers[i].rcx;
			ck_assert_msg(step(lockers[i].code, len) == -1, "row %u", i);
			ck_assert_uint_eq(c->r[RIP], HOST + len);
			ck_assert_msg(!c->db_pending == !traps, "row %u", i);
			if (!traps)
				continue;
			put64(ram->host + GDT + 0x10, (u64)0xaf9b << 40 | 0xffff);
			put64(ram->host + IDT + 16 * VEC_DB, (u64)0x8e00 << 32 | 0x10 << 16 | (HOST + 0x100));
			put64(ram->host + c->seg[TR].base + 4, STACK);
			c->idtr.limit = 0xfff;
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
			ck_assert_uint_eq(c->r[RIP], HOST + 0x101);
			ck_assert_uint_eq(get64(ram->host + c->r[RSP]), HOST + len);
			ck_assert_uint_eq(c->dr[6], 0xffff07f0);
		}
	bare_free();
	bare_new("max", RAM);
	ck_assert(!write_msr(c, 0x1d9, 4));
}
END_TEST

/* ---- the instruction timeout ---- */

/* A #DB whose delivery meets the data breakpoint that it is for, and so on. The guest gets to no instruction. */
START_TEST(timeout)
{
	ck_assert_uint_eq(msr(0x48b) >> (32 + 31) & 1, 1);
	for (u32 cycles = 0; cycles < 20; cycles += 10) {
		u64 before;

		valid_vm();
		gate(VEC_DB);
		ram->host[IDT + 16 * VEC_DB + 4] = 1; /* IST */
		set(VMCS_GUEST_TR_BASE, 0x3000);
		put64(ram->host + 0x3000 + 0x24, 0x6800);
		set(VMCS_ENTRY_CONTROLS, get(VMCS_ENTRY_CONTROLS) | ENTRY_LOAD_DEBUG);
		set(VMCS_GUEST_DR7, 0x400 | 2 | 1 << 16 | 2 << 18); /* G0, writes, 8 bytes */
		c->dr[0] = 0x67f0;
		set(VMCS_SECONDARY_CONTROLS, SEC_TIMEOUT);
		set(VMCS_INSTRUCTION_TIMEOUT, cycles);
		set(VMCS_GUEST_RIP, GUEST);
		c->r[RBX] = 0x67f0;
		before = c->clock->now;
		memcpy(ram->host + GUEST, "\x89\x03", 2);
		cpu_code_written(c, GUEST, 2);
		ck_assert_int_eq(STEP(VMLAUNCH), -1);
		for (unsigned i = 0; i < 4000 && vmx_guest(c); i++)
			cpu_run(c, c->icount + 1, c->clock->now + 10);
		ck_assert_uint_eq((u32)get(VMCS_EXIT_REASON), 75);
		ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION) & 1, 0); /* the guest may go on */
		ck_assert_uint_eq(c->vmx->cause.bit, SEC_TIMEOUT);
		ck_assert_uint_ge(c->clock->now - before, 40 * cycles);
		ck_assert_uint_le(c->clock->now - before, 40 * cycles + 100);
		POINTED(VMCLEAR, VM);
		POINTED(VMXON, ON);
		ck_assert_int_eq(STEP(VMXOFF), -1);
	}
}
END_TEST

/* ---- R16 to R31 ---- */

static void features_setup(void)
{
	setup_model("max,+vmx,+apx,+fred,+lkgs");
	c->xcr0 |= 0x80007;
	cpu_loaded(c);
}

START_TEST(extended_information)
{
	static const struct { const char *code; unsigned len; u32 proc, secondary, info; u64 extended, qualification; } rows[] = {
#define X(code, ...) { code, sizeof code - 1, __VA_ARGS__ }
		/* sgdt [r17 + 4 r18 + 10h] */
		X("\xd5\xb0\x01\x44\x91\x10", 0, SEC_TABLES, 2 | 2 << 7 | 1 << 11 | 3 << 15 | 2 << 18 | 1 << 23,
		  2 | 2 << 2 | 1 << 5 | 3 << 7 | (u64)18 << 24 | (u64)17 << 32, 0x10),
		/* sgdt [rcx + 4 rdx + 10h] */
		X("\x0f\x01\x44\x91\x10", 0, SEC_TABLES, 2 | 2 << 7 | 1 << 11 | 3 << 15 | 2 << 18 | 1 << 23,
		  2 | 2 << 2 | 1 << 5 | 3 << 7 | (u64)2 << 24 | (u64)1 << 32, 0x10),
		/* rdrand r26d */
		X("\xd5\x91\xc7\xf2", 0, SEC_RDRAND, 10 << 3 | 1 << 11, 26 << 16 | 1 << 5, 0),
		/* mov cr3, r20 */
		X("\xd5\x90\x22\xdc", PROC_CR3_LOAD, 0, 0, 0, 3 | 20 << 8),
#undef X
	};

	valid_vm();
	set(VMCS_MSR_BITMAP, BITMAPS);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		set(VMCS_GUEST_RIP, GUEST);
		set(VMCS_PROC_CONTROLS, PROC | PROC_SECONDARY | rows[i].proc);
		set(VMCS_SECONDARY_CONTROLS, rows[i].secondary);
		ck_assert_msg(guest(rows[i].code, rows[i].len) != 18, "row %u", i);
		ck_assert_msg(get(VMCS_EXIT_INSTRUCTION_INFO) == rows[i].info, "row %u: %llx", i,
			      (unsigned long long)get(VMCS_EXIT_INSTRUCTION_INFO));
		c->r[RBX] = 0x2406;
		ck_assert_int_eq(STEP(VMREAD), -1);
		ck_assert_msg(c->r[RAX] == rows[i].extended, "row %u: %llx", i, (unsigned long long)c->r[RAX]);
		ck_assert_msg(get(VMCS_EXIT_QUALIFICATION) == rows[i].qualification, "row %u", i);
	}
}
END_TEST

/* ---- FRED ---- */

enum { ENTRY_PAGE = 0xa000 };

static void fred_vm(void)
{
	valid_vm();
	set(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | EXIT_SECONDARY);
	set(VMCS_SECONDARY_EXIT_CONTROLS, 3);
	set(VMCS_ENTRY_CONTROLS, get(VMCS_ENTRY_CONTROLS) | ENTRY_LOAD_FRED);
	set(VMCS_GUEST_CR4, get(VMCS_GUEST_CR4) | CR4_FRED);
	set(VMCS_GUEST_FRED_CONFIG, ENTRY_PAGE | 1);
	for (unsigned i = 1; i < 8; i++)
		set(vmcs_nth(VMCS_GUEST_FRED_CONFIG, i), i == 4 ? 0x55 : 0x1000 * i);
	for (unsigned i = 0; i < 8; i++)
		set(vmcs_nth(VMCS_HOST_FRED_CONFIG, i), i == 4 ? 0xaa : 0x10000 * i + 0x40000);
	memcpy(ram->host + ENTRY_PAGE + 256, VMCALL, 3);
	cpu_code_written(c, ENTRY_PAGE + 256, 3);
	set(VMCS_PROC_CONTROLS, PROC | PROC_MSR_BITMAPS);
	set(VMCS_MSR_BITMAP, BITMAPS);
}

/* MSRs 1CDh to 1D4h: RSP1 to RSP3, STKLVLS, SSP1 to SSP3, CONFIG. */
START_TEST(fred_state)
{
	ck_assert_uint_eq(msr(0x480) >> 56 & 5, 5);
	ck_assert_uint_eq(msr(0x483) >> 63 & msr(0x48f) >> 63, 1);
	ck_assert_uint_eq(msr(0x484) >> 55 & msr(0x490) >> 55 & 1, 1);
	ck_assert_uint_eq(msr(0x493), 3);
	fred_vm();
	c->r[RCX] = 0x1cd, c->r[RAX] = 0x4440, c->r[RDX] = 0;
	ck_assert_uint_eq(RUN_GUEST("\x0f\x30\xb9\xd4\x01\0\0\x0f\x32"), 18); /* wrmsr; mov ecx, 1D4h; rdmsr */
	ck_assert_uint_eq(c->r[RAX], ENTRY_PAGE | 1);
	for (unsigned i = 0; i < 8; i++) {
		ck_assert_uint_eq(get(vmcs_nth(VMCS_GUEST_FRED_CONFIG, i)),
				  i == 0 ? ENTRY_PAGE | 1 : i == 1 ? 0x4440 : i == 4 ? 0x55 : 0x1000 * i);
		ck_assert_uint_eq(msr(i ? 0x1cc + i : 0x1d4), i == 4 ? 0xaa : 0x10000 * i + 0x40000);
	}
	set(VMCS_SECONDARY_EXIT_CONTROLS, 0); /* neither saved nor loaded */
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RCX] = 0x1cd, c->r[RAX] = 0x5550, c->r[RDX] = 0;
	c->r[RAX] = 0x5540;
	ck_assert_uint_eq(RUN_GUEST("\x0f\x30"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_FRED_RSP1), 0x4440);
	ck_assert_uint_eq(msr(0x1cd), 0x5540);
}
END_TEST

START_TEST(fred_checks)
{
	static const struct { enum vmcs_field field; u64 value; } rows[] = {
		{ VMCS_GUEST_FRED_CONFIG, 4 }, { VMCS_GUEST_FRED_CONFIG, 0x10 }, { VMCS_GUEST_FRED_CONFIG, 0x20 },
		{ VMCS_GUEST_FRED_CONFIG, 0x800 }, { VMCS_GUEST_FRED_CONFIG, (u64)1 << 50 },
		{ VMCS_GUEST_FRED_RSP1, 0x20 }, { VMCS_GUEST_FRED_RSP3, (u64)1 << 50 }, { VMCS_GUEST_FRED_SSP1, 4 },
		{ VMCS_GUEST_FRED_SSP3, (u64)1 << 50 }, { VMCS_HOST_FRED_CONFIG, 0x800 }, { VMCS_HOST_FRED_RSP2, 1 },
		{ VMCS_HOST_FRED_SSP2, 2 }, { VMCS_SECONDARY_EXIT_CONTROLS, 7 },
		{ VMCS_SECONDARY_EXIT_CONTROLS, (u64)1 << 32 },
		{ VMCS_ENTRY_INTERRUPTION, INTERRUPTION_VALID | EVENT_TYPE_OTHER << 8 | 3 },
		{ VMCS_ENTRY_INTERRUPTION, INTERRUPTION_VALID | INTERRUPTION_NESTED | EVENT_TYPE_NMI << 8 | 2 },
		{ VMCS_ENTRY_INTERRUPTION, INTERRUPTION_VALID | 1 << 14 | EVENT_TYPE_NMI << 8 | 2 },
		{ VMCS_GUEST_CS_RIGHTS, 0xc09b },
	};
	struct vm_check failed;

	fred_vm();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u64 good = get(rows[i].field);

		ck_assert_msg(vmx_entry_check(c, &failed), "%x %s", failed.field, failed.rule);
		set(rows[i].field, rows[i].value);
		ck_assert_msg(!vmx_entry_check(c, &failed) && failed.field == rows[i].field, "row %u", i);
		set(rows[i].field, good);
	}
	/* ring 3: no IOPL, no blocking by STI; no other rings */
	set(VMCS_GUEST_CS_SELECTOR, 0x13), set(VMCS_GUEST_SS_SELECTOR, 0x13);
	set(VMCS_GUEST_CS_RIGHTS, 0xa0fb), set(VMCS_GUEST_SS_RIGHTS, 0xc0f3);
	ck_assert_msg(vmx_entry_check(c, &failed), "%x %s", failed.field, failed.rule);
	set(VMCS_GUEST_RFLAGS, 0x3002);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_GUEST_RFLAGS);
	set(VMCS_GUEST_RFLAGS, 0x202);
	set(VMCS_GUEST_INTERRUPTIBILITY, BLOCKED_BY_STI);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_GUEST_INTERRUPTIBILITY);
	set(VMCS_GUEST_INTERRUPTIBILITY, 0);
	set(VMCS_GUEST_CS_SELECTOR, 0x11), set(VMCS_GUEST_SS_SELECTOR, 0x11);
	set(VMCS_GUEST_CS_RIGHTS, 0xa0bb), set(VMCS_GUEST_SS_RIGHTS, 0xc0b3);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_GUEST_SS_RIGHTS);
}
END_TEST

/* The frame of FRED that an injected event has: error code, RIP, CS, RFLAGS, RSP, SS and more, event data. */
START_TEST(fred_injection)
{
	static const struct { u32 info, error; u64 data, rip, ss; } rows[] = {
		{ INTERRUPTION_VALID | INTERRUPTION_ERROR | EVENT_TYPE_HARDWARE << 8 | VEC_PF, 6, 0x123456, GUEST,
		  (u64)VEC_PF << 32 | (u64)3 << 48 },
		{ INTERRUPTION_VALID | INTERRUPTION_ERROR | INTERRUPTION_NESTED | EVENT_TYPE_HARDWARE << 8 | VEC_GP, 0x11, 0,
		  GUEST, (u64)VEC_GP << 32 | (u64)3 << 48 | (u64)1 << 58 },
		{ INTERRUPTION_VALID | EVENT_TYPE_OTHER << 8 | 1, 0, 0x77, GUEST + 2,
		  (u64)1 << 32 | (u64)7 << 48 | (u64)2 << 60 | 1 << 17 },
		{ INTERRUPTION_VALID | EVENT_TYPE_OTHER << 8 | 2, 0, 0, GUEST + 2,
		  (u64)2 << 32 | (u64)7 << 48 | (u64)2 << 60 | 1 << 17 },
		{ INTERRUPTION_VALID | EVENT_TYPE_NMI << 8 | 2, 0, 5, GUEST, (u64)2 << 32 | (u64)2 << 48 | 1 << 18 },
	};

	fred_vm();
	set(VMCS_GUEST_FRED_STKLVLS, 0);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		const u8 *frame = ram->host + ((STACK - 0x800) & ~63) - 64;

		set(VMCS_GUEST_RIP, GUEST);
		set(VMCS_GUEST_RSP, STACK - 0x800);
		set(VMCS_GUEST_RFLAGS, 2);
		set(VMCS_GUEST_FRED_CONFIG, ENTRY_PAGE | 1);
		set(VMCS_ENTRY_INTERRUPTION, rows[i].info);
		set(VMCS_ENTRY_ERROR_CODE, rows[i].error);
		set(VMCS_ENTRY_INSTRUCTION_LENGTH, 2);
		set(VMCS_INJECTED_EVENT_DATA, rows[i].data);
		ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
		ck_assert_msg(get(VMCS_GUEST_RIP) == ENTRY_PAGE + 256, "row %u", i);
		ck_assert_uint_eq(get64(frame), rows[i].error);
		ck_assert_uint_eq(get64(frame + 8), rows[i].rip);
		ck_assert_uint_eq(get64(frame + 16), 0x10 | 1 << 16);
		ck_assert_uint_eq(get64(frame + 24), 2);
		ck_assert_uint_eq(get64(frame + 32), STACK - 0x800);
		ck_assert_msg(get64(frame + 40) == (rows[i].ss | 0x10 | (u64)1 << 57), "row %u: %llx", i,
			      (unsigned long long)get64(frame + 40));
		ck_assert_uint_eq(get64(frame + 48), rows[i].data);
	}
}
END_TEST

/* An event whose frame cannot be written: which it was, and its data. */
START_TEST(fred_original_event)
{
	fred_vm();
	set(VMCS_PROC_CONTROLS, get(VMCS_PROC_CONTROLS) | PROC_SECONDARY);
	ept_make(7);
	put64(ept_entry(STACK - 0x1000), 0);
	c->r[RBX] = 0x80001234; /* is not mapped */
	ck_assert_uint_eq(RUN_GUEST("\x8b\x03"), 48);
	ck_assert_uint_eq(get(VMCS_IDT_VECTORING), INTERRUPTION_VALID | INTERRUPTION_ERROR | 3 << 8 | VEC_PF);
	ck_assert_uint_eq(get(VMCS_ORIGINAL_EVENT_DATA), 0x80001234);
	/* SYSCALL is delivered as an event */
	c->star = (u64)0x10 << 32;
	set(VMCS_GUEST_EFER, get(VMCS_GUEST_EFER) | EFER_SCE);
	set(VMCS_HOST_EFER, get(VMCS_HOST_EFER) | EFER_SCE);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x05"), 48);
	ck_assert_uint_eq(get(VMCS_IDT_VECTORING), INTERRUPTION_VALID | 7u << 8 | 1);
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), 2);
	/* a nested exception */
	set(VMCS_SECONDARY_CONTROLS, 0);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_PF);
	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_GUEST_RSP, 0x80002000);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), 0);
	ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), INTERRUPTION_VALID | INTERRUPTION_ERROR | INTERRUPTION_NESTED |
						       3 << 8 | VEC_PF);
	ck_assert_uint_eq(get(VMCS_IDT_VECTORING), INTERRUPTION_VALID | 3 << 8 | VEC_UD);
	set(VMCS_GUEST_CR4, get(VMCS_GUEST_CR4) & ~(u64)CR4_FRED); /* by the IDT, which is no such */
	gate(VEC_UD);
	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_GUEST_RSP, 0x80002000);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), 0);
	ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), INTERRUPTION_VALID | INTERRUPTION_ERROR | 3 << 8 | VEC_PF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmx_controls");
	TCase *t = tcase_create("controls"), *features = tcase_create("with APX and FRED");

	tcase_add_checked_fixture(t, later_setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, capabilities);
	tcase_add_test(t, user_wait);
	tcase_add_test(t, msr_lists);
	tcase_add_test(t, user_msrs);
	tcase_add_test(t, pasids);
	tcase_add_test(t, ipi_msr);
	tcase_add_test(t, ipi_page);
	tcase_add_test(t, notification);
	tcase_add_test(t, checks);
	tcase_add_test(t, bus_lock);
	tcase_add_test(t, bus_lock_trap);
	tcase_add_test(t, timeout);
	tcase_add_checked_fixture(features, features_setup, bare_free);
	tcase_add_test(features, extended_information);
	tcase_add_test(features, fred_state);
	tcase_add_test(features, fred_checks);
	tcase_add_test(features, fred_injection);
	tcase_add_test(features, fred_original_event);
	suite_add_tcase(s, features);
	suite_add_tcase(s, t);
	return bare_run(s);
}
