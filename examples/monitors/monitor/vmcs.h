/* SPDX-License-Identifier: MIT */
/* Fields of the VMCS (SDM vol. 3, appendix B), and the instructions. */
#ifndef VMCS_H
#define VMCS_H

#include "monitor.h"

enum {
	GUEST_SELECTOR = 0x800,
	HOST_SELECTOR = 0xc00, /* ES CS SS DS FS GS, LDTR (of the guest), TR: 2 apart */
	EPT_POINTER = 0x201a,
	GUEST_PHYSICAL = 0x2400,
	LINK_POINTER = 0x2800,
	PIN_CONTROLS = 0x4000,
	PROCESSOR_CONTROLS = 0x4002,
	EXCEPTIONS = 0x4004,
	EXIT_CONTROLS = 0x400c,
	ENTRY_CONTROLS = 0x4012,
	ENTRY_EVENT = 0x4016,
	ENTRY_ERROR = 0x4018,
	ENTRY_LENGTH = 0x401a,
	SECONDARY_CONTROLS = 0x401e,
	INSTRUCTION_ERROR = 0x4400,
	EXIT_REASON = 0x4402,
	EXIT_EVENT = 0x4404,
	EXIT_ERROR = 0x4406,
	VECTORING_EVENT = 0x4408,
	VECTORING_ERROR = 0x440a,
	EXIT_LENGTH = 0x440c,
	GUEST_LIMIT = 0x4800,
	GUEST_ACCESS = 0x4814,
	GUEST_INTERRUPTIBILITY = 0x4824,
	GUEST_GDTR_LIMIT = 0x4810,
	GUEST_IDTR_LIMIT = 0x4812,
	CR0_MASK = 0x6000,
	CR4_MASK = 0x6002,
	CR0_SHADOW = 0x6004,
	CR4_SHADOW = 0x6006,
	QUALIFICATION = 0x6400,
	GUEST_CR0 = 0x6800,
	GUEST_CR3 = 0x6802,
	GUEST_CR4 = 0x6804,
	GUEST_BASE_OF = 0x6806,
	GUEST_GDTR_BASE = 0x6816,
	GUEST_IDTR_BASE = 0x6818,
	GUEST_DR7 = 0x681a,
	GUEST_RSP = 0x681c,
	GUEST_RIP = 0x681e,
	GUEST_RFLAGS = 0x6820,
	HOST_CR0 = 0x6c00,
	HOST_CR3 = 0x6c02,
	HOST_CR4 = 0x6c04,
	HOST_TR_BASE = 0x6c0a,
	HOST_GDTR_BASE = 0x6c0c,
	HOST_IDTR_BASE = 0x6c0e,
	HOST_RIP = 0x6c16
};
enum {
	PIN_INTERRUPTS = 1, PROCESSOR_WINDOW = 1 << 2, PROCESSOR_HLT = 1 << 7, PROCESSOR_INVLPG = 1 << 9,
	PROCESSOR_CR3 = 3 << 15, PROCESSOR_PORTS = 1 << 24, SECONDARY_EPT = 1 << 1, SECONDARY_UNRESTRICTED = 1 << 7
};
#define PROCESSOR_SECONDARY 0x80000000u
enum {
	EXIT_EXCEPTION = 0, EXIT_INTERRUPT = 1, EXIT_TRIPLE_FAULT = 2, EXIT_WINDOW = 7, EXIT_CPUID = 10, EXIT_HLT = 12,
	EXIT_INVLPG = 14, EXIT_CR = 28, EXIT_PORT = 30, EXIT_EPT = 48
};
enum {
	MSR_FEATURES = 0x3a,
	MSR_BASIC = 0x480,
	MSR_PIN = 0x48d,
	MSR_PROCESSOR = 0x48e,
	MSR_EXIT = 0x48f,
	MSR_ENTRY = 0x490,
	MSR_SECONDARY = 0x48b
};

static inline u64 rdmsr(u32 msr)
{
	u64 value;

	__asm__ volatile("rdmsr" : "=A"(value) : "c"(msr));
	return value;
}

static inline u32 vmread(u32 field)
{
	u32 value;

	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

static inline void vmwrite(u32 field, u32 value)
{
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc");
}

/* CONTROLS as the processor allows them: the low half of the MSR must be 1, what is not in the high half 0. */
static inline u32 allowed(u32 msr, u32 controls)
{
	u64 a = rdmsr(msr);

	return (controls | (u32)a) & (u32)(a >> 32);
}

#endif
