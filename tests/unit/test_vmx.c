/* SPDX-License-Identifier: MIT */
/* VMX against the SDM's vol. 3: who may use it (23.7, chapter 30), the fields of the VMCS (appendix B), the errors of
 * its instructions (30.4), the checks of VM entries (26.2, 26.3), which instructions exit and with which information
 * (25.1, 27.2), EPT (28.3), events. A guest here is a few bytes of 64-bit code that ends with VMCALL. */
#include "cpu/cet.h"
#include "vmx_guest.h"

static const char *const all[] = { VMXOFF, VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, VMLAUNCH, VMRESUME, VMCALL, INVEPT,
				   INVVPID };

/* ---- instructions ---- */

START_TEST(who_may)
{
	for (unsigned i = 0; i < ARRAY_LEN(all); i++) /* before VMXON */
		ck_assert_int_eq(step(all[i], (unsigned)strlen(all[i])), VEC_UD);
	c->cr4 &= ~(u64)CR4_VMXE;
	ck_assert_int_eq(STEP(VMXON), VEC_UD);
	c->cr4 |= CR4_VMXE;
	c->feature_control = 4; /* not locked */
	ck_assert_int_eq(STEP(VMXON), VEC_GP);
	c->feature_control = 1; /* locked without VMX */
	ck_assert_int_eq(STEP(VMXON), VEC_GP);
	c->feature_control = 5;
	ck_assert_uint_eq(POINTED(VMXON, ON + 8), FL_C); /* not aligned: VMfailInvalid */
	ck_assert_uint_eq(POINTED(VMXON, VM2), FL_C);    /* no revision */
	on();
	ck_assert(!write_cr4(c, c->cr4 & ~(u64)CR4_VMXE)); /* 23.7 */
	ck_assert(!write_cr0(c, c->cr0 & ~(u64)CR0_NE));   /* 23.8 */
	ck_assert(!write_msr(c, 0x3a, 1));
	host_mode(3);
	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		ck_assert_int_eq(step(all[i], (unsigned)strlen(all[i])), VEC_GP);
	host_mode(0);
	ck_assert_int_eq(STEP(VMXOFF), -1);
	ck_assert_int_eq(STEP(VMCALL), VEC_UD);
}
END_TEST

static void expect_error(u32 got, unsigned number)
{
	ck_assert_uint_eq(got, FL_Z);
	ck_assert_uint_eq(vmcs_get(c, VMCS_INSTRUCTION_ERROR), number);
}

/* 30.4 */
START_TEST(errors)
{
	ck_assert_uint_eq(POINTED(VMXON, ON), 0);
	ck_assert_int_eq(STEP(VMREAD), -1);
	ck_assert_uint_eq(flags(), FL_C); /* there is no current VMCS */
	ck_assert_uint_eq(POINTED(VMPTRLD, VM), 0);
	expect_error(POINTED(VMCLEAR, VM + 1), 2);
	expect_error(POINTED(VMCLEAR, ON), 3);
	ck_assert_int_eq(STEP(VMRESUME), -1);
	expect_error(flags(), 5);
	expect_error(POINTED(VMPTRLD, (u64)1 << 45), 9);
	expect_error(POINTED(VMPTRLD, ON), 10);
	expect_error(POINTED(VMPTRLD, VM2), 11);
	c->r[RBX] = 0x6828;
	ck_assert_int_eq(STEP(VMREAD), -1);
	expect_error(flags(), 12);
	expect_error(POINTED(VMXON, ON), 15);
	ck_assert_int_eq(STEP(VMCALL), -1);
	expect_error(flags(), 1);
	c->r[RCX] = 3;
	expect_error(POINTED(INVEPT, 0), 28);
	c->r[RCX] = 4;
	expect_error(POINTED(INVVPID, 1), 28);
	vmcs_set_launched(c, true);
	ck_assert_int_eq(STEP(VMLAUNCH), -1);
	expect_error(flags(), 4);
	ck_assert_int_eq(STEP(VMPTRST), -1);
	ck_assert_uint_eq(get64(ram->host + 0x6000), VM);
	ck_assert_uint_eq(POINTED(VMCLEAR, VM), 0);
	ck_assert_int_eq(STEP(VMPTRST), -1);
	ck_assert_uint_eq(get64(ram->host + 0x6000), ~(u64)0);
}
END_TEST

/* No field lies on another, and each has its width. */
START_TEST(fields)
{
	static const struct { u32 encoding; const char *name; } rows[] = {
#define VMCS(encoding, name, needs) { encoding, #name },
#include "cpu/system/vm/vmcs.def"
#undef VMCS
	};

	on();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		c->r[RBX] = rows[i].encoding;
		c->r[RAX] = 0x0101010101010101 * (i + 1);
		ck_assert_int_eq(STEP(VMWRITE), -1);
		ck_assert_msg(!flags(), "%s", rows[i].name);
	}
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned width = rows[i].encoding >> 13 & 3;
		u64 v = 0x0101010101010101 * (i + 1), mask = width == 0 ? 0xffff : width == 2 ? 0xffffffff : ~(u64)0;

		c->r[RBX] = rows[i].encoding;
		ck_assert_int_eq(STEP(VMREAD), -1);
		ck_assert_msg(c->r[RAX] == (v & mask), "%s: %llx", rows[i].name, (unsigned long long)c->r[RAX]);
		if (width == 1) { /* its high half */
			c->r[RBX]++;
			ck_assert_int_eq(STEP(VMREAD), -1);
			ck_assert_uint_eq(c->r[RAX], v >> 32);
		}
	}
	ck_assert_uint_lt(ARRAY_LEN(rows), 256);
}
END_TEST

/* Fields of features that the processor lacks. */
START_TEST(absent_fields)
{
	static const enum vmcs_field absent[] = { VMCS_GUEST_S_CET, VMCS_HOST_SSP, VMCS_GUEST_PKRS,
						  VMCS_HOST_PERF_GLOBAL_CTRL };

	on();
	for (unsigned i = 0; i < ARRAY_LEN(absent); i++) {
		c->r[RBX] = absent[i];
		ck_assert_int_eq(STEP(VMREAD), -1);
		ck_assert(flags() == FL_Z && get(VMCS_INSTRUCTION_ERROR) == 12);
	}
	ck_assert(!(vmx_capability(c, 0x48f) >> 32 & (EXIT_LOAD_CET | EXIT_LOAD_PKRS | EXIT_LOAD_PERF)));
	ck_assert(!(vmx_capability(c, 0x490) >> 32 & (ENTRY_LOAD_CET | ENTRY_LOAD_PKRS | ENTRY_LOAD_PERF)));
	ck_assert(!(vmx_capability(c, 0x480) >> 56));
}
END_TEST

/* ---- a guest ---- */

/* A guest retires its instructions up to the one that exits; the host goes on at its RIP, with its own state. */
START_TEST(in_and_out)
{
	valid_vm();
	ck_assert_uint_eq(RUN_GUEST("\xb8\x78\x56\x34\x12\xf9"), 18); /* mov eax, 12345678h; stc */
	ck_assert_uint_eq(c->r[RAX], 0x12345678);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 6);
	ck_assert_uint_eq(get(VMCS_GUEST_RFLAGS), 3);
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), 3);
	ck_assert_uint_eq(c->r[RSP], STACK);
	ck_assert_uint_eq(flags(), 0);
	ck_assert(vmcs_launched(c));
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\xb3\x07"), 18);
	ck_assert_uint_eq(c->r[RBX] & 0xff, 7);
}
END_TEST

static const struct {
	const char *code;
	unsigned len, reason;
	u32 proc, secondary; /* the control that makes it exit; 0: it always does */
	u64 qualification;
} exiting[] = {
#define X(code, ...) { code, sizeof code - 1, __VA_ARGS__ }
	X("\x0f\xa2", 10, 0, 0, 0),                               /* cpuid */
	X("\x0f\x08", 13, 0, 0, 0),                               /* invd */
	X("\x0f\x01\xd1", 55, 0, 0, 0),                           /* xsetbv */
	X("\xf4", 12, PROC_HLT, 0, 0),
	X("\x0f\x01\x7b\x08", 14, PROC_INVLPG, 0, 0x6008),        /* invlpg [rbx + 8] */
	X("\x0f\x31", 16, PROC_RDTSC, 0, 0),
	X("\x0f\x33", 15, PROC_RDPMC, 0, 0),
	X("\x0f\x22\xd8", 28, PROC_CR3_LOAD, 0, 3),               /* mov cr3, rax */
	X("\x0f\x20\xda", 28, PROC_CR3_STORE, 0, 0x213),          /* mov rdx, cr3 */
	X("\x44\x0f\x22\xc0", 28, PROC_CR8_LOAD, 0, 8),           /* mov cr8, rax */
	X("\x44\x0f\x20\xc1", 28, PROC_CR8_STORE, 0, 0x118),      /* mov rcx, cr8 */
	X("\x0f\x21\xf8", 29, PROC_MOV_DR, 0, 0x17),              /* mov rax, dr7 */
	X("\xe4\x70", 30, PROC_IO, 0, 0x700048),                  /* in al, 70h */
	X("\xef", 30, PROC_IO, 0, 0x560003),                      /* out dx, eax */
	X("\x0f\x01\xc9", 36, PROC_MWAIT, 0, 0),
	X("\x0f\x01\xc8", 39, PROC_MONITOR, 0, 0),
	X("\xf3\x90", 40, PROC_PAUSE, 0, 0),
	X("\x0f\x01\x03", 46, 0, SEC_TABLES, 0),                  /* sgdt [rbx] */
	X("\x0f\x00\xc0", 47, 0, SEC_TABLES, 0),                  /* sldt eax */
	X("\x0f\x09", 54, 0, SEC_WBINVD, 0),
	X("\x0f\xc7\xf0", 57, 0, SEC_RDRAND, 0),
	X("\x0f\xc7\xf8", 61, 0, SEC_RDSEED, 0),
#undef X
};

/* Table by table: with the control the exit, at the instruction; without it, VMCALL's behind it. */
START_TEST(instructions)
{
	valid_vm();
	for (unsigned i = 0; i < ARRAY_LEN(exiting); i++)
		for (unsigned with = 0; with < 2; with++) {
			bool exits = with || !(exiting[i].proc | exiting[i].secondary);
			u32 reason;

			if (!exits && (exiting[i].reason == 12 || exiting[i].reason == 15 || exiting[i].reason == 36))
				continue; /* they sleep, or fault */
			set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY | (with ? exiting[i].proc : 0));
			set(VMCS_SECONDARY_CONTROLS, with ? exiting[i].secondary : 0);
			set(VMCS_GUEST_RIP, GUEST);
			set(VMCS_GUEST_INTERRUPTIBILITY, 0);
			c->r[RAX] = exiting[i].qualification == 8 ? 0 : TABLES, c->r[RBX] = 0x6000, c->r[RCX] = 0, c->r[RDX] = 0x56;
			reason = guest(exiting[i].code, exiting[i].len);
			ck_assert_msg(reason == (exits ? exiting[i].reason : 18), "row %u, %u: %u", i, with, reason);
			ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + (exits ? 0 : exiting[i].len));
			if (!exits)
				continue;
			ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), exiting[i].len);
			ck_assert_uint_eq(c->vmx->cause.bit, with ? exiting[i].proc | exiting[i].secondary : 0);
			ck_assert_msg(!c->vmx->cause.bit ||
				      c->vmx->cause.field == (exiting[i].proc ? VMCS_PROC_CONTROLS : VMCS_SECONDARY_CONTROLS),
				      "row %u: %x", i, c->vmx->cause.field);
			ck_assert_msg(get(VMCS_EXIT_QUALIFICATION) == exiting[i].qualification, "row %u: %llx", i,
				      (unsigned long long)get(VMCS_EXIT_QUALIFICATION));
		}
}
END_TEST

/* INS and OUTS (tables 27-5 and 27-8): qualification, address size and segment, linear address. The segment of INS is
 * undefined. */
START_TEST(string_io)
{
	enum { BITS_16 = 0, BITS_32 = 1 << 7, BITS_64 = 2 << 7, IN = 8, STRING = 0x10, REP = 0x20 };
	static const struct {
		u32 cs_rights;
		const char *code;
		unsigned len;
		u64 qualification, linear;
		u32 info;
	} rows[] = {
#define X(cs, code, ...) { cs, code, sizeof code - 1, __VA_ARGS__ }
		X(0xa09b, "\x6c", IN | STRING, 0x100006000, BITS_64),                      /* insb */
		X(0xa09b, "\xf3\x6d", 3 | IN | STRING | REP, 0x100006000, BITS_64),        /* rep insd */
		X(0xa09b, "\x67\xf3\x66\x6d", 1 | IN | STRING | REP, 0x6000, BITS_32),     /* rep insw, edi */
		X(0xa09b, "\xf3\x64\x6e", STRING | REP, 0x30000a000, BITS_64 | FS << 15), /* rep outsb, fs:rsi */
		X(0xa09b, "\x67\x6f", 3 | STRING, 0x7000, BITS_32 | DS << 15),            /* outsd, esi */
		X(0xc09b, "\x64\x66\xf2\x6f", 1 | STRING | REP, 0xa000, BITS_32 | FS << 15), /* repne outsw, fs:esi */
		X(0xc09b, "\x67\xf3\x26\x6e", STRING | REP, 0x7040, BITS_16 | ES << 15),   /* rep outsb, es:si */
		X(0xc09b, "\x67\x36\x6c", IN | STRING, 0x6040, BITS_16),                  /* insb, di */
#undef X
	};

	valid_vm();
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_IO);
	set(VMCS_GUEST_FS_BASE, 0x3000);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u32 known = rows[i].qualification & IN ? 7u << 7 : ~0u;

		set(VMCS_GUEST_CS_RIGHTS, rows[i].cs_rights);
		set(VMCS_GUEST_ES_BASE, rows[i].info & (3 << 7) ? 0 : 0x40);
		set(VMCS_GUEST_RIP, GUEST);
		c->r[RDI] = 0x100006000, c->r[RSI] = 0x300007000, c->r[RCX] = 2, c->r[RDX] = 0x511;
		ck_assert_uint_eq(guest(rows[i].code, rows[i].len), VMEXIT_IO);
		ck_assert_msg(get(VMCS_EXIT_QUALIFICATION) == (rows[i].qualification | 0x5110000), "row %u", i);
		ck_assert_msg((get(VMCS_EXIT_INSTRUCTION_INFO) & known) == rows[i].info, "row %u", i);
		ck_assert_msg(get(VMCS_GUEST_LINEAR_ADDRESS) == rows[i].linear, "row %u", i);
		ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), rows[i].len);
		ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
		ck_assert(c->r[RCX] == 2 && c->r[RDI] == 0x100006000 && c->r[RSI] == 0x300007000);
	}
	c->r[RCX] = 0; /* no access, no exit; VMCALL exits in compatibility mode, too */
	set(VMCS_GUEST_CS_RIGHTS, 0xc09b);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\xf3\x6c"), VMEXIT_VMCALL);
}
END_TEST

/* 24.6.4, 24.6.9: bitmaps of ports and MSRs. */
START_TEST(bitmaps)
{
	valid_vm();
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
	set(VMCS_IO_BITMAP_A, BITMAPS);
	set(VMCS_IO_BITMAP_B, BITMAPS + 0x1000);
	set(VMCS_MSR_BITMAP, BITMAPS + 0x2000);
	ck_assert_uint_eq(RUN_GUEST("\xe5\x70"), 18);
	ram->host[BITMAPS + 0x73 / 8] = 1 << (0x73 & 7);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\xe5\x70"), 30); /* in eax, 70h covers 73h */
	c->r[RCX] = 0xc0000080;
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x32"), 18);
	ram->host[BITMAPS + 0x2000 + 1024 + 0x10] = 1;
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x32"), 31);
	c->r[RCX] = 0x40000000; /* in neither range */
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x32"), 31);
}
END_TEST

/* 25.3: the host's bits of CR0 and CR4 read from their shadows, and exit when they would differ from them. */
START_TEST(shadows)
{
	valid_vm();
	set(VMCS_CR0_MASK, CR0_TS | CR0_MP);
	set(VMCS_CR0_SHADOW, CR0_TS);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x20\xc0"), 18);
	ck_assert_uint_eq(c->r[RAX], (get(VMCS_GUEST_CR0) & ~(u64)(CR0_TS | CR0_MP)) | CR0_TS);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RAX] |= CR0_WP; /* the guest's own */
	ck_assert_uint_eq(RUN_GUEST("\x0f\x22\xc0"), 18);
	ck_assert(get(VMCS_GUEST_CR0) & CR0_WP && !(get(VMCS_GUEST_CR0) & CR0_TS));
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x06"), 28); /* clts */
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 0x20);
}
END_TEST

/* 24.10, 24.6.15: VMREAD and VMWRITE of a guest, on the VMCS that the link pointer names. */
START_TEST(shadow_vmcs)
{
	valid_vm();
	put32(ram->host + VM2, VMCS_REVISION | VMCS_SHADOW);
	ck_assert_uint_eq(POINTED(VMPTRLD, VM2), 0);
	set(VMCS_GUEST_RIP, 0x1234);
	ck_assert_int_eq(STEP(VMLAUNCH), -1);
	ck_assert_uint_eq(flags(), FL_C); /* VMfailInvalid */
	ck_assert_uint_eq(POINTED(VMPTRLD, VM), 0);
	set(VMCS_SECONDARY_CONTROLS, SEC_SHADOW);
	set(VMCS_VMREAD_BITMAP, BITMAPS);
	set(VMCS_VMWRITE_BITMAP, BITMAPS + 0x1000);
	c->r[RBX] = VMCS_GUEST_RIP;
	ck_assert_uint_eq(RUN_GUEST(VMREAD), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RFLAGS), 3); /* there is no link: VMfailInvalid */
	set(VMCS_VMCS_LINK, VM2);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST(VMREAD), 18);
	ck_assert_uint_eq(c->r[RAX], 0x1234);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RAX] = 0x5678;
	ck_assert_uint_eq(RUN_GUEST(VMWRITE), 18);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RBX] = 0x6828; /* no such field */
	ck_assert_uint_eq(RUN_GUEST(VMREAD), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RFLAGS), 2 | FL_Z);
	ck_assert_uint_eq(get(VMCS_INSTRUCTION_ERROR), 12);
	set(VMCS_GUEST_RIP, GUEST);
	c->r[RBX] = 0x8000 | VMCS_GUEST_RIP;
	ck_assert_uint_eq(RUN_GUEST(VMREAD), 23);
	ram->host[BITMAPS + VMCS_GUEST_RIP / 8] = 1 << VMCS_GUEST_RIP % 8;
	c->r[RBX] = VMCS_GUEST_RIP;
	ck_assert_uint_eq(RUN_GUEST(VMREAD), 23);
	ram->host[BITMAPS + 0x1000 + VMCS_GUEST_RIP / 8] = 1 << VMCS_GUEST_RIP % 8;
	ck_assert_uint_eq(RUN_GUEST(VMWRITE), 25);
	ck_assert_uint_eq(POINTED(VMPTRLD, VM2), 0);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), 0x5678);
	bare_free(); /* the same without the control */
	setup_model("max,-vmx-shadow-vmcs");
	put32(ram->host + VM2, VMCS_REVISION | VMCS_SHADOW);
	on();
	expect_error(POINTED(VMPTRLD, VM2), 11);
}
END_TEST

/* 25.3: RDTSC is TSC * multiplier / 2^48 + offset. */
START_TEST(tsc)
{
	u64 now;

	valid_vm();
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY | PROC_TSC_OFFSET);
	set(VMCS_SECONDARY_CONTROLS, SEC_TSC_SCALING);
	set(VMCS_TSC_MULTIPLIER, (u64)3 << 47);
	set(VMCS_TSC_OFFSET, 1000);
	c->tsc_offset = (u64)1 << 40;
	ck_assert_uint_eq(RUN_GUEST("\x0f\x31\x48\xc1\xe2\x20\x48\x09\xd0"), 18); /* rdtsc; shl rdx, 32; or rax, rdx */
	now = c->r[RAX] - 1000;
	ck_assert_uint_ge(now, (u64)3 << 39);
	ck_assert_uint_le(now, ((u64)3 << 39) + (c->clock->now + 1) * 3 / 2);
}
END_TEST

/* ---- checks of VM entries ---- */

static const struct {
	enum vmcs_field field;
	u64 value;
	u32 result;              /* 7, 8: an error; else an exit's reason */
	u32 named;               /* the field that is said to be wrong, + 1; 0: FIELD */
} bad[] = {
	{ VMCS_PIN_CONTROLS, 0, 7 }, { VMCS_PROC_CONTROLS, 0, 7 }, { VMCS_EXIT_CONTROLS, 0, 7 },
	{ VMCS_ENTRY_CONTROLS, 0, 7 }, { VMCS_CR3_TARGET_COUNT, 5, 7 }, { VMCS_SECONDARY_CONTROLS, SEC_UNRESTRICTED, 7 },
	{ VMCS_SECONDARY_CONTROLS, SEC_VPID, 7, VMCS_VPID + 1 }, { VMCS_SECONDARY_CONTROLS, SEC_EPT, 7, VMCS_EPT_POINTER + 1 },
	{ VMCS_ENTRY_INTERRUPTION, 0x80000100, 7 }, { VMCS_ENTRY_INTERRUPTION, 0x80000803, 7 },
	{ VMCS_HOST_CR0, 0, 8 }, { VMCS_HOST_CR4, 0, 8 }, { VMCS_HOST_CR3, ~(u64)0, 8 }, { VMCS_HOST_CS_SELECTOR, 0, 8 },
	{ VMCS_HOST_TR_SELECTOR, 0, 8 }, { VMCS_HOST_SS_SELECTOR, 3, 8 }, { VMCS_HOST_FS_BASE, (u64)1 << 47, 8 },
	{ VMCS_HOST_RIP, (u64)1 << 47, 8 }, { VMCS_HOST_EFER, 0, 8 },
	{ VMCS_GUEST_CR0, CR0_PE | CR0_PG, 33 }, { VMCS_GUEST_CR4, CR4_PAE, 33 }, { VMCS_GUEST_EFER, 0, 33 },
	{ VMCS_GUEST_RFLAGS, 0, 33 }, { VMCS_GUEST_RFLAGS, 2 | FL_VM, 33, VMCS_GUEST_ES_BASE + 1 }, { VMCS_GUEST_RIP, (u64)1 << 47, 33 },
	{ VMCS_GUEST_CS_RIGHTS, 0xa093, 33 }, { VMCS_GUEST_CS_RIGHTS, 0xe09b, 33 }, { VMCS_GUEST_SS_RIGHTS, 0xc09b, 33 },
	{ VMCS_GUEST_DS_RIGHTS, 0xc013, 33 }, { VMCS_GUEST_TR_RIGHTS, 0x83, 33 }, { VMCS_GUEST_TR_SELECTOR, 4, 33 },
	{ VMCS_GUEST_LDTR_RIGHTS, 0x80, 33 }, { VMCS_GUEST_ES_LIMIT, 0xfffffff0, 33 }, { VMCS_GUEST_ACTIVITY, 4, 33 },
	{ VMCS_GUEST_INTERRUPTIBILITY, 3, 33 }, { VMCS_GUEST_INTERRUPTIBILITY, 0x10, 33 },
	{ VMCS_GUEST_PENDING_DEBUG, 0x10, 33 }, { VMCS_VMCS_LINK, 0, 33 }, { VMCS_GUEST_GDTR_LIMIT, 0x10000, 33 },
	{ VMCS_ENTRY_INTERRUPTION, 0x80000030, 33, VMCS_GUEST_RFLAGS + 1 }, /* an external interrupt with IF clear */
};

START_TEST(entry_checks)
{
	valid_vm();
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		u64 good = get(bad[i].field);
		struct vm_check failed;

		ck_assert(vmx_entry_check(c, &failed));
		set(VMCS_GUEST_RIP, GUEST);
		set(bad[i].field, bad[i].value);
		ck_assert(!vmx_entry_check(c, &failed));
		ck_assert_msg(failed.field == (bad[i].named ? bad[i].named - 1 : bad[i].field) && strchr(failed.rule, '('),
			      "row %u: %x %s", i, failed.field, failed.rule);
		STEP(VMRESUME);
		for (unsigned k = 0; k < 3 && vmx_guest(c); k++)
			cpu_run(c, c->icount + 1, CLOCK_NEVER);
		if (bad[i].result < 10) {
			ck_assert_msg(flags() == FL_Z && get(VMCS_INSTRUCTION_ERROR) == bad[i].result, "row %u", i);
		} else {
			ck_assert_msg(get(VMCS_EXIT_REASON) == (0x80000000 | bad[i].result), "row %u: %llx", i,
				      (unsigned long long)get(VMCS_EXIT_REASON));
			ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), bad[i].field == VMCS_VMCS_LINK ? 4 : 0);
			ck_assert_uint_eq(c->r[RSP], STACK);
		}
		set(bad[i].field, good);
		set(VMCS_EXIT_REASON, 0);
		host_mode(0);
	}
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
}
END_TEST

/* ---- EPT ---- */

START_TEST(ept)
{
	static const char load[] = "\x48\x8b\x03", store[] = "\x48\x89\x03"; /* mov rax, [rbx]; mov [rbx], rax */

	valid_vm();
	ept_make(7);
	c->r[RBX] = 0x40008;
	put64(ram->host + 0x41008, 0x1234);
	put64(ept_entry(0x40000), 0x41000 | 6 << 3 | 7); /* elsewhere */
	ck_assert_uint_eq(guest(load, 3), 18);
	ck_assert_uint_eq(c->r[RAX], 0x1234);

	put64(ept_entry(0x40000), 0x41000 | 6 << 3 | 1); /* read-only */
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(guest(store, 3), 48);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 2 | 1 << 3 | 0x180);
	ck_assert_uint_eq(get(VMCS_GUEST_PHYSICAL_ADDRESS), 0x40008);
	ck_assert_uint_eq(get(VMCS_GUEST_LINEAR_ADDRESS), 0x40008);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);

	put64(ept_entry(0x40000), 0x41000 | 6 << 3 | 2); /* write-only: a misconfiguration */
	ck_assert_uint_eq(guest(load, 3), 49);
	put64(ept_entry(0x40000), 0x41000 | 6 << 3 | 7);

	put64(ept_entry(TABLES), 0); /* the guest's own paging structure: bit 8 is clear */
	ck_assert_uint_eq(guest(load, 3), 48);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 1 | 0x80);
	put64(ept_entry(TABLES), TABLES | 6 << 3 | 7);

	set(VMCS_EPT_POINTER, EPT | 3 << 3 | 6 | 0x40); /* A and D flags */
	ck_assert_uint_eq(guest(load, 3), 18);
	ck_assert_uint_eq(get64(ept_entry(0x40000)) & 0x300, 0x100);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(guest(store, 3), 18);
	ck_assert_uint_eq(get64(ept_entry(0x40000)) & 0x300, 0x300);
	put64(ept_entry(GUEST), GUEST | 6 << 3 | 3);     /* no execution */
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(guest(load, 3), 48);
	ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), 4 | 3 << 3 | 0x180);
}
END_TEST

/* The entry that forbids an access, in words. */
START_TEST(ept_in_words)
{
	static const struct { u64 entry; enum access kind; const char *why; } rows[] = {
		{ 0x41000 | 6 << 3 | 7, ACCESS_WRITE, NULL },
		{ 0x41000 | 6 << 3 | 5, ACCESS_WRITE, "lacks write permission" },
		{ 0x41000 | 6 << 3 | 3, ACCESS_FETCH, "lacks execute permission" },
		{ 0x41000 | 6 << 3 | 4, ACCESS_READ, "lacks read permission" },
		{ 0, ACCESS_READ, "is not present" },
		{ 0x41000 | 6 << 3 | 2, ACCESS_READ, "allows writes and no reads (28.3.3.1)" },
		{ 0x41000 | 3 << 3 | 7, ACCESS_READ, "has a memory type that is reserved (28.3.3.1)" },
		{ (u64)1 << 45 | 7, ACCESS_READ, "has an address beyond the processor's physical addresses (28.3.3.1)" },
	};
	struct second_level_trace t;

	valid_vm();
	ept_make(7);
	c->vmx->controls.eptp = get(VMCS_EPT_POINTER);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		put64(ept_entry(0x40000), rows[i].entry);
		ept_trace(c, 0x40008, rows[i].kind, &t);
		ck_assert_uint_eq(t.count, 4);
		ck_assert_uint_eq(t.culprit, 3);
		ck_assert_uint_eq(t.at[3], EPT + 0x3000 + 8 * 0x40);
		ck_assert_uint_eq(t.entry[3], rows[i].entry);
		ck_assert_msg(rows[i].why ? t.why && !strcmp(t.why, rows[i].why) : !t.why, "row %u: %s", i, t.why);
	}
	put64(ram->host + EPT + 0x1000, (EPT + 0x2000) | 5); /* an inner table */
	put64(ept_entry(0x40000), 0x41000 | 7);
	ept_trace(c, 0x40008, ACCESS_WRITE, &t);
	ck_assert_uint_eq(t.culprit, 1);
	ck_assert_str_eq(t.why, "lacks write permission");
	ept_trace(c, (u64)1 << 48, ACCESS_READ, &t);
	ck_assert_uint_eq(t.count, 0);
	ck_assert(t.why);
}
END_TEST

/* Fields in words: the names that the SDM uses. */
START_TEST(words)
{
	static const struct { enum vmcs_field field; u64 value; const char *text; } rows[] = {
		{ VMCS_PIN_CONTROLS, 0x16 | PIN_INTR | PIN_TIMER,
		  "external-interrupt exiting, activate VMX-preemption timer" },
		{ VMCS_PROC_CONTROLS, 0x04006172 | PROC_HLT | PROC_PAUSE, "HLT exiting, PAUSE exiting" },
		{ VMCS_SECONDARY_CONTROLS, SEC_EPT | SEC_UNRESTRICTED, "enable EPT, unrestricted guest" },
		{ VMCS_EXIT_CONTROLS, EXIT_HOST_64 | EXIT_ACK_INTR,
		  "host address-space size, acknowledge interrupt on exit" },
		{ VMCS_ENTRY_CONTROLS, ENTRY_LONG, "IA-32e mode guest" },
		{ VMCS_EXIT_REASON, 0x80000021, "VM-entry failure: guest state" },
		{ VMCS_EXIT_REASON, 48, "EPT violation" }, { VMCS_EXIT_REASON, 77, "" },
		{ VMCS_EXIT_INTERRUPTION, 0x80000b0e, "hardware exception, vector 14, error code" },
		{ VMCS_EXIT_INTERRUPTION, 0x30e, "" }, { VMCS_GUEST_ACTIVITY, 3, "wait-for-SIPI" },
		{ VMCS_GUEST_RIP, 0x1234, "" },
	};
	char text[160], cut[8];

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_uint_eq(vmcs_text(rows[i].field, rows[i].value, text, sizeof text), strlen(rows[i].text));
		ck_assert_str_eq(text, rows[i].text);
		ck_assert_uint_eq(vmcs_text(rows[i].field, rows[i].value, cut, sizeof cut), strlen(rows[i].text));
		ck_assert(strlen(cut) < sizeof cut && !strncmp(cut, text, strlen(cut)));
	}
	ck_assert_str_eq(vmx_cause_text(&(struct vmx_cause){ VMCS_PROC_CONTROLS, PROC_HLT, NULL }),
			 "\"HLT exiting\" is 1 (primary processor-based control, bit 7)");
}
END_TEST

/* ---- SMM (31.14) ---- */

enum { SMBASE = 0x30000, HANDLER = SMBASE + 0x8000, IMAGE_CS = SMBASE + 0xfe10, IMAGE_CR4 = SMBASE + 0xff48 };

/* An SMI, and the first instruction of its handler: mov eax, cr4. RSM comes behind it. */
static void into_smm(void)
{
	memcpy(ram->host + HANDLER, "\x0f\x20\xe0\x0f\xaa", 5);
	cpu_code_written(c, HANDLER, 5);
	cpu_smi(c, 0, true);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(c->smm && !vmx_guest(c) && !vmx_operation(c));
	ck_assert_uint_eq(c->r[RIP], 0x8003);
	ck_assert_uint_eq(c->r[RAX], 0); /* CR4.VMXE, too */
	ck_assert(!(get64(ram->host + IMAGE_CR4) & CR4_VMXE));
	ck_assert(!write_cr4(c, c->cr4 | CR4_VMXE));
}

static void rsm(void)
{
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(!c->smm);
}

START_TEST(smm_from_root)
{
	into_smm(); /* CR4.VMXE without VMXON */
	rsm();
	ck_assert(c->cr4 & CR4_VMXE && !vmx_operation(c));
	c->cr4 &= ~(u64)CR4_VMXE;
	into_smm();
	rsm();
	ck_assert(!(c->cr4 & CR4_VMXE));
	c->cr4 |= CR4_VMXE;
	c->r[RIP] = HOST;
	on();
	into_smm();
	put16(ram->host + IMAGE_CS, (u16)(c->seg[CS].sel | 3)); /* the RPL becomes the DPL of SS */
	rsm();
	ck_assert(c->cr4 & CR4_VMXE && vmx_operation(c) && !vmx_guest(c));
	ck_assert_uint_eq(c->seg[CS].sel & 3, 0);
	ck_assert_uint_eq(POINTED(VMPTRLD, VM), 0);
	into_smm();
	put64(ram->host + IMAGE_CR4, get64(ram->host + IMAGE_CR4) | CR4_VMXE);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert_uint_eq(c->activity, ACTIVITY_SHUTDOWN);
}
END_TEST

/* The guest does not exit, and its tables are not SMM's. _i: it has a VPID. */
START_TEST(smm_from_guest)
{
	valid_vm();
	ept_make(7);
	if (_i) {
		set(VMCS_SECONDARY_CONTROLS, SEC_EPT | SEC_VPID);
		set(VMCS_VPID, 1);
	}
	put64(ept_entry(HANDLER), 0);
	memcpy(ram->host + GUEST, "\xeb\xfe", 2); /* jmp $ */
	cpu_code_written(c, GUEST, 2);
	STEP(VMLAUNCH);
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	ck_assert(vmx_guest(c));
	into_smm();
	rsm();
	ck_assert(vmx_guest(c) && c->cr4 & CR4_VMXE);
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	ck_assert(vmx_guest(c));
	ck_assert_uint_eq(c->r[RIP], GUEST);
	memcpy(ram->host + GUEST, VMCALL, 3);
	cpu_code_written(c, GUEST, 3);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(!vmx_guest(c));
	ck_assert_uint_eq(get(VMCS_EXIT_REASON), 18);
}
END_TEST

/* ---- events ---- */

START_TEST(events)
{
	valid_vm();
	gate(0x30);
	gate(VEC_UD);
	set(VMCS_ENTRY_INTERRUPTION, 0x80000030); /* injected: an external interrupt */
	set(VMCS_GUEST_RFLAGS, 2 | FL_I);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);
	ck_assert_uint_eq(get64(ram->host + get(VMCS_GUEST_RSP)), GUEST); /* returns to the first instruction */
	ck_assert_uint_eq(get(VMCS_ENTRY_INTERRUPTION), 0x30);            /* no longer valid */

	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_UD);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), 0); /* ud2 */
	ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), 0x80000306);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST);
	set(VMCS_EXCEPTION_BITMAP, 0);
	ck_assert_uint_eq(RUN_GUEST("\x0f\x0b"), 18);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 0x100);

	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_EXCEPTION_BITMAP, 1 << VEC_GP);
	set(VMCS_GUEST_IDTR_LIMIT, 0);
	ck_assert_uint_eq(RUN_GUEST("\xcd\x30"), 0); /* int 30h, whose gate is beyond the limit */
	ck_assert_uint_eq(get(VMCS_EXIT_INTERRUPTION), 0x80000b0d);
	ck_assert_uint_eq(get(VMCS_EXIT_ERROR_CODE), 0x30 * 8 + 2);
	ck_assert_uint_eq(get(VMCS_IDT_VECTORING), 0x80000430);
	ck_assert_uint_eq(get(VMCS_EXIT_INSTRUCTION_LENGTH), 2);
	set(VMCS_EXCEPTION_BITMAP, 0);
	ck_assert_uint_eq(RUN_GUEST("\xcd\x30"), 2); /* a triple fault */

	set(VMCS_PIN_CONTROLS, 0x16 | PIN_TIMER);
	set(VMCS_PREEMPTION_TIMER, 5);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\xeb\xfe"), 52); /* jmp $ */
	set(VMCS_PIN_CONTROLS, 0x16 | PIN_INTR);
	cpu_intr(c, 0, true);
	ck_assert_uint_eq(RUN_GUEST("\xeb\xfe"), 1);  /* although IF may be clear */
	cpu_intr(c, 0, false);
	set(VMCS_PIN_CONTROLS, 0x16);
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_INTR_WINDOW);
	set(VMCS_GUEST_RFLAGS, 2);
	ck_assert_uint_eq(RUN_GUEST("\xfb\x90\x90"), 7); /* sti; the window opens behind the next instruction */
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 2);
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_TRAP_FLAG);
	set(VMCS_GUEST_RIP, GUEST);
	ck_assert_uint_eq(RUN_GUEST("\x90\x90"), 37);
	ck_assert_uint_eq(get(VMCS_GUEST_RIP), GUEST + 1);
}
END_TEST

/* A host that resumes a guest for ever, an instruction at a time: nothing but the VMCS changes from round to round, and
 * that is enough for the rounds not to be counted in place of executed (wait.h). */
START_TEST(rounds)
{
	u64 rip[2];

	for (unsigned skip = 0; skip < 2; skip++) {
		if (skip) {
			bare_free();
			setup();
		}
		c->all->no_skip_waiting = !skip;
		valid_vm();
		set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_TRAP_FLAG);
		memset(ram->host + GUEST, 0x90, 0x6000);
		memcpy(ram->host + HOST + 0x100, VMRESUME, 3);
		vmcs_set_launched(c, true);
		c->r[RIP] = HOST + 0x100;
		memcpy(ram->host + GUEST + 0x5000, "\xe9\xfb\xaf\xff\xff", 5); /* jmp GUEST */
		ck_assert_int_eq(cpu_run(c, c->icount + 300001, CLOCK_NEVER), CPU_LIMIT);
		rip[skip] = get(VMCS_GUEST_RIP);
	}
	ck_assert_uint_eq(rip[0], rip[1]);
}
END_TEST

/* A state that was saved in the middle of a guest goes on like the one that was not. */
START_TEST(saved)
{
	struct part part;
	u8 image[1024], cpu[16384];
	struct part parts[2];
	u64 rbx;

	valid_vm();
	memcpy(ram->host + GUEST, "\xff\xc3\xff\xc3\xff\xc3", 6); /* inc ebx, three times */
	memcpy(ram->host + GUEST + 6, VMCALL, 3);
	c->r[RBX] = 0;
	ck_assert_int_eq(STEP(VMLAUNCH), -1);
	cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(vmx_guest(c));
	ck_assert_uint_eq(cpu_parts(c, parts, 2), 2);
	part = parts[1];
	ck_assert_uint_le(part_size(&part), sizeof image);
	part_save(&part, image);
	part_save(&parts[0], cpu);
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	rbx = c->r[RBX];
	ck_assert(!vmx_guest(c));
	ck_assert(part_load(&parts[0], cpu, part_size(&parts[0]), NULL) &&
		  part_load(&part, image, part_size(&part), NULL));
	cpu_loaded(c);
	ck_assert(vmx_guest(c));
	cpu_run(c, c->icount + 3, CLOCK_NEVER);
	ck_assert(!vmx_guest(c));
	ck_assert_uint_eq(c->r[RBX], rbx);
	ck_assert_uint_eq(get(VMCS_EXIT_REASON), 18);
}
END_TEST

/* ---- CET, protection keys of the supervisor, performance counters ---- */

enum { SHADOWS = 0x40000000 }; /* the same memory as a shadow stack */

static void cet_setup(void)
{
	setup_model("max,+vmx,+shstk,+ibt,+pks,+pmu,+msrlist,+fred,+apx,+enqcmd");
	put64(ram->host + TABLES + 0x1008, 0xe1);
	c->cr0 |= CR0_WP;
	c->cr4 |= CR4_CET | CR4_PKS;
	cpu_loaded(c);
}

/* IA32_PERF_GLOBAL_CTRL (26.3.2.1, 27.5.1). */
START_TEST(counters)
{
	u64 v;

	valid_vm();
	set(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | EXIT_LOAD_PERF);
	set(VMCS_ENTRY_CONTROLS, get(VMCS_ENTRY_CONTROLS) | ENTRY_LOAD_PERF);
	set(VMCS_GUEST_PERF_GLOBAL_CTRL, (u64)1 << 32);
	set(VMCS_HOST_PERF_GLOBAL_CTRL, 0);
	ck_assert(write_msr(c, 0x38d, 3) && write_msr(c, 0x38f, 0));
	ck_assert_uint_eq(RUN_GUEST("\x90\x90\x90"), 18); /* VMCALL does not retire */
	ck_assert(read_msr(c, 0x309, &v));
	ck_assert_uint_ge(v, 3);
	ck_assert_uint_le(v, 4); /* the VM entry may count */
	ck_assert(read_msr(c, 0x38f, &v) && v == 0);
	set(VMCS_GUEST_PERF_GLOBAL_CTRL, 1 << 4);
	ck_assert(!vmx_entry_check(c, &(struct vm_check){ 0 }));
}
END_TEST

static void cet_vm(void)
{
	valid_vm();
	set(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | EXIT_LOAD_CET | EXIT_LOAD_PKRS);
	set(VMCS_ENTRY_CONTROLS, get(VMCS_ENTRY_CONTROLS) | ENTRY_LOAD_CET | ENTRY_LOAD_PKRS);
	set(VMCS_GUEST_S_CET, CET_SHSTK);
	set(VMCS_GUEST_SSP, SHADOWS + 0x6100);
	set(VMCS_GUEST_INTERRUPT_SSP_TABLE, 0x1230);
	set(VMCS_GUEST_PKRS, 0x50);
	set(VMCS_HOST_S_CET, CET_ENDBR);
	set(VMCS_HOST_SSP, 0x7200);
	set(VMCS_HOST_INTERRUPT_SSP_TABLE, 0x4560);
	set(VMCS_HOST_PKRS, 0xa0);
}

/* The state of the host and of the guest, which changes its own (24.4.1, 26.3.2.1, 27.3.1, 27.5.1). */
START_TEST(cet_state)
{
	ck_assert_uint_eq(vmx_capability(c, 0x480) >> 56 & 1, 1);
	ck_assert_uint_eq(vmx_capability(c, 0x48f) >> 60 & 3, 3);
	ck_assert_uint_eq(vmx_capability(c, 0x490) >> 52 & 5, 5);
	cet_vm();
	ck_assert_uint_eq(RUN_GUEST("\xf3\x48\x0f\x1e\xc8\xb9\x02\0\0\0\xf3\x0f\xae\xe9"), 18);
	ck_assert_uint_eq(c->r[RAX], SHADOWS + 0x6100); /* rdsspq rax; mov ecx, 2; incsspd ecx */
	ck_assert_uint_eq(get(VMCS_GUEST_SSP), SHADOWS + 0x6108);
	ck_assert(get(VMCS_GUEST_S_CET) == CET_SHSTK && get(VMCS_GUEST_INTERRUPT_SSP_TABLE) == 0x1230);
	ck_assert(c->s_cet == CET_ENDBR && c->ssp == 0x7200 && c->interrupt_ssp_table == 0x4560);
	ck_assert(get(VMCS_GUEST_PKRS) == 0x50 && c->pkrs == 0xa0);
	/* without the controls, the processor's stay; what the guest has is saved nevertheless */
	set(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) & ~(u64)(EXIT_LOAD_CET | EXIT_LOAD_PKRS));
	set(VMCS_ENTRY_CONTROLS, get(VMCS_ENTRY_CONTROLS) & ~(u64)(ENTRY_LOAD_CET | ENTRY_LOAD_PKRS));
	set(VMCS_GUEST_RIP, GUEST);
	c->s_cet = 0;
	c->ssp = 0x3300;
	c->pkrs = 0x10;
	update_mode(c);
	ck_assert_uint_eq(RUN_GUEST("\x90"), 18);
	ck_assert(get(VMCS_GUEST_SSP) == 0x3300 && !get(VMCS_GUEST_S_CET) && get(VMCS_GUEST_PKRS) == 0x10);
	ck_assert(c->ssp == 0x3300 && !c->s_cet && c->pkrs == 0x10);
}
END_TEST

START_TEST(cet_checks)
{
	static const struct { enum vmcs_field field; u64 value; } rows[] = {
		{ VMCS_HOST_S_CET, 0x40 }, { VMCS_HOST_S_CET, (u64)1 << 50 },
		{ VMCS_HOST_S_CET, CET_SUPPRESS | CET_WAIT },
		{ VMCS_HOST_SSP, 2 }, { VMCS_HOST_SSP, (u64)1 << 50 }, { VMCS_HOST_INTERRUPT_SSP_TABLE, (u64)1 << 50 },
		{ VMCS_HOST_PKRS, (u64)1 << 32 }, { VMCS_GUEST_S_CET, 0x40 }, { VMCS_GUEST_S_CET, (u64)1 << 50 },
		{ VMCS_GUEST_SSP, 1 }, { VMCS_GUEST_SSP, (u64)1 << 50 },
		{ VMCS_GUEST_INTERRUPT_SSP_TABLE, (u64)1 << 50 }, { VMCS_GUEST_PKRS, (u64)1 << 32 },
	};
	struct vm_check failed;

	cet_vm();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		u64 good = get(rows[i].field);

		ck_assert_msg(vmx_entry_check(c, &failed), "%x %s", failed.field, failed.rule);
		set(rows[i].field, rows[i].value);
		ck_assert_msg(!vmx_entry_check(c, &failed) && failed.field == rows[i].field, "row %u", i);
		set(rows[i].field, good);
	}
	/* CR4.CET goes with CR0.WP */
	set(VMCS_GUEST_CR0, get(VMCS_GUEST_CR0) & ~(u64)CR0_WP);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_GUEST_CR4);
	set(VMCS_GUEST_CR4, get(VMCS_GUEST_CR4) & ~(u64)CR4_CET);
	ck_assert(vmx_entry_check(c, &failed));
	set(VMCS_HOST_CR0, get(VMCS_HOST_CR0) & ~(u64)CR0_WP);
	ck_assert(!vmx_entry_check(c, &failed) && failed.field == VMCS_HOST_CR4);
	set(VMCS_HOST_CR0, get(VMCS_HOST_CR0) | CR0_WP);
	/* IA32_VMX_BASIC, bit 56: #CP with its error code, #GP without one */
	set(VMCS_ENTRY_INTERRUPTION, INTERRUPTION_VALID | INTERRUPTION_ERROR | EVENT_TYPE_HARDWARE << 8 | VEC_CP);
	ck_assert(vmx_entry_check(c, &failed));
	set(VMCS_ENTRY_INTERRUPTION, INTERRUPTION_VALID | EVENT_TYPE_HARDWARE << 8 | VEC_GP);
	ck_assert(vmx_entry_check(c, &failed));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmx");
	TCase *t = tcase_create("vmx"), *cet = tcase_create("state of features");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, who_may);
	tcase_add_test(t, errors);
	tcase_add_test(t, absent_fields);
	tcase_add_test(t, in_and_out);
	tcase_add_test(t, instructions);
	tcase_add_test(t, string_io);
	tcase_add_test(t, bitmaps);
	tcase_add_test(t, shadows);
	tcase_add_test(t, shadow_vmcs);
	tcase_add_test(t, tsc);
	tcase_add_test(t, entry_checks);
	tcase_add_test(t, ept);
	tcase_add_test(t, ept_in_words);
	tcase_add_test(t, words);
	tcase_add_test(t, smm_from_root);
	tcase_add_loop_test(t, smm_from_guest, 0, 2);
	tcase_add_test(t, events);
	tcase_add_test(t, rounds);
	tcase_add_test(t, saved);
	tcase_add_checked_fixture(cet, cet_setup, bare_free);
	tcase_add_test(cet, fields);
	tcase_add_test(cet, cet_state);
	tcase_add_test(cet, cet_checks);
	tcase_add_test(cet, counters);
	suite_add_tcase(s, t);
	suite_add_tcase(s, cet);
	return bare_run(s);
}
