/* SPDX-License-Identifier: MIT */
/* Changes of the state by the caller (change.c), for recordings and debuggers. */
#ifndef LIB_CHANGE_H
#define LIB_CHANGE_H

#include "lib/machine.h"

/* Bytes before those of memory, of a wide register or of a segment. */
enum { CHANGE_HEAD = 20, SEGMENT_BYTES = 20 };

/* A channel of an input is a change. */
static inline bool channel_is_change(unsigned channel) { return channel >= CHANGE_REGISTER; }
/* Make the change WHAT with these LEN bytes again, between two instructions. False: it is none, or the machine cannot
 * take it. */
bool change_again(struct vcpu *v, unsigned what, const u8 *data, size_t len);

#endif
