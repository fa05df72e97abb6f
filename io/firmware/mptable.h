/* SPDX-License-Identifier: MIT */
/* The MP table (Intel MultiProcessor Specification 1.4), from which systems before ACPI read processors and
 * interrupts: processors, a PCI and an ISA bus, the I/O APIC, interrupts. Not modelled: the extended table. */
#ifndef IO_MPTABLE_H
#define IO_MPTABLE_H

#include "mem/space.h"

/* Write the table for CPUS processors (1 to 255) with CPUID's SIGNATURE and FEATURES to BASE in MEMORY, a multiple of
 * 16 in the last 64 KiB below 1 MiB: floating pointer first. Returns the bytes used, 0 if SIZE is too small. */
u64 mptable_build(struct space *memory, u64 base, u64 size, unsigned cpus, u32 signature, u32 features);
/* The I/O APIC's ID beside CPUS processors with IDs from 0: one of their own as long as 4 bits suffice. */
static inline u8 mptable_ioapic_id(unsigned cpus) { return (u8)(cpus < 15 ? cpus : 0); }

#endif
