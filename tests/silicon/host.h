/* SPDX-License-Identifier: MIT */
/* Code run by the host's own processor, with everything that a program sees given and read back: registers, flags,
 * segments, x87, SSE and AVX state, and the exception that ended it.
 *
 * The kernel does the loading and the storing: a hand-made signal frame goes in through rt_sigreturn, and what comes
 * out is the frame of the signal that the exception becomes. So 16- and 32-bit code, whose segments are in the LDT, is
 * run by the same few lines. */
#ifndef SILICON_HOST_H
#define SILICON_HOST_H

#include "cpu/system/model.h"

/* The first 832 bytes of XSAVE's standard format: x87, SSE, header, AVX (SDM vol. 1, 13.4). */
struct fpu_image {
	u16 cw, sw;
	u8 tags, zero;       /* tags: bit n set = physical register n is not empty */
	u16 op;
	u64 ip, dp;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16];        /* from the top of the stack */
	u8 xmm[16][16];
	u8 unused[96];
	u64 present, compact, header[6];
	u8 ymm_high[16][16];
};
_Static_assert(sizeof(struct fpu_image) == 832, "XSAVE's standard format");

/* What AVX-512 adds: components 5, 6 and 7. */
struct avx512_image {
	u64 k[8];
	u8 zmm_high[16][32]; /* bits 511 to 256 */
	u8 zmm[16][64];      /* registers 16 to 31 */
};

struct state {
	u64 r[16], rip, flags; /* RAX RCX RDX RBX RSP RBP RSI RDI R8.. */
	u16 seg[6];            /* ES CS SS DS FS GS */
	u64 fs_base, gs_base;  /* 64-bit code only */
	struct fpu_image f;
	struct avx512_image z; /* zero on hosts without it */
	/* What ended it */
	int vector;            /* exception, or HOST_TIMEOUT */
	u32 error;
	u64 cr2;
};

/* What Linux gives to programs. */
enum { USER_CS = 0x33, USER_CS32 = 0x23, USER_DS = 0x2b };

enum { HOST_TIMEOUT = -1, HOST_SYSCALL = -2, HOST_EMULATES = -3 };

/* What of the kernel is needed is not there: *WHY says what. */
bool host_init(const char **why);
/* Descriptor N of the LDT, as the processor has it. False: the kernel does not want it. */
bool host_ldt(unsigned n, u64 descriptor);
/* What a program can know of a descriptor in the kernel's GDT; 0: nothing. */
u64 host_gdt(u16 selector);
/* From now on system calls by code below 4 GiB end a run as HOST_SYSCALL. */
bool host_no_system_calls(void);
/* Run from *S until an exception: INT3 behind the code, or TF in S->flags for one instruction, is the ordinary one.
 * HOST_TIMEOUT after 0.1 s. */
void host_run(struct state *s);

enum maker host_maker(void); /* MAKERS: neither's */
u64 host_xcr0(void);
static inline bool host_avx512(void) { return (host_xcr0() & 0xe6) == 0xe6; }

/* Are two x87 registers at most ULPS units in the last place apart? As one number each: sign and exponent, and the
 * significand without its first bit, which denormal numbers do not have. Of two neighbours at the lower end of the
 * normal numbers one may have been an underflow, whose exponent is larger by 24576 where it is unmasked (SDM vol. 1,
 * 8.5.5). */
static inline bool host_st_near(const u8 *a, const u8 *b, unsigned ulps)
{
	const u8 *st[2] = { a, b };
	__int128 n[2], distance;

	for (unsigned i = 0; i < 2; i++) {
		int e = get16(st[i] + 8) & 0x7fff;

		if (e >= 0x5f00 && e <= 24576)
			e -= 24576; /* and below 0, where it is smaller than all that are not denormal */
		n[i] = e * ((__int128)1 << 63) + (__int128)(get64(st[i]) & ~((u64)1 << 63));
	}
	distance = n[0] - n[1];
	return !((st[0][9] ^ st[1][9]) & 0x80) && distance <= (int)ulps && -distance <= (int)ulps;
}

/* Whether a function's result at the lower end of the normal numbers is an underflow depends on one unit in the last
 * place, too. */
static inline bool host_st_tiny(const u8 *st)
{
	unsigned e = get16(st + 8) & 0x7fff;

	return e <= 1 || (e >= 0x5f00 && e <= 24577);
}

#endif
