/* What gdb knows of the processor: the registers of its target description (GDB manual, appendix G.5, "i386 Features"), and those of the system in a
 * feature of our own. */
#ifndef COMMON_GDB_REGISTERS_H
#define COMMON_GDB_REGISTERS_H

#include <vcpu.h>

struct gdb_reg {
	const char *name, *type;
	unsigned bytes;
	const char *ours; /* the library's name, NULL: the same; "": vectors, st, and those that the library does not have */
};

/* Register N of the description for x86-64 (WIDE) or i386; NULL: there are not so many. */
const struct gdb_reg *gdb_reg(bool wide, uint64_t n);
/* Its value as digits, or x's where there is none, at OUT, which has room for 33; returns the end. */
char *gdb_reg_put(const vcpu *machine, const struct gdb_reg *r, char *out);
bool gdb_reg_write(vcpu *machine, const struct gdb_reg *r, const unsigned char in[16]);
/* The description itself. */
void gdb_target_xml(bool wide, char *out, size_t size);

#endif
