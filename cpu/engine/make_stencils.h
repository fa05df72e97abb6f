/* SPDX-License-Identifier: MIT */
/* The program make_stencils: what it reads of objects, and what it prints (make_stencils.c); what a stencil is made of
 * on x86-64 and on aarch64 (make_stencils_x86_64.c, make_stencils_aarch64.c). */
#ifndef CPU_MAKE_STENCILS_H
#define CPU_MAKE_STENCILS_H

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/stencil.h"

enum { MAX_PATCHES = 255, MAX_CODE = 4096 };

/* ---- one object ---- */

struct object {
	const char *name;
	Elf *elf;
	Elf_Data *symbols;
	size_t count, strings, names;     /* symbols; sections of strings */
	Elf_Data **relocations;           /* by section */
	size_t sections;
};

GElf_Sym symbol(const struct object *o, size_t n);
const char *symbol_name(const struct object *o, const GElf_Sym *s);
Elf_Data *contents(const struct object *o, size_t section);

struct relocation { unsigned at; const char *symbol; size_t section /* of the symbol, SHN_UNDEF: none */; unsigned type;
	int64_t addend; };
struct relocation relocation(const struct object *o, size_t section, size_t n);
size_t relocation_count(const struct object *o, size_t section);

/* ---- constants of the stencils ---- */

int32_t function_index(const char *name);
/* R is in constants of the compiler, which are neither code nor writable data: where they are in stencil_data. -1: it
 * is in something else. */
int32_t constant_at(const struct object *o, const struct relocation *r);

/* ---- the present stencil ---- */

struct patch { unsigned at; char kind[16], hole[32]; int64_t addend; };
extern struct patch patches[MAX_PATCHES];
extern unsigned patch_count;
extern uint8_t code[MAX_CODE];
extern unsigned code_size;

/* The members of struct stencil. */
struct facts {
	unsigned hot;
	int next, links;
	bool seldom, skips, leaves, fixed, calls, indirect, vectors;
	/* code aside jumps back to hot code; vector registers are written without marks */
	bool returns, written;
	bool uses_link, second;           /* it has a linked jump: of its own; of the operation after it */
	char dst, src;                    /* of a specialised one (stencil_kept.h): digits of registers */
};

bool is(const char *a, const char *b);
/* The member of struct op that R's symbol stands for. */
bool member_hole(const struct relocation *r, struct patch *p);
int by_place(const void *a, const void *b);
/* Print the present stencil, which was made from SECTION, as a struct stencil for the handler PLAIN. */
void finish(const struct object *o, size_t section, const char *plain, const struct facts *f);

/* Make the stencil NAME: S_..., L_... or N_... . False: it cannot become one. */
bool make(const struct object *o, const char *name);

#endif
