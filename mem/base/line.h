/* SPDX-License-Identifier: MIT */
/* A wire. Its driver sets a level and does not know the other end, which lib/pc.c connects.
 *
 *     driver  --- struct line --->  set(owner, n, level)
 *
 * A line without a function is not connected. */
#ifndef BASE_LINE_H
#define BASE_LINE_H

#include "mem/base/bits.h"

struct line {
	void (*set)(void *owner, int n, bool level);
	void *owner;
	int n; /* which input of the owner, e.g. the IR number of a PIC */
};

static inline void line_set(const struct line *line, bool level)
{
	if (line->set)
		line->set(line->owner, line->n, level);
}

#endif
