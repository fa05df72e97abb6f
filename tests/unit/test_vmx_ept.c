/* SPDX-License-Identifier: MIT */
/* What came to EPT after its first processors, against the SDM's vol. 3: five levels (28.3.2), mode-based execute
 * control (28.3.3.2), the log of modified pages (28.3.6), virtualization exceptions (25.5.7), EPTP switching
 * (25.5.6.3); what
 * VPIDs keep (28.4). */
#include "vmx_guest.h"

enum { DATA = 0x40000, LOG = 0x70000, INFO = 0x71000, LIST = 0x72000, EPT2 = 0x28000, BUSY = INFO + 4 };
#define LOAD "\x48\x8b\x03"  /* mov rax, [rbx] */
#define STORE "\x48\x89\x03" /* mov [rbx], rax */
#define VMFUNC "\x0f\x01\xd4"

static void leaf(u64 page, u64 rights) { put64(ept_entry(page), page | 6 << 3 | rights); }

static void with_ept(u32 secondary)
{
	valid_vm();
	ept_make(7);
	set(VMCS_SECONDARY_CONTROLS, SEC_EPT | secondary);
	c->r[RBX] = DATA + 8;
}

static u32 again(const char *code, unsigned len)
{
	set(VMCS_GUEST_RIP, GUEST);
	return guest(code, len);
}
#define AGAIN(code) again(code, sizeof code - 1)

START_TEST(five_levels)
{
	with_ept(0);
	put64(ram->host + EPT + 0x4000, EPT | 7);
	set(VMCS_EPT_POINTER, (EPT + 0x4000) | 4 << 3 | 6);
	put64(ram->host + DATA + 8, 0x1234);
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 0x1234);
	put64(ram->host + EPT + 0x4000, EPT | 0x87); /* bit 7 is reserved there */
	ck_assert_uint_eq(AGAIN(LOAD), 49);
	ck_assert(ept_pointer_ok(c, EPT | 4 << 3 | 6) && !ept_pointer_ok(c, EPT | 5 << 3 | 6));
	ck_assert(vmx_capability(c, 0x48c) >> 7 & 1);
	bare_free();
	bare_new("max,-vmx-page-walk-5", RAM);
	ck_assert(!ept_pointer_ok(c, EPT | 4 << 3 | 6));
	ck_assert(!(vmx_capability(c, 0x48c) >> 7 & 1));
}
END_TEST

START_TEST(by_mode)
{
	static const struct { u64 rights; bool user; u64 qualification; /* 0: it runs */ } rows[] = {
		{ 7, true, 0x1bc }, { 3 | 0x400, true, 0 }, { 7 | 0x400, true, 0 }, { 3, true, 0x19c },
		{ 7, false, 0 }, { 3 | 0x400, false, 0x1dc }, { 7 | 0x400, false, 0 }, { 0x400, true, 0 },
	};

	with_ept(SEC_MBEC);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		put64(ram->host + TABLES, (TABLES + 0x1000) | (rows[i].user ? 7 : 3));
		leaf(GUEST, rows[i].rights);
		ck_assert_msg(AGAIN("\x90") == (rows[i].qualification ? 48 : 18), "row %u", i);
		if (rows[i].qualification)
			ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), rows[i].qualification);
	}
	set(VMCS_SECONDARY_CONTROLS, SEC_EPT); /* without the control bit 10 is ignored */
	leaf(GUEST, 3 | 0x400);
	ck_assert_uint_eq(AGAIN("\x90"), 48);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x19c);
}
END_TEST

START_TEST(log_of_pages)
{
	with_ept(SEC_PML);
	set(VMCS_EPT_POINTER, EPT | 3 << 3 | 6 | 0x40);
	set(VMCS_PML_ADDRESS, LOG);
	set(VMCS_GUEST_PML_INDEX, 511);
	ck_assert_uint_eq(AGAIN(STORE), 18); /* with A and D flags, a paging structure that is read counts as written */
	ck_assert_uint_eq(get64(ram->host + LOG + 511 * 8), TABLES);
	ck_assert_uint_eq(get64(ram->host + LOG + 510 * 8), TABLES + 0x1000);
	ck_assert_uint_eq(get64(ram->host + LOG + 509 * 8), DATA);
	ck_assert_uint_eq(get(VMCS_GUEST_PML_INDEX), 508);
	ck_assert_uint_eq(AGAIN(STORE), 18); /* its D flag is set by now */
	ck_assert_uint_eq(get(VMCS_GUEST_PML_INDEX), 508);

	leaf(DATA, 7);
	set(VMCS_GUEST_PML_INDEX, 0);
	ck_assert_uint_eq(AGAIN(STORE), 18);
	ck_assert_uint_eq(get64(ram->host + LOG), DATA);
	ck_assert_uint_eq(get(VMCS_GUEST_PML_INDEX), 0xffff);
	leaf(DATA, 7);
	ck_assert_uint_eq(AGAIN(LOAD), 18); /* no D flag, nothing to log */
	ck_assert_uint_eq(AGAIN(STORE), 62);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
	ck_assert_uint_eq(get64(ept_entry(DATA)) & 0x300, 0x100);
}
END_TEST

START_TEST(exceptions)
{
	with_ept(SEC_VE);
	gate(VEC_VE);
	gate(VEC_UD);
	set(VMCS_VE_INFORMATION, INFO);
	set(VMCS_EPTP_INDEX, 5);
	put64(ept_entry(DATA), 0);
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCS_GUEST_RSP)), GUEST); /* a fault without error code */
	ck_assert_uint_eq(get32(ram->host + INFO), 48);
	ck_assert_uint_eq(get32(ram->host + BUSY), 0xffffffff);
	ck_assert_uint_eq(get64(ram->host + INFO + 8), 0x181);
	ck_assert_uint_eq(get64(ram->host + INFO + 16), DATA + 8);
	ck_assert_uint_eq(get64(ram->host + INFO + 24), DATA + 8);
	ck_assert_uint_eq(get16(ram->host + INFO + 32), 5);
	ck_assert_uint_eq(AGAIN(LOAD), 48); /* the area is busy */
	put32(ram->host + BUSY, 0);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_VE);
	ck_assert_uint_eq(AGAIN(LOAD), 0);
	ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), 0x80000314);
	set(VMCS_EXCEPTION_BITMAP, 0);
	put32(ram->host + BUSY, 0);
	put64(ept_entry(DATA), (u64)1 << 63);
	ck_assert_uint_eq(AGAIN(LOAD), 48); /* suppressed */
	leaf(DATA, (u64)1 << 63 | 1);
	ck_assert_uint_eq(AGAIN(STORE), 48);
	leaf(DATA, 2);
	ck_assert_uint_eq(AGAIN(LOAD), 49); /* a misconfiguration is none */
	leaf(DATA, 1);
	ck_assert_uint_eq(AGAIN(STORE), 18);
	ck_assert_uint_eq(get64(ram->host + INFO + 8), 0x18a);
	put32(ram->host + BUSY, 0);
	set(VMCS_GUEST_RSP, DATA + 0x100);
	ck_assert_uint_eq(AGAIN("\x0f\x0b"), 48); /* nor is what happens while an event is delivered */
	ck_assert_uint_eq(get(VMCS_IDT_VECTORING), 0x80000306);
}
END_TEST

START_TEST(switching)
{
	ck_assert_int_eq(STEP(VMFUNC), VEC_UD);
	with_ept(SEC_VMFUNC);
	ck_assert_int_eq(STEP(VMFUNC), VEC_UD);
	memcpy(ram->host + EPT2, ram->host + EPT, 0x4000);
	put64(ram->host + EPT2, (EPT2 + 0x1000) | 7);
	put64(ram->host + EPT2 + 0x1000, (EPT2 + 0x2000) | 7);
	put64(ram->host + EPT2 + 0x2000, (EPT2 + 0x3000) | 7);
	put64(ram->host + EPT2 + 0x3000 + 8 * (DATA >> 12), (DATA + 0x1000) | 6 << 3 | 7);
	put64(ram->host + DATA + 0x1008, 0x5678);
	put64(ram->host + LIST + 8, EPT2 | 3 << 3 | 6);
	put64(ram->host + LIST + 16, EPT2 | 2 << 3 | 6);
	set(VMCS_EPTP_LIST, LIST);
	c->r[RAX] = 0, c->r[RCX] = 1;
	ck_assert_uint_eq(AGAIN(LOAD VMFUNC LOAD), 59); /* it is not enabled: RAX is 0 */
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), 3);
	set(VMCS_VM_FUNCTION_CONTROLS, 1);
	ck_assert_uint_eq(AGAIN(LOAD VMFUNC LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 0x5678);
	ck_assert_uint_eq(get(VMCS_EPT_POINTER), EPT2 | 3 << 3 | 6);
	ck_assert_uint_eq(get(VMCS_EPTP_INDEX), 1);
	for (unsigned i = 0; i < 3; i++) {
		/* an entry that is not valid, no such function, no such entry */
		c->r[RAX] = i == 1, c->r[RCX] = i == 0 ? 2 : i == 1 ? 1 : 512;
		ck_assert_uint_eq(AGAIN(VMFUNC), 59);
		ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
	}
	set(VMCS_SECONDARY_CONTROLS, SEC_EPT);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_UD);
	ck_assert_uint_eq(AGAIN(VMFUNC), 0);
}
END_TEST

static void map_data(u64 to) { put64(ept_entry(DATA), to | 6 << 3 | 7); }

/* 28.4: with a VPID, entries and exits leave the translations of both; INVEPT drops the guest's. A state has both. */
START_TEST(kept)
{
	static u64 words[TLB_WORDS];
	unsigned count;
	u64 hash;

	with_ept(SEC_VPID);
	set(VMCS_VPID, 7);
	put64(ram->host + DATA + 8, 1);
	put64(ram->host + DATA + 0x1008, 2);
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 1);
	map_data(DATA + 0x1000);
	count = tlb_save(c, words);
	hash = tlb_hash(c, 0);
	ck_assert_uint_le(count, ARRAY_LEN(words));
	tlb_forget(c);
	ck_assert_uint_ne(tlb_hash(c, 0), hash);
	tlb_load(c, words, count);
	ck_assert_uint_eq(tlb_hash(c, 0), hash);
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 1);
	c->r[RCX] = 2;
	ck_assert_uint_eq(POINTED(INVEPT, 0), 0);
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 2);
	map_data(DATA);
	set(VMCS_VPID, 8); /* another's */
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 1);
	map_data(DATA + 0x1000);
	c->r[RCX] = 1;
	ck_assert_uint_eq(POINTED(INVVPID, 8), 0);
	ck_assert_uint_eq(AGAIN(LOAD), 18);
	ck_assert_uint_eq(c->r[RAX], 2);
	set(VMCS_SECONDARY_CONTROLS, SEC_EPT); /* none: they go with each entry */
	for (unsigned i = 0; i < 2; i++) {
		map_data(DATA + 0x1000 * i);
		ck_assert_uint_eq(AGAIN(LOAD), 18);
		ck_assert_uint_eq(c->r[RAX], i + 1);
	}
}
END_TEST

static const struct { u32 secondary; enum vmcs_field field; u64 value; } bad[] = {
	{ SEC_PML, VMCS_PML_ADDRESS, 0 }, { SEC_EPT | SEC_PML, VMCS_PML_ADDRESS, 8 },
	{ SEC_EPT | SEC_PML, VMCS_PML_ADDRESS, (u64)1 << 45 }, { SEC_MBEC, VMCS_EPT_POINTER, 0 },
	{ SEC_EPT | SEC_VE, VMCS_VE_INFORMATION, 8 }, { SEC_EPT | SEC_VE, VMCS_VE_INFORMATION, (u64)1 << 45 },
	{ SEC_EPT | SEC_VMFUNC, VMCS_VM_FUNCTION_CONTROLS, 2 }, { SEC_VMFUNC, VMCS_VM_FUNCTION_CONTROLS, 1 },
	{ SEC_EPT, VMCS_EPT_POINTER, EPT | 5 << 3 | 6 }, { SEC_EPT, VMCS_EPT_POINTER, EPT | 3 << 3 | 0x86 },
	{ SEC_SHADOW, VMCS_VMREAD_BITMAP, 8 }, { SEC_SHADOW, VMCS_VMWRITE_BITMAP, (u64)1 << 45 },
	{ SEC_TSC_SCALING, VMCS_TSC_MULTIPLIER, 0 },
};

START_TEST(entry_checks)
{
	with_ept(0);
	set(VMCS_TSC_MULTIPLIER, (u64)1 << 48);
	ck_assert_uint_eq(AGAIN("\x90"), 18);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		u64 good = get(bad[i].field);

		set(VMCS_SECONDARY_CONTROLS, bad[i].secondary);
		set(bad[i].field, bad[i].value);
		ck_assert_int_eq(STEP(VMRESUME), -1);
		ck_assert_msg(flags() == FL_Z && get(VMCS_INSTRUCTION_ERROR) == 7, "row %u", i);
		set(bad[i].field, good);
	}
	set(VMCS_SECONDARY_CONTROLS, SEC_EPT | SEC_PML | SEC_MBEC | SEC_VE | SEC_VMFUNC | SEC_SHADOW | SEC_TSC_SCALING);
	ept_make(0x407);
	ck_assert_uint_eq(AGAIN("\x90"), 18);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmx_ept");
	TCase *t = tcase_create("vmx_ept");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, five_levels);
	tcase_add_test(t, by_mode);
	tcase_add_test(t, log_of_pages);
	tcase_add_test(t, exceptions);
	tcase_add_test(t, switching);
	tcase_add_test(t, kept);
	tcase_add_test(t, entry_checks);
	suite_add_tcase(s, t);
	return bare_run(s);
}
