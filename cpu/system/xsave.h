/* SPDX-License-Identifier: MIT */
/* The components of the state that XSAVE manages (SDM vol. 1, 13.1 and 13.4). */
#ifndef CPU_XSAVE_H
#define CPU_XSAVE_H

#include "cpu/cpu.h"

enum { STATE_X87 = 1, STATE_SSE = 2, STATE_AVX = 4, STATE_AVX512 = 0xe0 /* masks, ZMM_Hi256, Hi16_ZMM */,
       STATE_PKRU = 0x200, STATE_CET = 0x1800 /* the user's, the supervisor's */, STATE_UINTR = 0x4000,
       STATE_LBR = 0x8000, STATE_TILECFG = 0x20000, STATE_TILEDATA = 0x40000,
       STATE_TILE = STATE_TILECFG | STATE_TILEDATA, STATE_APX = 0x80000 };

struct component {
	u8 number;
	u16 at /* in the standard format of Intel's */, size;
	bool aligned; /* to 64 bytes in the compacted format */
};
const struct component *xsave_component(unsigned number); /* NULL: it is in the legacy region, or there is none */
unsigned xsave_at(const struct model *m, const struct component *p); /* its place in the standard format */
u64 xsave_states(const struct model *m);                  /* what XCR0 may enable */
u64 xsave_supervisor_states(const struct model *m);       /* what IA32_XSS may */
unsigned xsave_size(const struct model *m, u64 components, bool compact); /* of the whole area, bytes */
u64 xsave_in_use(const struct cpu *c);                    /* XINUSE, as XGETBV shows it */
bool write_xcr0(struct cpu *c, u64 v);                    /* as XSETBV; false: #GP(0) */

#endif
