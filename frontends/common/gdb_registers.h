/* SPDX-License-Identifier: MIT */
/* The processor in gdb's terms: the registers of its target description (GDB manual, appendix G.5, "i386 Features"),
 * and those of the system in a feature of our own. */
#ifndef COMMON_GDB_REGISTERS_H
#define COMMON_GDB_REGISTERS_H

#include <vcpu.h>

struct gdb_reg {
	const char *name, *type;
	unsigned bytes;
	/* the library's name, NULL: the same; "": vectors, st, and those that the library does not have */
	const char *ours;
};

/* What gdb takes the processor for: i8086, i386 or x86-64. EXTENDED: the first two with the registers of 64-bit
 * mode, in a feature of our own. APX: the last with R16 to R31. */
struct gdb_arch { unsigned bits; bool extended, apx; };

/* Register N of its description; NULL: there are not so many. */
const struct gdb_reg *gdb_reg(struct gdb_arch arch, uint64_t n);
unsigned gdb_reg_pc(struct gdb_arch arch); /* the number of the instruction pointer */
/* Its value as digits, or x's where there is none, at OUT, which has room for 33; returns the end. */
char *gdb_reg_put(const vcpu *machine, const struct gdb_reg *r, char *out);
bool gdb_reg_write(vcpu *machine, const struct gdb_reg *r, const unsigned char in[16]);
/* The description itself. */
void gdb_target_xml(struct gdb_arch arch, char *out, size_t size);

#endif
