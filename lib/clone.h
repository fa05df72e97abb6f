/* SPDX-License-Identifier: MIT */
/* The inside of clones. */
#ifndef LIB_CLONE_H
#define LIB_CLONE_H

#include "mem/base/bits.h"

struct vcpu;

/* V's memory is no longer that of its family, if it has one. */
void family_leave(struct vcpu *v);
/* Instead of machine_free: the family of V keeps it for a clone. False: it does not. */
bool family_keeps(struct vcpu *v);

#endif
