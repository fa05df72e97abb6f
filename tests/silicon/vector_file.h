/* SPDX-License-Identifier: MIT */
/* Files of single-instruction vectors: what processors were caught doing. */
#ifndef SILICON_VECTOR_FILE_H
#define SILICON_VECTOR_FILE_H

#include "mem/base/bits.h"

enum { AX, BX, CX, DX, R_CS, R_SS, R_DS, R_ES, SP, BP, SI, DI, IP, FLAGS, R_FS, R_GS, NREGS };
extern const char *const vector_reg_names[NREGS];

enum { MAX_BYTES = 512 };
struct byte { u32 addr; u8 value; };
struct test {
	char name[80];
	u8 code[64];
	unsigned len;                /* with the HLT, if there is one */
	u32 before[NREGS], after[NREGS], mask[NREGS]; /* mask: the bits that count after */
	struct byte ram[MAX_BYTES], fram[MAX_BYTES];
	unsigned nram, nfram;
	int exc;                     /* -1: none */
	bool halts;                  /* a HLT is behind the instruction, or where it goes to */
};

struct vector_file {
	u8 *bytes;
	size_t len, at;
	char cpu[5];                 /* MOO: whose vectors these are; else empty */
	u32 mask[NREGS];
};

/* PATH, compressed or not. False: *WHY says what is wrong. */
bool vector_file_open(struct vector_file *f, const char *path, const char **why);
void vector_file_close(struct vector_file *f);
enum next { VECTOR, VECTORS_END, VECTORS_BAD } vector_file_next(struct vector_file *f, struct test *v);

#endif
