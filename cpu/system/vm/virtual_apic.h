/* SPDX-License-Identifier: MIT */
/* The registers of a virtual APIC, which are a page of memory: VMX's virtual-APIC page (SDM vol. 3, 29.1), the backing
 * page of SVM's AVIC (APM vol. 2, 15.29). PAGE is its physical address. */
#ifndef CPU_VIRTUAL_APIC_H
#define CPU_VIRTUAL_APIC_H

#include "cpu/system/vm/guest.h"

enum { VAPIC_TPR = 0x80, VAPIC_PPR = 0xa0, VAPIC_EOI = 0xb0, VAPIC_DFR = 0xe0, VAPIC_ISR = 0x100, VAPIC_TMR = 0x180,
       VAPIC_IRR = 0x200, VAPIC_ESR = 0x280, VAPIC_ICR = 0x300, VAPIC_ICR_HIGH = 0x310, VAPIC_SELF_IPI = 0x3f0 };

static inline u32 vapic_get(const struct cpu *c, u64 page, unsigned offset)
{
	return (u32)vm_read(c, page + offset, 4);
}
static inline void vapic_set(struct cpu *c, u64 page, unsigned offset, u32 v) { vm_write(c, page + offset, 4, v); }

/* Vectors in ISR, TMR and IRR, each in TABLE. */
static inline bool vapic_has(const struct cpu *c, u64 page, unsigned table, unsigned vector)
{
	return vapic_get(c, page, table + 16 * (vector / 32)) >> vector % 32 & 1;
}
static inline void vapic_mark(struct cpu *c, u64 page, unsigned table, unsigned vector, bool on)
{
	unsigned at = table + 16 * (vector / 32);
	u32 bit = 1u << vector % 32, old = vapic_get(c, page, at);

	vapic_set(c, page, at, on ? old | bit : old & ~bit);
}
static inline unsigned vapic_highest(const struct cpu *c, u64 page, unsigned table) /* 0: there is none */
{
	for (unsigned i = 8; i-- > 0;) {
		u32 word = vapic_get(c, page, table + 16 * i);

		if (word)
			return 32 * i + 31 - (unsigned)__builtin_clz(word);
	}
	return 0;
}

/* With SERVED, the highest vector in service. */
static inline u32 vapic_priority(u32 tpr, unsigned served) { return tpr >> 4 >= served >> 4 ? tpr : served & 0xf0; }

#endif
