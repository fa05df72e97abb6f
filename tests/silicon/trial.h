/* SPDX-License-Identifier: MIT */
/* A trial: code and the state that it starts from, to be run by the host (host.c) and by libvcpu (guest.c), which must
 * agree.
 *
 * Both have the same 64 KiB of memory, the window, at the same linear addresses:
 *
 *     page  0        1    2    3        4     5        6    7    8        9    A    B ... E     F
 *           nothing  data data nothing  r/o   nothing  code code nothing  stack     nothing     data
 *
 * Code pages are writable and full of INT3; the others cannot be executed. 16-bit segments begin where the window
 * begins. */
#ifndef SILICON_TRIAL_H
#define SILICON_TRIAL_H

#include "cpu/op.h"
#include "tests/silicon/makers.h"

enum { WINDOW = 0x20000000, WINDOW_SIZE = 0x10000, DATA = 0x1000, READ_ONLY = 0x4000, CODE = 0x6000, CODE_END = 0x8000,
	STACK = 0x9000, STACK_END = 0xb000,
       DATA2 = 0xf000 };

/* The LDT. Selectors are those of user programs. */
enum { L_CODE32, L_CODE16, L_DATA32, L_DATA16, L_SMALL, L_DOWN, L_READ, L_ABSENT, L_EXEC, L_ODD, L_DOWN16, L_COUNT };
static inline u16 ldt(unsigned n) { return (u16)(n << 3 | 7); }

struct poke { u16 at, len; u8 bytes[832]; };
enum { POKES = 4, MAX_ROWS = 4096 };

struct trial {
	u8 bits;                   /* 16, 32, 64 */
	bool through;              /* libvcpu runs on to INT3, in blocks; else one instruction */
	bool definedness;          /* all that counts is whether it is an instruction... */
	bool beyond;               /* ...unless it may be one of those that libvcpu has not */
	u8 count;                  /* instructions */
	u16 start[16];             /* where they begin, from the first */
	u16 row[16];               /* of the table */
	u32 undefined, ever;       /* flags that nobody promises: at the end, and if it ends somewhere else */
	struct state in;
	struct poke poke[POKES + 1]; /* the first is the code */
	unsigned pokes;
};

/* ---- guest.c ---- */
extern struct cpu *guest;
extern u8 window_default[WINDOW_SIZE];
u64 ldt_descriptor(unsigned n);
/* The base of the segment with SELECTOR; 0 for those of Linux. */
u32 segment_base(u16 selector);
/* MODEL: NULL is the newest one of the host's maker. Of its features those count that the host has. STITCHED: what goes
 * through to INT3 is machine code, which everything does. */
void guest_new(const char *model, bool stitched);
u64 guest_stitched(void); /* blocks that became machine code */
bool host_has(enum feature f);
void guest_free(void);
enum decode_result guest_decode(unsigned bits, const u8 *code, unsigned len, struct dec *d, struct op *o);
/* Run T, whose pokes are in memory. */
void guest_run(const struct trial *t, struct state *out);
void guest_poke(unsigned at, const void *bytes, unsigned len);
const u8 *guest_window(void);
static inline bool page_mapped(unsigned page) { return 0x86d6 >> page & 1; }
static inline bool page_writable(unsigned page) { return 0x86c6 >> page & 1; }

/* ---- make.c: trials from random numbers ---- */
void make_seed(u64 seed);
void make_values(u64 seed); /* once, in front of all trials of a seed */
bool row_usable(const struct isa_row *row, const char **why);
bool row_in_mode(const struct isa_row *row, unsigned bits);
void make_single(struct trial *t, const struct isa_row *row, unsigned bits);
/* Half of its instructions are of the SIZE rows of POOL. */
void make_sequence(struct trial *t, unsigned bits, const struct isa_row **pool, unsigned size);
u64 rnd(void);

/* ---- encodings.c: all encodings, one after the other ---- */
u64 encodings_count(void);
/* T->count is 0 where number N is none, or what another number makes, too. */
void make_encoding(struct trial *t, u64 n);

/* ---- compare.c ---- */
/* What differs between the host's and the guest's end, or NULL. */
const char *compare(const struct trial *t, const struct state *host, const struct state *guest);
/* The same when only #UD counts, and what is too long. */
const char *compare_definedness(const struct trial *t, const struct state *host, const struct state *guest);
/* May the byte of memory at AT differ? */
bool compare_memory_free(const struct trial *t, const struct state *host, unsigned at);
void compare_print_freedoms(void);

/* ---- makers.c: where the host's maker is not the model's ---- */
/* The difference between makers that an instruction of T may show, or -1. */
int makers_difference(const struct trial *t, const struct state *host, const struct state *guest);
/* The table, with how often each was stepped over. */
void makers_print(const u64 *count);

#endif
