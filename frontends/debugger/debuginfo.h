/* SPDX-License-Identifier: MIT */
/* Shared by dwarf.c and variable.c. */
#ifndef DEBUGINFO_H
#define DEBUGINFO_H

#if HAVE_LIBDW
#include <dwarf.h>
#include <elfutils/libdwfl.h>

#include "debugger.h"

struct name {
	const char *name;
	Dwarf_Die die;               /* of an enumerator, the enumeration */
	Dwarf_Addr bias;             /* what is added to addresses in its file */
	bool enumerator;
};
struct dwarf {
	Dwfl *dwfl;
	struct name *names;          /* what is at the top of compilation units, by name */
	size_t count, room;
	struct { Dwarf_Die die; struct type *type; } *types;
	size_t ntypes;
	uint32_t *slots;             /* a hash table of them: 1 + an index; 0: free */
	size_t nslots;               /* a power of two */
	unsigned depth;              /* of the type that is being made */
};

/* The first of those that are called NAME; others follow. NULL: there is none. */
struct name *dwarf_names(struct dwarf *d, const char *name);
static inline bool dwarf_named(const struct dwarf *d, const struct name *n, const char *name)
{
	return n && n < d->names + d->count && !strcmp(n->name, name);
}
/* The type that DIE is. */
const struct type *dwarf_type_of(struct session *s, Dwarf_Die *die);
/* What DIE's DW_AT_type is; NULL: it has none. */
const struct type *dwarf_target(struct session *s, Dwarf_Die *die);

#endif
#endif
