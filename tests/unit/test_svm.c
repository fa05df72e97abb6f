/* SPDX-License-Identifier: MIT */
/* SVM against the APM's vol. 2: who may use it (15.4), the fields of the VMCB (appendix B), the checks of VMRUN
 * (15.5.1), which instructions exit, with which code and information (15.9 to 15.11, appendix C), nested paging
 * (15.25), events (15.12, 15.13, 15.20, 15.21), the GIF (15.17). A guest here is a few bytes of 64-bit code that ends
 * with VMMCALL. */
#include "svm_guest.h"

static const char *const all[] = { VMRUN, VMLOAD, VMSAVE, STGI, CLGI, INVLPGA };

/* ---- instructions ---- */

START_TEST(who_may)
{
	c->efer &= ~(u64)EFER_SVME;
	cpu_loaded(c);
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		ck_assert_int_eq(step(all[i], 3), VEC_UD);
	ck_assert_int_eq(STEP(VMMCALL), VEC_UD);
	host_mode(3);
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		ck_assert_int_eq(step(all[i], 3), VEC_GP);
	host_mode(0);
	ck_assert_int_eq(STEP(VMMCALL), VEC_UD); /* nobody intercepts it */
	ck_assert_int_eq(STEP(SKINIT), VEC_UD);
	c->r[RAX] = VM + 8; /* not aligned */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(step(all[i], 3), VEC_GP);
	c->r[RAX] = (u64)1 << 45;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(step(all[i], 3), VEC_GP);
}
END_TEST

/* 15.30: VM_HSAVE_PA holds a page's address; VM_CR.LOCK keeps SVMDIS, and SVMDIS keeps EFER.SVME away. */
START_TEST(msrs)
{
	u64 v;

	ck_assert(!write_msr(c, 0xc0010117, SAVE + 1));
	ck_assert(read_msr(c, 0xc0010117, &v) && v == SAVE);
	ck_assert(!write_msr(c, 0xc0010114, VM_CR_SVMDIS)); /* EFER.SVME is set */
	ck_assert(write_msr(c, 0xc0000080, c->efer & ~(u64)EFER_SVME));
	ck_assert(write_msr(c, 0xc0010114, VM_CR_SVMDIS | VM_CR_LOCK));
	ck_assert(!write_msr(c, 0xc0000080, c->efer | EFER_SVME));
	ck_assert(write_msr(c, 0xc0010114, 0));
	ck_assert(read_msr(c, 0xc0010114, &v) && v == (VM_CR_SVMDIS | VM_CR_LOCK));
}
END_TEST

/* Appendix B: the fields as others name them, by offset. */
START_TEST(fields)
{
	static const struct { enum vmcb_field field; unsigned offset, bytes; } some[] = {
		{ VMCB_INTERCEPT_5, 0x14, 4 }, { VMCB_TSC_OFFSET, 0x50, 8 }, { VMCB_GUEST_ASID, 0x58, 4 },
		{ VMCB_EXITCODE, 0x70, 8 }, { VMCB_EVENTINJ, 0xa8, 8 }, { VMCB_NRIP, 0xc8, 8 },
		{ VMCB_TR_BASE, 0x498, 8 }, { VMCB_CPL, 0x4cb, 1 }, { VMCB_RAX, 0x5f8, 8 }, { VMCB_CR2, 0x640, 8 },
		{ VMCB_G_PAT, 0x668, 8 }, { VMCB_LASTEXCPTO, 0x690, 8 },
	};
	static const enum vmcb_field rows[] = {
#define VMCB(offset, bytes, name) VMCB_##name,
#include "cpu/system/vm/vmcb.def"
#undef VMCB
	};

	for (unsigned i = 0; i < ARRAY_LEN(some); i++)
		ck_assert_uint_eq(some[i].field, some[i].offset | some[i].bytes << 12);
	for (unsigned i = 1; i < ARRAY_LEN(rows); i++) /* none lies on another */
		ck_assert_uint_ge(rows[i] & 0xfff, (rows[i - 1] & 0xfff) + (rows[i - 1] >> 12));
}
END_TEST

START_TEST(load_and_save)
{
	memset(ram->host + VM, 0, PAGE_SIZE);
	set(VMCB_STAR, 0x1111);
	set(VMCB_KERNEL_GS_BASE, 0x2222);
	set(VMCB_SYSENTER_EIP, 0x3333);
	set(VMCB_FS_BASE, 0x123456789a);
	set(VMCB_TR_SELECTOR, 0x48);
	set(VMCB_TR_ATTRIBUTES, 0x8b);
	set(VMCB_TR_BASE, 0x4444);
	set(VMCB_GS_ATTRIBUTES, 0xcf3);
	c->r[RAX] = VM;
	ck_assert_int_eq(STEP(VMLOAD), -1);
	ck_assert(c->star == 0x1111 && c->kernel_gs_base == 0x2222 && c->sysenter_eip == 0x3333);
	ck_assert(c->seg[FS].base == 0x123456789a && c->seg[TR].sel == 0x48 && c->seg[TR].base == 0x4444);
	ck_assert_uint_eq(c->seg[TR].attr, 0x8b);
	ck_assert_uint_eq(c->seg[GS].attr, 0xc0f3);
	ck_assert(c->seg[LDTR].attr & SEG_UNUSABLE); /* not present */
	c->r[RAX] = VM2;
	ck_assert_int_eq(STEP(VMSAVE), -1);
	ck_assert_uint_eq(vmcb_get(c, VM2, VMCB_STAR), 0x1111);
	ck_assert_uint_eq(vmcb_get(c, VM2, VMCB_GS_ATTRIBUTES), 0xcf3);
	ck_assert_uint_eq(vmcb_get(c, VM2, VMCB_TR_BASE), 0x4444);
	ck_assert_uint_eq(vmcb_get(c, VM2, VMCB_CS_LIMIT), 0); /* not theirs */
}
END_TEST

/* ---- a guest ---- */

/* A guest retires its instructions up to the one that exits; the host goes on behind VMRUN, with its own state. */
START_TEST(in_and_out)
{
	valid_vm();
	c->dr[7] = 0x455;
	ck_assert_uint_eq(RUN_GUEST("\xb8\x78\x56\x34\x12\xf9"), SVM_EXIT_VMMCALL); /* mov eax, 12345678h; stc */
	ck_assert_uint_eq(get(VMCB_RAX), 0x12345678);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 6);
	ck_assert_uint_eq(get(VMCB_NRIP), GUEST + 9);
	ck_assert_uint_eq(get(VMCB_RFLAGS), 3);
	ck_assert_uint_eq(c->r[RAX], VM);
	ck_assert_uint_eq(c->r[RSP], STACK);
	ck_assert_uint_eq(vmcb_get(c, SAVE, VMCB_RIP), HOST + 3);
	ck_assert_uint_eq(c->dr[7], 0x400);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, 0);
	ck_assert_uint_eq(RUN_GUEST("\xb3\x07"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(c->r[RBX] & 0xff, 7);
	/* real mode, with paging or without */
	set(VMCB_CR0, CR0_ET);
	set(VMCB_EFER, EFER_SVME);
	set(VMCB_CS_ATTRIBUTES, 0x9b);
	set(VMCB_CS_LIMIT, 0xffff);
	ck_assert_uint_eq(RUN_GUEST("\xb8\x34\x12"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RAX) & 0xffff, 0x1234);
}
END_TEST

#define MOV ((u64)1 << 63)
static const struct {
	const char *code;
	unsigned len, exit, intercept;
	u64 info1;
} exiting[] = {
#define X(code, ...) { code, sizeof code - 1, __VA_ARGS__ }
	X("\x0f\x20\xc2", 0x00, 0x00, MOV | 2),                  /* mov rdx, cr0 */
	X("\x0f\x20\xda", 0x03, 0x03, MOV | 2),                  /* mov rdx, cr3 */
	X("\x44\x0f\x20\xc1", 0x08, 0x08, MOV | 1),              /* mov rcx, cr8 */
	X("\x0f\x01\xe2", 0x00, 0x00, 0),                        /* smsw edx */
	X("\x0f\x22\xd8", 0x13, 0x13, MOV),                      /* mov cr3, rax */
	X("\x44\x0f\x22\xc1", 0x18, 0x18, MOV | 1),              /* mov cr8, rcx */
	X("\x0f\x06", 0x10, 0x10, 0),                            /* clts */
	X("\x0f\x21\xfa", 0x27, 0x27, 2),                        /* mov rdx, dr7 */
	X("\x0f\x23\xd1", 0x32, 0x32, 1),                        /* mov dr2, rcx */
	X("\x0f\x01\x0b", 0x66, 0x66, 0),                        /* sidt [rbx] */
	X("\x0f\x01\x03", 0x67, 0x67, 0),                        /* sgdt [rbx] */
	X("\x0f\x00\xc2", 0x68, 0x68, 0),                        /* sldt edx */
	X("\x0f\x00\xca", 0x69, 0x69, 0),                        /* str edx */
	X("\x0f\x31", 0x6e, 0x6e, 0),                            /* rdtsc */
	X("\x0f\x33", 0x6f, 0x6f, 0),                            /* rdpmc */
	X("\x9c", 0x70, 0x70, 0),                                /* pushf */
	X("\x9d", 0x71, 0x71, 0),                                /* popf */
	X("\x0f\xa2", 0x72, 0x72, 0),                            /* cpuid */
	X("\x48\xcf", 0x74, 0x74, 0),                            /* iret */
	X("\xcd\x30", 0x75, 0x75, 0x30),                         /* int 30h */
	X("\x0f\x08", 0x76, 0x76, 0),                            /* invd */
	X("\xf3\x90", 0x77, 0x77, 0),                            /* pause */
	X("\xf4", 0x78, 0x78, 0),                                /* hlt */
	X("\x0f\x01\x7b\x08", 0x79, 0x79, 0x6008),               /* invlpg [rbx + 8] */
	X("\x0f\x01\xdf", 0x7a, 0x7a, TABLES),                   /* invlpga */
	X("\x0f\x01\xda", 0x82, 0x82, 0),                        /* vmload */
	X("\x0f\x01\xdb", 0x83, 0x83, 0),                        /* vmsave */
	X("\x0f\x01\xdc", 0x84, 0x84, 0),                        /* stgi */
	X("\x0f\x01\xdd", 0x85, 0x85, 0),                        /* clgi */
	X("\x0f\x01\xf9", 0x87, 0x87, 0),                        /* rdtscp */
	X("\xf1", 0x88, 0x88, 0),                                /* int1 */
	X("\x0f\x09", 0x89, 0x89, 0),                            /* wbinvd */
	X("\x0f\x01\xc8", 0x8a, 0x8a, 0),                        /* monitor */
	X("\x0f\x01\xc9", 0x8b, 0x8b, 0),                        /* mwait */
	X("\x0f\x01\xd1", 0x8d, 0x8d, 0),                        /* xsetbv */
	X("\x0f\x01\xf2", 0x10, 0x10, 0),                        /* lmsw dx */
	X("\x0f\x01\xf2", 0x65, 0x65, 0),                        /* the same, by the selective intercept */
#undef X
};

/* Row by row: with the intercept the exit, at the instruction; without it, VMMCALL's behind it. */
START_TEST(instructions)
{
	static const u8 alone[] = { 0x6f, 0x71, 0x74, 0x75, 0x78, 0x88, 0x8b, 0x82, 0x83, 0x13, 0x18, 0x32, 0x8d,
				    0x65 };

	for (unsigned i = 0; i < ARRAY_LEN(exiting); i++)
		for (unsigned with = 0; with < 2; with++) {
			u64 code;

			if (!with && memchr(alone, (int)exiting[i].exit, sizeof alone))
				continue; /* they fault, sleep, or go elsewhere */
			valid_vm();
			if (with)
				intercept(exiting[i].intercept, true);
			set(VMCB_RAX, TABLES);
			c->r[RBX] = 0x6000, c->r[RCX] = 0, c->r[RDX] = 1;
			code = guest(exiting[i].code, exiting[i].len);
			ck_assert_msg(code == (with ? exiting[i].exit : SVM_EXIT_VMMCALL), "row %u, %u: %llx", i, with,
				      (unsigned long long)code);
			ck_assert_uint_eq(get(VMCB_RIP), GUEST + (with ? 0 : exiting[i].len));
			if (!with)
				continue;
			ck_assert_uint_eq(get(VMCB_NRIP), GUEST + exiting[i].len);
			ck_assert_msg(get(VMCB_EXITINFO1) == exiting[i].info1, "row %u: %llx", i,
				      (unsigned long long)get(VMCB_EXITINFO1));
		}
}
END_TEST

/* 15.10.3, 15.11: a port of several bytes asks for each; MSRs have a bit to read and one to write. */
START_TEST(permission_maps)
{
	valid_vm();
	intercept(SVM_EXIT_IOIO, true);
	intercept(SVM_EXIT_MSR, true);
	ck_assert_uint_eq(RUN_GUEST("\xe4\x70"), SVM_EXIT_VMMCALL); /* in al, 70h */
	ram->host[PERMISSIONS + 0x73 / 8] = 1 << (0x73 & 7);
	ck_assert_uint_eq(RUN_GUEST("\xe5\x70"), SVM_EXIT_IOIO);    /* in eax, 70h */
	ck_assert_uint_eq(get(VMCB_EXITINFO1), 0x70 << 16 | 1 << 9 | 4 << 4 | 1);
	ck_assert_uint_eq(get(VMCB_EXITINFO2), GUEST + 2);
	c->r[RDX] = 0x73, c->r[RSI] = 0x6000, c->r[RCX] = 2;
	ck_assert_uint_eq(RUN_GUEST("\xf3\x26\x6e"), SVM_EXIT_IOIO); /* rep outs dx, es:[rsi] */
	ck_assert_uint_eq(get(VMCB_EXITINFO1) & 0xffff03ff, 0x73 << 16 | 1 << 9 | 1 << 4 | 3 << 2);
	c->r[RCX] = 0xc0000080;
	ck_assert_uint_eq(RUN_GUEST("\x0f\x32"), SVM_EXIT_VMMCALL);
	ram->host[PERMISSIONS + 0x3800 + 0x80 / 4] = 1;
	ck_assert_uint_eq(RUN_GUEST("\x0f\x32"), SVM_EXIT_MSR);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), 0);
	ram->host[PERMISSIONS + 0x3800 + 0x80 / 4] = 2;
	ck_assert_uint_eq(RUN_GUEST("\x0f\x30"), SVM_EXIT_MSR);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), 1);
	c->r[RCX] = 0x40000000; /* in no range */
	ck_assert_uint_eq(RUN_GUEST("\x0f\x32"), SVM_EXIT_MSR);
}
END_TEST

/* ---- checks of VMRUN ---- */

/* A value that fails, and the field that fails if that is another. */
static const struct { enum vmcb_field field; u64 value; enum vmcb_field named; } bad[] = {
	{ VMCB_INTERCEPT_4, 2 }, { VMCB_GUEST_ASID, 0 }, { VMCB_EFER, EFER_LME | EFER_LMA },
	{ VMCB_EFER, EFER_SVME | EFER_LME | 2 }, { VMCB_CR0, CR0_PE | CR0_PG | CR0_NW },
	{ VMCB_CR0, (u64)1 << 32 | CR0_PE }, { VMCB_CR0, CR0_PG }, { VMCB_CR4, 0 }, { VMCB_CR4, (u64)1 << 40 },
	{ VMCB_CR3, (u64)1 << 52 },
	{ VMCB_DR6, (u64)1 << 32 }, { VMCB_DR7, (u64)1 << 32 }, { VMCB_CS_ATTRIBUTES, 0x69b },
	{ VMCB_EVENTINJ, 0x80000100 }, { VMCB_EVENTINJ, 0x80000302 }, { VMCB_EVENTINJ, 0x80000320 },
	{ VMCB_NP_ENABLE, 1, VMCB_N_CR3 } /* which is beyond the physical addresses */,
};

START_TEST(entry_checks)
{
	struct vm_check failed;

	valid_vm();
	set(VMCB_N_CR3, ~(u64)0xfff);
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	c->r[RAX] = VM;
	ck_assert(guest_entry_check(c, &failed));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		u64 good = get(bad[i].field);

		set(bad[i].field, bad[i].value);
		c->r[RAX] = VM;
		ck_assert(!guest_entry_check(c, &failed));
		ck_assert_msg(failed.field == (SVM_NUMBER | ((bad[i].named ? bad[i].named : bad[i].field) & 0xfff)) &&
				      strchr(failed.rule, '('),
			      "row %u: %x %s", i, failed.field, failed.rule);
		ck_assert_msg(RUN_GUEST("\x90") == SVM_EXIT_INVALID, "row %u", i);
		ck_assert_ptr_eq(svm_cause_text(c->svm), failed.rule);
		ck_assert_uint_eq(c->r[RSP], STACK);
		set(bad[i].field, good);
	}
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
}
END_TEST

/* ---- nested paging ---- */

static void expect_npf(u64 code, u64 info1, u64 info2)
{
	ck_assert_uint_eq(code, SVM_EXIT_NPF);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), info1);
	ck_assert_uint_eq(get(VMCB_EXITINFO2), info2);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST);
}

START_TEST(nested_paging)
{
	static const char load[] = "\x48\x8b\x03", store[] = "\x48\x89\x03"; /* mov rax, [rbx]; mov [rbx], rax */
	const u64 final = (u64)1 << 32, walk = (u64)2 << 32, nx = (u64)1 << 63;

	valid_vm();
	nested_make(7);
	c->r[RBX] = 0x40008;
	put64(ram->host + 0x41008, 0x1234);
	put64(nested_entry(0x40000), 0x41000 | 7); /* elsewhere */
	ck_assert_uint_eq(guest(load, 3), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RAX), 0x1234);
	ck_assert_uint_eq(get64(nested_entry(0x40000)), 0x41027);         /* A */
	ck_assert_uint_eq(get64(nested_entry(TABLES)) & 0x60, 0x60);      /* the guest's tables: A and D */
	ck_assert_uint_eq(guest(store, 3), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get64(nested_entry(0x40000)), 0x41067);

	put64(nested_entry(0x40000), 0x41000 | 5); /* read-only */
	expect_npf(guest(store, 3), final | 7, 0x40008);
	ck_assert_uint_eq(ram->host[VM + 0xd0], 15);
	ck_assert_mem_eq(ram->host + VM + 0xd1, "\x48\x89\x03\x0f\x01\xd9", 6);
	put64(nested_entry(0x40000), 0x41000 | 3); /* the host's supervisor's */
	expect_npf(guest(load, 3), final | 5, 0x40008);
	put64(nested_entry(0x40000), 0);
	expect_npf(guest(load, 3), final | 4, 0x40008);
	put64(nested_entry(0x40000), (u64)1 << 51 | 7);
	expect_npf(guest(load, 3), final | 13, 0x40008);
	put64(nested_entry(0x40000), 0x40007);
	put64(nested_entry(GUEST), GUEST | 7 | nx);
	expect_npf(guest(load, 3), final | 0x15, GUEST);
	ck_assert_uint_eq(ram->host[VM + 0xd0], 0);
	put64(nested_entry(GUEST), GUEST | 7);
	put64(nested_entry(TABLES), TABLES | 5); /* entries of the guest's tables count as written */
	expect_npf(guest(load, 3), walk | 7, TABLES);
}
END_TEST

/* The nested entry that forbids an access, in words. */
START_TEST(nested_in_words)
{
	static const struct { u64 entry; enum access kind; const char *why; } rows[] = {
		{ 0x41007, ACCESS_WRITE, NULL }, { 0x41005, ACCESS_READ, NULL },
		{ 0x41005, ACCESS_WRITE, "lacks write permission" },
		{ (u64)1 << 63 | 0x41007, ACCESS_FETCH, "forbids execution" },
		{ 0x41006, ACCESS_READ, "is not present" },
		{ 0x41003, ACCESS_READ, "is the supervisor's, and all accesses of a guest are a user's (15.25.5)" },
		{ (u64)1 << 51 | 0x41007, ACCESS_READ, "has a reserved bit set" },
	};
	struct second_level_trace t;

	valid_vm();
	ck_assert(!second_level_trace(c, 0, ACCESS_READ, &t)); /* there is no guest */
	nested_make(7);
	c->r[RAX] = VM;
	set(VMCB_RIP, GUEST);
	ck_assert_int_eq(STEP(VMRUN), -1);
	ck_assert(svm_guest(c));
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		put64(nested_entry(0x40000), rows[i].entry);
		ck_assert(second_level_trace(c, 0x40008, rows[i].kind, &t));
		ck_assert_uint_eq(t.count, 4);
		ck_assert_uint_eq(t.culprit, 3);
		ck_assert_uint_eq(t.at[3], NESTED + 0x3000 + 8 * 0x40);
		ck_assert_uint_eq(t.entry[3], rows[i].entry);
		ck_assert_msg(rows[i].why ? t.why && !strcmp(t.why, rows[i].why) : !t.why, "row %u: %s", i, t.why);
	}
	put64(ram->host + NESTED + 0x1000, (NESTED + 0x2000) | 5); /* an inner table */
	put64(nested_entry(0x40000), 0x41007);
	ck_assert(second_level_trace(c, 0x40008, ACCESS_WRITE, &t));
	ck_assert_uint_eq(t.culprit, 1);
	ck_assert_str_eq(t.why, "lacks write permission");
	put64(ram->host + NESTED, 0);
	ck_assert(second_level_trace(c, 0x40008, ACCESS_WRITE, &t));
	ck_assert_uint_eq(t.count, 1);
	ck_assert_str_eq(t.why, "is not present");
	ck_assert(second_level_trace(c, (u64)1 << 48, ACCESS_READ, &t));
	ck_assert_uint_eq(t.count, 0);
	ck_assert(t.why);
}
END_TEST

/* Numbers in words: the names of appendix C, and what EXITINFO1 has. */
START_TEST(words)
{
	static const struct { u32 code; const char *name; u64 info; const char *text; } exits[] = {
		{ 0x00, "CR0_READ", (u64)1 << 63 | 3, "MOV, general register 3" }, { 0x14, "CR4_WRITE", 0, "" },
		{ 0x27, "DR7_READ", 9, "general register 9" }, { 0x3f, "DR15_WRITE", 0, "general register 0" },
		{ 0x4e, "EXCP14", 0x15, "error code 15" }, { 0x60, "INTR", 0, "" }, { 0x65, "CR0_SEL_WRITE", 0, "" },
		{ 0x75, "SWINT", 0x80, "vector 128" },
		{ 0x78, "HLT", 0, "" }, { 0x79, "INVLPG", 0x1234, "linear 1234" },
		{ 0x7b, "IOIO", 0x3f80211, "IN, 1 byte, port 3f8" },
		{ 0x7b, "IOIO", 0x60044c, "REP OUTS, 4 bytes, port 60" },
		{ 0x7c, "MSR", 1, "WRMSR" }, { 0x7d, "TASK_SWITCH", 0x28, "to the TSS of selector 28" },
		{ 0x80, "VMRUN", 0, "" }, { 0x8b, "MWAIT", 0, "" }, { 0x8f, NULL, 0, "" },
		{ 0x400, "NPF", (u64)1 << 32 | 7, "write, an entry without the permission, for the final address" },
		{ 0x400, "NPF", (u64)2 << 32 | 4,
		  "read, an entry that is not present, for an entry of the guest's own tables" },
		{ 0xffff, "INVALID", 0, "" },
	};
	static const struct { enum vmcb_field field; u64 value; const char *text; } rows[] = {
		{ VMCB_INTERCEPT_CR, 1 << 16 | 1, "CR0_READ, CR0_WRITE" },
		{ VMCB_INTERCEPT_EXCEPTION, 1 << 14, "EXCP14" },
		{ VMCB_INTERCEPT_3, 1 << 24 | 1, "INTR, HLT" }, { VMCB_INTERCEPT_4, 3, "VMRUN, VMMCALL" },
		{ VMCB_EXITCODE, 0x78, "HLT" }, { VMCB_EXITCODE, ~(u64)0, "INVALID" },
		{ VMCB_EVENTINJ, 0x80000b0e, "hardware exception, vector 14, error code" },
		{ VMCB_EXITINTINFO, 0x30e, "" }, { VMCB_RIP, 0x1234, "" },
	};
	char text[160];

	for (unsigned i = 0; i < ARRAY_LEN(exits); i++) {
		const char *name = svm_exit_name(exits[i].code);
		size_t len = svm_exit_text(exits[i].code, exits[i].info, text, sizeof text);

		ck_assert_msg(exits[i].name ? name && !strcmp(name, exits[i].name) : !name, "row %u: %s", i, name);
		ck_assert_uint_eq(len, strlen(exits[i].text));
		ck_assert_str_eq(text, exits[i].text);
	}
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		size_t len = vmcb_text(rows[i].field & 0xfff, rows[i].value, text, sizeof text);

		ck_assert_uint_eq(len, strlen(rows[i].text));
		ck_assert_str_eq(text, rows[i].text);
	}
}
END_TEST

/* 15.33.1: VMSAVE in the guest, to a guest-physical address. */
START_TEST(virtual_vmsave)
{
	valid_vm();
	nested_make(7);
	put64(nested_entry(0x40000), 0x41000 | 7);
	set(VMCB_VIRTUALIZATION_EXTENSIONS, VMSAVE_ENABLE);
	set(VMCB_RAX, 0x40000);
	c->star = 0x5555;
	ck_assert_uint_eq(RUN_GUEST(VMSAVE), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(vmcb_get(c, 0x41000, VMCB_STAR), 0x5555);
}
END_TEST

/* ---- events ---- */

START_TEST(exceptions)
{
	valid_vm();
	gate(0x30);
	gate(VEC_UD);
	gate(VEC_BP);
	set(VMCB_EVENTINJ, 0x80000030); /* an external interrupt, whatever IF is */
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCB_RSP)), GUEST); /* returns to the first instruction */
	ck_assert_uint_eq(get(VMCB_EVENTINJ), 0x30);                /* no longer valid */
	set(VMCB_EVENTINJ, 0x80000430); /* INT 30h: behind it */
	set(VMCB_NRIP, GUEST + 2);
	ck_assert_uint_eq(RUN_GUEST("\xcd\x30"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get64(ram->host + get(VMCB_RSP)), GUEST + 2);

	intercept(SVM_EXIT_EXCEPTION + VEC_UD, true);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), SVM_EXIT_EXCEPTION + VEC_UD);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST);
	intercept(SVM_EXIT_EXCEPTION + VEC_UD, false);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), SVM_EXIT_VMMCALL);
	intercept(SVM_EXIT_EXCEPTION + VEC_BP, true);
	ck_assert_uint_eq(RUN_GUEST("\xcc"), SVM_EXIT_EXCEPTION + VEC_BP);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST);
	ck_assert_uint_eq(get(VMCB_NRIP), GUEST + 1);

	intercept(SVM_EXIT_EXCEPTION + VEC_PF, true);
	set(VMCB_CR2, 0x77);
	c->r[RBX] = (u64)1 << 40;
	ck_assert_uint_eq(RUN_GUEST("\x88\x03"), SVM_EXIT_EXCEPTION + VEC_PF);
	ck_assert_uint_eq(get(VMCB_EXITINFO1), 2);
	ck_assert_uint_eq(get(VMCB_EXITINFO2), (u64)1 << 40);
	ck_assert_uint_eq(get(VMCB_CR2), 0x77);

	intercept(SVM_EXIT_EXCEPTION + VEC_GP, true);
	set(VMCB_IDTR_LIMIT, 0);
	ck_assert_uint_eq(RUN_GUEST("\xcd\x30"), SVM_EXIT_EXCEPTION + VEC_GP); /* its gate is beyond the limit */
	ck_assert_uint_eq(get(VMCB_EXITINFO1), 0x30 * 8 + 2);
	ck_assert_uint_eq(get(VMCB_EXITINTINFO), 0x80000430);
	set(VMCB_EVENTINJ, (u64)8 << 32 | 0x80000b0a); /* a #TS whose delivery faults: the second one exits, not #DF */
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_EXCEPTION + VEC_GP);
	ck_assert_uint_eq(get(VMCB_EXITINTINFO), (u64)8 << 32 | 0x80000b0a);
	intercept(SVM_EXIT_EXCEPTION + VEC_GP, false);
	ck_assert_uint_eq(RUN_GUEST("\xcd\x30"), SVM_EXIT_SHUTDOWN);
}
END_TEST

START_TEST(interrupts)
{
	valid_vm();
	gate(0x41);
	set(VMCB_RFLAGS, 2 | FL_I);
	intercept(SVM_EXIT_INTR, true);
	cpu_intr(c, 0, true);
	ck_assert_uint_eq(RUN_GUEST("\xeb\xfe"), SVM_EXIT_INTR);    /* jmp $ */
	set(VMCB_RFLAGS, 2);
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);     /* IF is clear */
	set(VMCB_V_INTR, V_INTR_MASKING);                           /* the host's IF counts */
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	c->eflags |= FL_I;
	c->svm->gif = false;
	ck_assert_uint_eq(RUN_GUEST("\xeb\xfe"), SVM_EXIT_INTR);
	cpu_intr(c, 0, false);
	intercept(SVM_EXIT_NMI, true);
	cpu_nmi(c, 0, true);
	c->svm->gif = false;
	ck_assert_uint_eq(RUN_GUEST("\xeb\xfe"), SVM_EXIT_NMI);
	ck_assert(c->nmi_pending); /* the host takes it */
	c->nmi_pending = false;

	/* A virtual interrupt waits for IF and for the TPR. */
	set(VMCB_V_INTR, (u64)0x41 << 32 | V_INTR_MASKING | 4 << 16 | V_IRQ | 5);
	set(VMCB_RFLAGS, 2 | FL_I);
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 1);
	c->r[RCX] = 3;
	ck_assert_uint_eq(RUN_GUEST("\x44\x0f\x22\xc1\x90"), SVM_EXIT_VMMCALL); /* mov cr8, rcx */
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCB_RSP)), GUEST + 4);
	ck_assert_uint_eq(get(VMCB_V_INTR), (u64)0x41 << 32 | V_INTR_MASKING | 4 << 16 | 3);
	set(VMCB_V_INTR, (u64)0x41 << 32 | V_INTR_MASKING | V_IGN_TPR | V_IRQ);
	intercept(SVM_EXIT_VINTR, true);
	set(VMCB_RFLAGS, 2);
	ck_assert_uint_eq(RUN_GUEST("\xfb\x90\x90"), SVM_EXIT_VINTR); /* sti */
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 2);
	ck_assert(get(VMCB_V_INTR) & V_IRQ);
	set(VMCB_V_INTR, 0);
	set(VMCB_RFLAGS, 2);
	intercept(SVM_EXIT_CPUID, true);
	ck_assert_uint_eq(RUN_GUEST("\xfb\x0f\xa2"), SVM_EXIT_CPUID); /* sti; cpuid */
	ck_assert_uint_eq(get(VMCB_INTERRUPT_SHADOW), 1);
}
END_TEST

/* One that is not intercepted: the guest goes on behind RSM. */
START_TEST(smi)
{
	u64 host_cr0 = c->cr0, host_cr4 = c->cr4, host_efer = c->efer;

	valid_vm();
	nested_make(7);
	set(VMCB_G_PAT, 0x0706050406040506);
	put64(nested_entry(0x38000), 0); /* the nested tables are not SMM's */
	memcpy(ram->host + 0x38000, "\x90\x0f\xaa", 3); /* nop; rsm */
	cpu_code_written(c, 0x38000, 3);
	c->r[RAX] = VM;
	memcpy(ram->host + GUEST, "\xeb\xfe", 2); /* jmp $ */
	cpu_code_written(c, GUEST, 2);
	ck_assert_int_eq(STEP(VMRUN), -1);
	cpu_smi(c, 0, true);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(c->smm && !svm_guest(c));
	ck_assert_uint_eq(get64(ram->host + 0x3fed8), 1); /* APM vol. 2, table 10-1 */
	ck_assert_uint_eq(get64(ram->host + 0x3fee0), VM);
	ck_assert_uint_eq(get64(ram->host + 0x3ff20), get(VMCB_G_PAT));
	ck_assert_uint_eq(get64(ram->host + 0x3ff28), host_efer);
	ck_assert_uint_eq(get64(ram->host + 0x3ff30), host_cr4);
	ck_assert_uint_eq(get64(ram->host + 0x3ff38), get(VMCB_N_CR3));
	ck_assert_uint_eq(get64(ram->host + 0x3ff40), host_cr0);
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	ck_assert(!c->smm && svm_guest(c));
	ck_assert_uint_eq(c->r[RIP], GUEST);
	memcpy(ram->host + GUEST, VMMCALL, 3);
	cpu_code_written(c, GUEST, 3);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(!svm_guest(c));
	ck_assert_uint_eq(get(VMCB_EXITCODE), SVM_EXIT_VMMCALL);
}
END_TEST

/* 15.17: with the GIF clear interrupts and NMIs wait. A guest may have a virtual one (15.33.2). */
START_TEST(global_interrupt_flag)
{
	ck_assert_int_eq(STEP(CLGI), -1);
	ck_assert(gif_clear(c));
	cpu_nmi(c, 0, true);
	ck_assert_int_eq(STEP("\x90"), -1);
	ck_assert(c->nmi_pending);
	c->nmi_pending = false;
	ck_assert_int_eq(STEP(STGI), -1);
	ck_assert(!gif_clear(c));
	valid_vm();
	gate(0x41);
	set(VMCB_RFLAGS, 2 | FL_I);
	set(VMCB_V_INTR, (u64)0x41 << 32 | V_GIF_ENABLE | V_IGN_TPR | V_IRQ);
	ck_assert_uint_eq(RUN_GUEST("\x90" STGI "\x90"), SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(get(VMCB_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCB_RSP)), GUEST + 4);
}
END_TEST

/* 15.14.4 */
START_TEST(pause_filter)
{
	valid_vm();
	intercept(SVM_EXIT_PAUSE, true);
	set(VMCB_PAUSE_FILTER_COUNT, 5);
	ck_assert_uint_eq(RUN_GUEST("\xff\xc3\xf3\x90\xeb\xfa"), SVM_EXIT_PAUSE); /* inc ebx; pause; jmp $ - 4 */
	ck_assert_uint_eq(c->r[RBX], 6);
}
END_TEST

/* A state that was saved in the middle of a guest goes on like the one that was not. */
START_TEST(saved)
{
	u8 image[1024], cpu[16384];
	struct part parts[CPU_PARTS];
	unsigned n;
	u64 rbx;

	valid_vm();
	memcpy(ram->host + GUEST, "\xff\xc3\xff\xc3\xff\xc3", 6); /* inc ebx, three times */
	memcpy(ram->host + GUEST + 6, VMMCALL, 3);
	c->r[RBX] = 0;
	c->r[RAX] = VM;
	ck_assert_int_eq(STEP(VMRUN), -1);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(svm_guest(c));
	n = cpu_parts(c, parts, CPU_PARTS);
	ck_assert_uint_le(part_size(&parts[n - 1]), sizeof image);
	part_save(&parts[n - 1], image);
	part_save(&parts[0], cpu);
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	rbx = c->r[RBX];
	ck_assert(!svm_guest(c));
	ck_assert(part_load(&parts[0], cpu, part_size(&parts[0]), NULL) &&
		  part_load(&parts[n - 1], image, part_size(&parts[n - 1]), NULL));
	cpu_loaded(c);
	ck_assert(svm_guest(c));
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	ck_assert(!svm_guest(c));
	ck_assert_uint_eq(c->r[RBX], rbx);
	ck_assert_uint_eq(get(VMCB_EXITCODE), SVM_EXIT_VMMCALL);
}
END_TEST

/* ---- what AMD's models alone have ---- */

static u64 msr(u32 index)
{
	u64 v;

	ck_assert(read_msr(c, index, &v));
	return v;
}

static void zen(void)
{
	bare_free();
	bare_new("zen3", RAM);
	host_mode(0);
	ck_assert(write_msr(c, 0xc0010117, SAVE));
	valid_vm();
}

/* DEBUGCTL.LBR (APM vol. 2, 13.1.1, 15.23): a guest leaves its last branch behind, unless it has records of its own. */
START_TEST(branches)
{
	static const char jump[] = "\xeb\x02\x90\x90\x90"; /* jmp to the last nop */

	zen();
	ck_assert(!write_msr(c, 0x1db, 1) && !msr(0x1db));
	ck_assert_int_eq(STEP(jump), -1);
	ck_assert_uint_eq(msr(0x1dc), 0);
	ck_assert(write_msr(c, 0x1d9, 1));
	ck_assert_int_eq(STEP(jump), -1);
	ck_assert(msr(0x1db) == HOST && msr(0x1dc) == HOST + 4);
	ck_assert_uint_eq(RUN_GUEST(jump), SVM_EXIT_VMMCALL); /* neither VMRUN nor #VMEXIT is a branch */
	ck_assert(msr(0x1db) == GUEST && msr(0x1dc) == GUEST + 4);
	ck_assert_int_eq(STEP(jump), -1);
	set(VMCB_VIRTUALIZATION_EXTENSIONS, LBR_ENABLE);
	set(VMCB_DBGCTL, 1);
	set(VMCB_BR_FROM, 0x77);
	ck_assert_uint_eq(RUN_GUEST("\x90"), SVM_EXIT_VMMCALL);
	ck_assert(get(VMCB_BR_FROM) == 0x77 && msr(0x1db) == HOST);
	ck_assert_uint_eq(RUN_GUEST(jump), SVM_EXIT_VMMCALL);
	ck_assert(get(VMCB_BR_FROM) == GUEST && get(VMCB_BR_TO) == GUEST + 4 && get(VMCB_DBGCTL) == 1);
	ck_assert(msr(0x1db) == HOST && msr(0x1dc) == HOST + 4 && msr(0x1d9) == 1);
}
END_TEST

/* TSC_RATIO (15.30.5): 1.0 at first; the guest's TSC is scaled, then its offset is added. */
START_TEST(tsc_ratio)
{
	u64 host, scaled;

	zen();
	ck_assert(msr(0xc0000104) == (u64)1 << 32 && !write_msr(c, 0xc0000104, (u64)1 << 40));
	ck_assert(write_msr(c, 0xc0000104, (u64)5 << 31)); /* 2.5 */
	ck_assert(write_msr(c, 0x10, 1000000));
	set(VMCB_TSC_OFFSET, 7);
	host = msr(0x10);
	ck_assert(host >= 1000000);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x31\x89\xc3"), SVM_EXIT_VMMCALL); /* rdtsc; mov ebx, eax */
	scaled = (c->r[RBX] - 7) * 2 / 5;
	ck_assert(scaled >= host && scaled <= msr(0x10));
}
END_TEST

enum { SHADOWS = 0x40000000 }; /* the same memory as a shadow stack */

/* S_CET, SSP and ISST_ADDR (15.5.1, 15.6, appendix B): the guest's and the host's. */
START_TEST(cet_state)
{
	bare_free();
	bare_new("zen3,+shstk", RAM);
	host_mode(0);
	ck_assert(write_msr(c, 0xc0010117, SAVE));
	put64(ram->host + TABLES + 0x1008, 0xe1);
	c->cr0 |= CR0_WP;
	c->cr4 |= CR4_CET;
	c->ssp = 0x7200;
	c->interrupt_ssp_table = 0x4560;
	cpu_loaded(c);
	valid_vm();
	set(VMCB_S_CET, 1);
	set(VMCB_SSP, SHADOWS + 0x6100);
	set(VMCB_ISST_ADDR, 0x1230);
	/* rdsspq rax; mov rbx, rax; mov ecx, 2; incsspd ecx */
	ck_assert_uint_eq(RUN_GUEST("\xf3\x48\x0f\x1e\xc8\x48\x89\xc3\xb9\x02\0\0\0\xf3\x0f\xae\xe9"),
			  SVM_EXIT_VMMCALL);
	ck_assert_uint_eq(c->r[RBX], SHADOWS + 0x6100);
	ck_assert(get(VMCB_SSP) == SHADOWS + 0x6108 && get(VMCB_S_CET) == 1 && get(VMCB_ISST_ADDR) == 0x1230);
	ck_assert(c->ssp == 0x7200 && !c->s_cet && c->interrupt_ssp_table == 0x4560);
	set(VMCB_CR0, get(VMCB_CR0) & ~(u64)CR0_WP);
	ck_assert_uint_eq(enter(), SVM_EXIT_INVALID);
	set(VMCB_CR0, get(VMCB_CR0) | CR0_WP);
	set(VMCB_S_CET, 0x40);
	ck_assert_uint_eq(enter(), SVM_EXIT_INVALID);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("svm");
	TCase *t = tcase_create("svm");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_add_test(t, who_may);
	tcase_add_test(t, msrs);
	tcase_add_test(t, fields);
	tcase_add_test(t, load_and_save);
	tcase_add_test(t, in_and_out);
	tcase_add_test(t, instructions);
	tcase_add_test(t, permission_maps);
	tcase_add_test(t, entry_checks);
	tcase_add_test(t, nested_paging);
	tcase_add_test(t, nested_in_words);
	tcase_add_test(t, words);
	tcase_add_test(t, virtual_vmsave);
	tcase_add_test(t, exceptions);
	tcase_add_test(t, interrupts);
	tcase_add_test(t, smi);
	tcase_add_test(t, global_interrupt_flag);
	tcase_add_test(t, pause_filter);
	tcase_add_test(t, saved);
	tcase_add_test(t, branches);
	tcase_add_test(t, tsc_ratio);
	tcase_add_test(t, cet_state);
	suite_add_tcase(s, t);
	return bare_run(s);
}
