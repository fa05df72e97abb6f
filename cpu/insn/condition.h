/* SPDX-License-Identifier: MIT */
/* The sixteen conditions of Jcc, SETcc, CMOVcc, by their number in the opcode (SDM vol. 2, appendix B.1.4.7). */
#ifndef CPU_CONDITION_H
#define CPU_CONDITION_H

#include "cpu/op.h"

#define CONDITIONS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define CONDITION_NAMES(X) X(o) X(no) X(b) X(ae) X(e) X(ne) X(be) X(a) X(s) X(ns) X(p) X(np) X(l) X(ge) X(le) X(g)

ALWAYS_INLINE bool condition(const struct cpu *c, unsigned cc)
{
	bool yes;

	switch (cc >> 1) {
	case 0: yes = flag_o(c); break;
	case 1: yes = flag_c(c); break;
	case 2: yes = flag_z(c); break;
	case 3: yes = (unsigned)flag_c(c) | flag_z(c); break;
	case 4: yes = flag_s(c); break;
	case 5: yes = flag_p(c); break;
	case 6: yes = flag_l(c); break;
	default: yes = (unsigned)flag_z(c) | flag_l(c); break;
	}
	return yes ^ (cc & 1);
}

#endif
