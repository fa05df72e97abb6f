/* SPDX-License-Identifier: MIT */
/* The SMBIOS tables (System Management BIOS reference specification 2.8): an entry point of 31 bytes, and structures
 * of the types 0 firmware, 1 system, 3 enclosure, 4 processor, 16, 17 and 19 memory, 32 boot, 127 end. Not modelled:
 * the other types. */
#ifndef IO_SMBIOS_H
#define IO_SMBIOS_H

#include "mem/base/bits.h"

#define SMBIOS_ENTRY 31u
#define SMBIOS_MAX 2048u

struct smbios_system {
	unsigned cpus;
	u64 ram;                   /* bytes */
	u32 signature, features;   /* CPUID leaf 1, EAX and EDX */
	bool firmware;             /* with a structure about the firmware: there is no other that would add one */
};

/* Write the structures to OUT (SMBIOS_MAX bytes) and the entry point, which says that they lie at ADDRESS, to ENTRY.
 * Returns their length. */
u32 smbios_build(const struct smbios_system *system, u32 address, u8 entry[SMBIOS_ENTRY], u8 *out);

#endif
