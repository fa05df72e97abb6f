/* SPDX-License-Identifier: MIT */
/* Pages that makedumpfile has compressed: by zlib and zstd (their libraries), LZO1X (Linux:
 * Documentation/staging/lzo.rst) and snappy (its format_description.txt). The two latter are bytes and copies of bytes that came before. */
#include <zlib.h>
#if HAVE_LIBZSTD
#include <zstd.h>
#endif
#include "lib/dump.h"

struct unpack {
	const u8 *in, *end;
	u8 *out;
	u64 n, room;
	bool cut; /* a number goes on behind the end */
};

/* LEN bytes as they are. */
static bool literals(struct unpack *u, u64 len)
{
	if (len > (u64)(u->end - u->in) || len > u->room - u->n)
		return false;
	memcpy(u->out + u->n, u->in, len);
	u->in += len;
	u->n += len;
	return true;
}

/* LEN bytes that begin BACK bytes ago, and may be among those that this writes. */
static bool again(struct unpack *u, u64 back, u64 len)
{
	if (!back || back > u->n || len > u->room - u->n)
		return false;
	for (; len; len--, u->n++)
		u->out[u->n] = u->out[u->n - back];
	return true;
}

/* SIZE bytes of a number. */
static u32 number(struct unpack *u, unsigned size)
{
	u32 value = 0;

	if (size > (u64)(u->end - u->in)) {
		u->in = u->end;
		u->cut = true;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		value |= (u32)*u->in++ << 8 * i;
	return value;
}

/* A length in BITS bits of CODE; if they are 0, more bytes have it. */
static u64 length(struct unpack *u, u32 code, unsigned bits)
{
	u64 len = code & ((1u << bits) - 1);

	if (len)
		return len;
	len = (1u << bits) - 1;
	for (; u->in < u->end && !*u->in; u->in++)
		len += 255;
	return len + number(u, 1);
}

/* STATE is the number of literals behind the last copy; 4: they were a run of their own. */
static bool lzo(struct unpack *u)
{
	unsigned state = 0;

	if (u->in < u->end && *u->in > 17) {
		u64 n = number(u, 1) - 17;

		if (!literals(u, n))
			return false;
		state = n < 4 ? (unsigned)n : 4;
	}
	while (u->in < u->end) {
		u32 code = number(u, 1), low = code;
		u64 len, back;

		if (code < 16 && !state) {
			if (!literals(u, length(u, code, 4) + 3))
				return false;
			state = 4;
			continue;
		}
		if (code >= 64) {
			len = code >= 128 ? 5 + (code >> 5 & 3) : 3 + (code >> 5 & 1);
			back = (number(u, 1) << 3) + (code >> 2 & 7) + 1;
		} else if (code >= 16) {
			len = 2 + length(u, code, code >= 32 ? 5 : 3);
			low = number(u, 2);
			back = (code >= 32 ? 1 : 16384 + ((code & 8) << 11)) + (low >> 2);
			if (code < 32 && back == 16384) /* the end */
				return u->in == u->end;
		} else {
			len = state == 4 ? 3 : 2;
			back = (number(u, 1) << 2) + (code >> 2) + (state == 4 ? 2049 : 1);
		}
		state = low & 3;
		if (!again(u, back, len) || !literals(u, state))
			return false;
	}
	return false;
}

static bool snappy(struct unpack *u)
{
	while (u->in < u->end && *u->in & 0x80)
		u->in++;
	number(u, 1); /* the whole length, which is known */
	while (u->in < u->end) {
		u32 tag = number(u, 1), top = tag >> 2, back;
		unsigned kind = tag & 3;

		if (!kind) {
			if (!literals(u, (u64)(top < 60 ? top : number(u, top - 59)) + 1))
				return false;
			continue;
		}
		back = kind == 1 ? (tag >> 5) << 8 | number(u, 1) : number(u, kind == 2 ? 2 : 4);
		if (!again(u, back, kind == 1 ? 4 + (top & 7) : top + 1))
			return false;
	}
	return true;
}

const char *dump_unpack(u32 how, const u8 *data, u64 size, u8 page[PAGE_SIZE])
{
	struct unpack u = { data, data + size, page, 0, PAGE_SIZE, false };
	uLongf len = PAGE_SIZE;
	bool ok = false;

	switch (how) {
	case DUMP_ZLIB: ok = uncompress(page, &len, data, size) == Z_OK && len == PAGE_SIZE; break;
	case DUMP_LZO: ok = lzo(&u) && u.n == PAGE_SIZE && !u.cut; break;
	case DUMP_SNAPPY: ok = snappy(&u) && u.n == PAGE_SIZE && !u.cut; break;
#if HAVE_LIBZSTD
	case DUMP_ZSTD: ok = ZSTD_decompress(page, PAGE_SIZE, data, size) == PAGE_SIZE; break;
#else
	case DUMP_ZSTD: return "its pages are compressed by zstd, and this library was built without libzstd";
#endif
	default: return "its pages are compressed by a method that is not known";
	}
	return ok ? NULL : "a page is damaged";
}
