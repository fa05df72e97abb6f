/* SPDX-License-Identifier: MIT */
/* Stencils: handlers as machine code with holes. make_stencils.c writes the table; stitch.c copies from it. */
#ifndef CPU_STENCILS_H
#define CPU_STENCILS_H

#include "cpu/op.h"

/* What a hole is filled with. Members of the operation itself come first, then those of the one behind it, in the
 * same order. */
enum hole {
#define X(n, member) HOLE_##member,
	STENCIL_MEMBERS(X, 0)             /* cost: what following its link takes from n */
#undef X
	HOLE_amask, HOLE_ip_mask,
	HOLE_MEMBERS,                     /* + HOLE_...: of the operation behind */
	HOLE_OP = 2 * HOLE_MEMBERS,       /* the operation's address */
	HOLE_NEXT_1, HOLE_NEXT_2,         /* code of the operation behind it; of the one after that */
	HOLE_LINKED,                      /* code of the block that it is linked to */
	HOLE_SELF,                        /* this stencil's own code; addend: offset there */
	HOLE_FUNCTION,                    /* a function of the library; addend: index in stencil_functions */
	HOLE_DATA,                        /* stencil_data */
	HOLE_STORE,                       /* code that stores what is kept, to be called */
};

enum patch_kind {
	PATCH_8, PATCH_16, PATCH_32, PATCH_64, /* so many bytes of the value */
	/* 32 bits, to which the processor gives a sign: the value must be such a number */
	PATCH_SIGNED,
	PATCH_RELATIVE,                   /* 32 bits: the value less the field's address */
	/* aarch64: a jump with a distance of so many bits; an instruction whose result is the value; a load of the
	 * constant at stencil_data + addend */
	PATCH_JUMP26, PATCH_JUMP19, PATCH_JUMP14, PATCH_VALUE, PATCH_CONSTANT,
	PATCH_MARKED,                     /* + USE_1 ... PUT_VECTOR (stencil.h): the displacement of an instruction that is
	                                   * rewritten. addend: its register, and from PATCH_PART_SHIFT up a number to
	                                   * add to the displacement */
};

struct patch {
	u16 at;                           /* where in the code */
	u8 hole;
	u8 kind;
	s32 addend;                       /* to the value */
};

struct stencil {
	handler *plain;                   /* the handler that it was made from */
	u32 code, patches;                /* first byte in stencil_code, first in stencil_patches */
	u16 hot, size;                    /* bytes that follow the operation before; those and what lies aside */
	u8 count;                         /* patches */
	/* hot code ends where the operation so many behind it begins; 0: it never gets there */
	u8 next;
	/* the form for a linked jump: 1, its own; 2, that of the operation behind it */
	u8 links;
	bool seldom;                      /* of those, the one for a jump that is seldom taken */
	bool skips;                       /* it does the operation behind it, too */
	bool leaves;                      /* it may go on outside of stitched code */
	/* hot code has jumps within itself: none of its instructions may become shorter */
	bool fixed;
	/* it calls functions, or goes to blocks that it finds itself: registers must be kept where they usually are */
	bool rigid;
	bool vectors;                     /* some of the instructions that are rewritten use or put vector registers */
	bool straight;                    /* all hot code runs, but for what leaves it for good */
	bool clobbers;                    /* vector registers may be others behind it */
	bool specialised;                 /* for places of its operands: it is found by stencil_specials */
	u16 special;                      /* row of stencil_specials; the first one is empty */
};

extern const struct stencil stencils[];
extern const unsigned stencil_count;
extern const u8 stencil_code[];
extern const struct patch stencil_patches[]; /* of each stencil in the order of `at' */
extern const void *const stencil_functions[];
extern const u8 stencil_data[];
/* 1 + number of the stencil that is specialised for the places in which destination and source are kept: the registers
 * RAX to RDI that are usually kept there, or wherever the operation says. 0: there is none. */
extern const u16 stencil_specials[][ANY_PLACE + 1][ANY_PLACE + 1];

#endif
