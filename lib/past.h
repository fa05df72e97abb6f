/* SPDX-License-Identifier: MIT */
/* The inside of snapshots in memory. */
#ifndef LIB_PAST_H
#define LIB_PAST_H

struct vcpu;

void past_free(struct vcpu *v);

#endif
