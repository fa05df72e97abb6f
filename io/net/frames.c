/* SPDX-License-Identifier: MIT */
/* A queue of Ethernet frames in the state of an adapter. frames.h describes it. */
#include "io/net/frames.h"

static void copy_in(struct frames *f, u32 at, const void *in, u32 len)
{
	u32 first = FRAMES_ROOM - at < len ? FRAMES_ROOM - at : len;

	memcpy(f->bytes + at, in, first);
	memcpy(f->bytes, (const u8 *)in + first, len - first);
}

static void copy_out(const struct frames *f, u32 at, void *out, u32 len)
{
	u32 first = FRAMES_ROOM - at < len ? FRAMES_ROOM - at : len;

	memcpy(out, f->bytes + at, first);
	memcpy((u8 *)out + first, f->bytes, len - first);
}

bool frames_put(struct frames *f, const void *frame, size_t len)
{
	u32 at = (f->head + f->used) % FRAMES_ROOM, head = (u32)len;

	if (len > FRAME_MAX || len + sizeof head > FRAMES_ROOM - f->used)
		return false;
	copy_in(f, at, &head, sizeof head);
	copy_in(f, (at + sizeof head) % FRAMES_ROOM, frame, head);
	f->used += (u32)sizeof head + head;
	return true;
}

size_t frames_next(struct frames *f, u32 *at, void *out, size_t room)
{
	u32 len;

	if (*at >= f->used)
		return 0;
	copy_out(f, (f->head + *at) % FRAMES_ROOM, &len, sizeof len);
	/* only a state that nobody saved */
	if (f->used - *at < sizeof len || !len || len > FRAME_MAX || len > f->used - *at - sizeof len) {
		frames_clear(f);
		return 0;
	}
	if (len <= room)
		copy_out(f, (f->head + *at + sizeof len) % FRAMES_ROOM, out, len);
	*at += (u32)sizeof len + len;
	return len;
}

size_t frames_first(struct frames *f, void *out)
{
	u32 at = 0;

	return frames_next(f, &at, out, out ? FRAME_MAX : 0);
}

void frames_drop(struct frames *f)
{
	u32 size = (u32)(frames_first(f, NULL) + sizeof(u32));

	if (!f->used)
		return;
	f->head = (f->head + size) % FRAMES_ROOM;
	f->used -= size;
}

void frames_clear(struct frames *f)
{
	f->head = f->used = 0;
}
