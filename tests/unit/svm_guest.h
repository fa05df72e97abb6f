/* SPDX-License-Identifier: MIT */
/* A guest of SVM on a bare processor: a few bytes of 64-bit code at GUEST, which VMMCALL ends. */
#ifndef TESTS_SVM_GUEST_H
#define TESTS_SVM_GUEST_H

#include "cpu/system/vm/svm.h" /* first: bare.h has names that it uses for parameters */
#include "bare.h"

enum { RAM = 1 << 20, TABLES = 0x1000, HOST = 0x8000, GUEST = 0x9000, SAVE = 0x10000, VM = 0x11000, VM2 = 0x12000,
       NESTED = 0x20000, PERMISSIONS = 0x30000, STACK = 0x7000, IDT = 0x5000, GDT = 0x4000 };

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
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE;
	c->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME;
	c->r[RIP] = HOST;
	c->r[RSP] = STACK;
	cpu_loaded(c);
}

static inline void setup(void)
{
	bare_new("max,+svm,+npt,+lbrv,+svm-lock,+nrip-save,+vmcb-clean,+flushbyasid,+decodeassists,+pause-filter,"
		 "+pfthreshold,+v-vmsave-vmload,+vgif,+avic", RAM);
	host_mode(0);
	ck_assert(write_msr(c, 0xc0010117, SAVE));
}

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

#define VMRUN "\x0f\x01\xd8"
#define VMMCALL "\x0f\x01\xd9"
#define VMLOAD "\x0f\x01\xda"
#define VMSAVE "\x0f\x01\xdb"
#define STGI "\x0f\x01\xdc"
#define CLGI "\x0f\x01\xdd"
#define SKINIT "\x0f\x01\xde"
#define INVLPGA "\x0f\x01\xdf"

static inline void set(enum vmcb_field f, u64 v) { vmcb_set(c, VM, f, v); }
static inline u64 get(enum vmcb_field f) { return vmcb_get(c, VM, f); }
static inline void intercept(unsigned code, bool on)
{
	u8 *byte = ram->host + VM + code / 8;

	*byte = (u8)(on ? *byte | 1 << (code & 7) : *byte & ~(1 << (code & 7)));
}

/* A guest of 64-bit code at GUEST, with its host's tables, that exits for VMMCALL. */
static inline void valid_vm(void)
{
	memset(ram->host + VM, 0, PAGE_SIZE);
	intercept(SVM_EXIT_VMRUN, true);
	intercept(SVM_EXIT_VMMCALL, true);
	intercept(SVM_EXIT_SHUTDOWN, true);
	set(VMCB_GUEST_ASID, 1);
	set(VMCB_IOPM_BASE_PA, PERMISSIONS);
	set(VMCB_MSRPM_BASE_PA, PERMISSIONS + 0x3000);
	for (unsigned i = ES; i <= DS; i++)
		vmcb_set_segment(c, VM, i);
	set(VMCB_CR0, c->cr0);
	set(VMCB_CR3, c->cr3);
	set(VMCB_CR4, c->cr4);
	set(VMCB_EFER, c->efer);
	set(VMCB_DR6, 0xffff0ff0);
	set(VMCB_DR7, 0x400);
	set(VMCB_RFLAGS, 2);
	set(VMCB_RIP, GUEST);
	set(VMCB_RSP, STACK - 0x800);
	set(VMCB_GDTR_BASE, GDT);
	set(VMCB_G_PAT, 0x0007040600070406);
}

static inline u64 enter(void)
{
	c->r[RAX] = VM;
	ck_assert_int_eq(STEP(VMRUN), -1);
	for (unsigned i = 0; i < 100 && svm_guest(c); i++)
		cpu_run(c, c->icount + 1, CLOCK_NEVER);
	ck_assert(!svm_guest(c));
	ck_assert(gif_clear(c));
	c->svm->gif = true;
	return get(VMCB_EXITCODE);
}

/* Enter the guest with CODE, and VMMCALL behind it. Back in the host: the exit's code. */
static inline u64 guest(const char *code, unsigned len)
{
	memcpy(ram->host + GUEST, code, len);
	memcpy(ram->host + GUEST + len, VMMCALL, 3);
	cpu_code_written(c, GUEST, len + 3);
	set(VMCB_RIP, GUEST);
	return enter();
}
#define RUN_GUEST(code) guest(code, sizeof code - 1)

/* Guest-physical 0 to 1 MiB by pages, with RIGHTS. */
static inline void nested_make(unsigned rights)
{
	put64(ram->host + NESTED, (NESTED + 0x1000) | 7);
	put64(ram->host + NESTED + 0x1000, (NESTED + 0x2000) | 7);
	put64(ram->host + NESTED + 0x2000, (NESTED + 0x3000) | 7);
	for (unsigned i = 0; i < 256; i++)
		put64(ram->host + NESTED + 0x3000 + 8 * i, i << 12 | rights);
	set(VMCB_NP_ENABLE, 1);
	set(VMCB_N_CR3, NESTED);
}

static inline u8 *nested_entry(u64 guest_physical) { return ram->host + NESTED + 0x3000 + 8 * (guest_physical >> 12); }

/* An interrupt gate of the guest's for VECTOR: its handler is VMMCALL at GUEST + 100h. */
static inline void gate(unsigned vector)
{
	put64(ram->host + GDT + 0x10, (u64)0xaf9b << 40 | 0xffff);
	put64(ram->host + IDT + 16 * vector, (u64)0x8e00 << 32 | 0x10 << 16 | (GUEST + 0x100));
	put64(ram->host + IDT + 16 * vector + 8, 0);
	memcpy(ram->host + GUEST + 0x100, VMMCALL, 3);
	set(VMCB_IDTR_BASE, IDT);
	set(VMCB_IDTR_LIMIT, 0xfff);
	set(VMCB_GDTR_LIMIT, 0x7f);
	set(VMCB_CS_SELECTOR, 0x10);
}

#endif
