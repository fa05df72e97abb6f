/* SPDX-License-Identifier: MIT */
/* Received Ethernet frames that wait for the adapter, a part of its state: a ring of { length (32 bits), bytes }. It
 * is no chip and has no data sheet. */
#ifndef IO_FRAMES_H
#define IO_FRAMES_H

#include "mem/base/field.h"

enum {
	FRAME_MIN = 14,
	FRAME_WIRE = 1514,             /* the largest on a wire, without its checksum */
	FRAME_MAX = 14 + 65535,        /* with offload: an IP packet of any size */
	FRAMES_ROOM = 256 * 1024,
};

struct frames {
	u32 head, used;                /* bytes */
	u8 bytes[FRAMES_ROOM];
};

#define FRAMES_FIELDS(type, member) \
	FIELD_MAX(type, member.head, U32, FRAMES_ROOM - 1), FIELD_MAX(type, member.used, U32, FRAMES_ROOM), \
		FIELDS(type, member.bytes, U8)

/* False: no room for LEN bytes more. */
bool frames_put(struct frames *f, const void *frame, size_t len);
/* The first frame's length, 0 if there is none; and its bytes, FRAME_MAX at most, to OUT (NULL: only the length). */
size_t frames_first(struct frames *f, void *out);
/* The length of the frame *AT bytes behind the first, which moves on by it, 0 if there is none; its bytes to OUT if
 * they are at most ROOM. */
size_t frames_next(struct frames *f, u32 *at, void *out, size_t room);
void frames_drop(struct frames *f); /* the first one */
void frames_clear(struct frames *f);

#endif
