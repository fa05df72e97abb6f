/* SPDX-License-Identifier: MIT */
/* A bare processor as the host of a guest in VMX non-root operation, for the tests of VMX: one instruction of the host,
 * or a few bytes of 64-bit code of the guest, which end with VMCALL. */
#ifndef TESTS_VMX_GUEST_H
#define TESTS_VMX_GUEST_H

#include "cpu/system/vm/vmx.h" /* first: bare.h has names that it uses for parameters */
#include "bare.h"

enum { RAM = 1 << 20, TABLES = 0x1000, HOST = 0x8000, GUEST = 0x9000, ON = 0x10000, VM = 0x11000, VM2 = 0x12000,
       EPT = 0x20000, BITMAPS = 0x30000, STACK = 0x7000, IDT = 0x5000, GDT = 0x4000 };

static inline void host_mode(unsigned cpl)
{
	put64(ram->host + TABLES, (TABLES + 0x1000) | 7);
	put64(ram->host + TABLES + 0x1000, 0x87); /* 1 GiB */
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .sel = (u16)(8 * (i + 1) | cpl), .limit = 0xffffffff,
					  .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_G | SEG_DB | cpl << 5 };
	c->seg[CS].attr = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A | SEG_G | SEG_L | cpl << 5;
	c->seg[TR] = (struct seg){ .sel = 0x58, .base = 0x56780, .limit = 0x67, .attr = SEG_P | 11 };
	c->gdtr.base = GDT, c->gdtr.limit = 0x7f;
	c->idtr.base = IDT, c->idtr.limit = 0; /* bare: exceptions end cpu_run */
	c->cpl = (u8)cpl;
	c->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
	c->cr3 = TABLES;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE | CR4_VMXE;
	c->efer = EFER_LME | EFER_LMA | EFER_NXE;
	c->r[RIP] = HOST;
	c->r[RSP] = STACK;
	cpu_loaded(c);
}

static inline void setup_model(const char *cpu)
{
	bare_new(cpu, RAM);
	c->feature_control = 5;
	put32(ram->host + ON, VMCS_REVISION);
	put32(ram->host + VM, VMCS_REVISION);
	host_mode(0);
}

static inline void setup(void) { setup_model("max,+vmx"); }

/* One instruction at HOST. Its exception; -1: none. */
static inline int step(const char *code, unsigned len)
{
	enum cpu_stop stop;

	cpu_code_written(c, HOST, 32);
	memset(ram->host + HOST, 0x90, 32);
	memcpy(ram->host + HOST, code, len);
	c->r[RIP] = HOST;
	stop = cpu_run(c, c->icount + 1, CLOCK_NEVER);
	return stop == CPU_EXCEPTION ? c->fault.vector : -1;
}
#define STEP(code) step(code, sizeof code - 1)
static inline u32 flags(void) { return cpu_flags(c) & OSZAPC; }

#define VMXON "\xf3\x0f\xc7\x30"  /* vmxon [rax] */
#define VMCLEAR "\x66\x0f\xc7\x30"
#define VMPTRLD "\x0f\xc7\x30"
#define VMPTRST "\x0f\xc7\x38"
#define VMREAD "\x0f\x78\xd8"     /* vmread rax, rbx */
#define VMWRITE "\x0f\x79\xd8"    /* vmwrite rbx, rax */
#define VMLAUNCH "\x0f\x01\xc2"
#define VMRESUME "\x0f\x01\xc3"
#define VMXOFF "\x0f\x01\xc4"
#define VMCALL "\x0f\x01\xc1"
#define INVEPT "\x66\x0f\x38\x80\x08" /* invept rcx, [rax] */
#define INVVPID "\x66\x0f\x38\x81\x08"

static inline u32 pointed(const char *code, unsigned len, u64 address)
{
	c->r[RAX] = 0x6000;
	put64(ram->host + 0x6000, address);
	ck_assert_int_eq(step(code, len), -1);
	return flags();
}
#define POINTED(code, address) pointed(code, sizeof code - 1, address)

static inline void on(void)
{
	ck_assert_uint_eq(POINTED(VMXON, ON), 0);
	ck_assert_uint_eq(POINTED(VMCLEAR, VM), 0);
	ck_assert_uint_eq(POINTED(VMPTRLD, VM), 0);
}

/* ---- a guest ---- */

static inline void set(enum vmcs_field f, u64 v) { vmcs_set(c, f, v); }
static inline u64 get(enum vmcs_field f) { return vmcs_get(c, f); }

/* A guest of 64-bit code at GUEST, with its host's tables, that exits for what it must. */
static inline void valid_vm(void)
{
	static const enum vmcs_field selectors[] = { VMCS_HOST_ES_SELECTOR, VMCS_HOST_CS_SELECTOR, VMCS_HOST_SS_SELECTOR,
						     VMCS_HOST_DS_SELECTOR, VMCS_HOST_TR_SELECTOR };

	on();
	set(VMCS_PIN_CONTROLS, 0x16);
	set(VMCS_PROC_CONTROLS, 0x04006172 | PROC_SECONDARY);
	set(VMCS_EXIT_CONTROLS, 0x36dfb | EXIT_HOST_64 | EXIT_SAVE_EFER | EXIT_LOAD_EFER);
	set(VMCS_ENTRY_CONTROLS, 0x11fb | ENTRY_LONG | ENTRY_LOAD_EFER);
	set(VMCS_VMCS_LINK, ~(u64)0);
	set(VMCS_HOST_CR0, c->cr0);
	set(VMCS_HOST_CR3, c->cr3);
	set(VMCS_HOST_CR4, c->cr4);
	set(VMCS_HOST_EFER, c->efer);
	for (unsigned i = 0; i < ARRAY_LEN(selectors); i++)
		set(selectors[i], 0x10);
	set(VMCS_HOST_RIP, HOST + 0x100);
	set(VMCS_HOST_RSP, STACK);
	set(VMCS_HOST_GDTR_BASE, GDT);
	set(VMCS_GUEST_CR0, c->cr0);
	set(VMCS_GUEST_CR3, c->cr3);
	set(VMCS_GUEST_CR4, c->cr4);
	set(VMCS_GUEST_EFER, c->efer);
	set(VMCS_GUEST_RFLAGS, 2);
	set(VMCS_GUEST_RIP, GUEST);
	set(VMCS_GUEST_RSP, STACK - 0x800);
	for (unsigned i = 0; i < 6; i++) {
		set((enum vmcs_field)(VMCS_GUEST_ES_SELECTOR + 2 * i), 0x10);
		set((enum vmcs_field)(VMCS_GUEST_ES_LIMIT + 2 * i), 0xffffffff);
		set((enum vmcs_field)(VMCS_GUEST_ES_RIGHTS + 2 * i), i == 1 ? 0xa09b : 0xc093);
	}
	set(VMCS_GUEST_LDTR_RIGHTS, SEG_UNUSABLE);
	set(VMCS_GUEST_TR_SELECTOR, 0x58);
	set(VMCS_GUEST_TR_LIMIT, 0x67);
	set(VMCS_GUEST_TR_RIGHTS, 0x8b);
	memset(ram->host + HOST + 0x100, 0x90, 128);
}

/* Enter the guest with CODE, and VMCALL behind it. Back in the host: the exit's reason. */
static inline u32 guest(const char *code, unsigned len)
{
	bool again = vmcs_launched(c);

	memcpy(ram->host + GUEST, code, len);
	memcpy(ram->host + GUEST + len, VMCALL, 3);
	cpu_code_written(c, GUEST, len + 3);
	if (again ? STEP(VMRESUME) : STEP(VMLAUNCH))
		ck_assert_msg(!flags() || vmx_guest(c) || c->r[RIP] != HOST + 3, "error %llu",
			      (unsigned long long)get(VMCS_INSTRUCTION_ERROR));
	for (unsigned i = 0; i < 100 && vmx_guest(c); i++)
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(!vmx_guest(c));
	return (u32)get(VMCS_EXIT_REASON);
}
#define RUN_GUEST(code) guest(code, sizeof code - 1)

/* Guest-physical 0 to 1 MiB by pages, with RIGHTS. */
static inline void ept_make(unsigned rights)
{
	put64(ram->host + EPT, (EPT + 0x1000) | 0x407);
	put64(ram->host + EPT + 0x1000, (EPT + 0x2000) | 0x407);
	put64(ram->host + EPT + 0x2000, (EPT + 0x3000) | 0x407);
	for (unsigned i = 0; i < 256; i++)
		put64(ram->host + EPT + 0x3000 + 8 * i, i << 12 | 6 << 3 | rights);
	set(VMCS_SECONDARY_CONTROLS, SEC_EPT);
	set(VMCS_EPT_POINTER, EPT | 3 << 3 | 6);
}

static inline u8 *ept_entry(u64 guest_physical) { return ram->host + EPT + 0x3000 + 8 * (guest_physical >> 12); }

/* An interrupt gate of the guest's for VECTOR: its handler is VMCALL at GUEST + 100h. */
static inline void gate(unsigned vector)
{
	put64(ram->host + GDT + 0x10, (u64)0xaf9b << 40 | 0xffff);
	put64(ram->host + IDT + 16 * vector, (u64)0x8e00 << 32 | 0x10 << 16 | (GUEST + 0x100));
	put64(ram->host + IDT + 16 * vector + 8, 0);
	memcpy(ram->host + GUEST + 0x100, VMCALL, 3);
	set(VMCS_GUEST_IDTR_BASE, IDT);
	set(VMCS_GUEST_IDTR_LIMIT, 0xfff);
	set(VMCS_GUEST_GDTR_BASE, GDT);
	set(VMCS_GUEST_GDTR_LIMIT, 0x7f);
	set(VMCS_GUEST_CS_SELECTOR, 0x10);
}

#endif
