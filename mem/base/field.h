/* SPDX-License-Identifier: MIT */
/* The state of a part of the machine, as a list of fields. Save, load, hash, comparison, printing and randomising
 * are visitors of these lists, so that a part lists its state once.
 *
 *     static const struct field pit_fields[] = {
 *             FIELD(struct pit, ch[0].reload, U16),
 *             FIELDS(struct pit, latch, U8),            an array: its length is taken from the declaration
 *             FIELD(struct pit, tick, EVENT),           an event: its deadline
 *             FIELDS_APART(struct pit, low, ch[0].b[0], 2, ch, 3, U8)   "low": ch[0].b[0..1], ch[1].b[0..1], ch[2].b[0..1]
 *             FIELD_END
 *     };
 *
 * Wiring (lines, callbacks, pointers) is not listed: it belongs to the machine that was built, not to its state. */
#ifndef BASE_FIELD_H
#define BASE_FIELD_H

#include "mem/base/bits.h"
#include "mem/base/clock.h"

enum field_type { FIELD_NONE, FIELD_U8, FIELD_U16, FIELD_U32, FIELD_U64, FIELD_BOOL, FIELD_EVENT };

struct field {
	const char *name;
	u32 offset;
	u32 count; /* elements; 1 for a plain member */
	/* largest value that a load accepts, 0 = any: for indexes, which a hostile snapshot must not push out of bounds
	 * */
	u32 max;
	enum field_type type;
	u32 piece; /* elements that lie side by side, 0 = all */
	u32 stride; /* bytes from one piece to the next */
	u32 used;   /* where the struct has the number of elements behind which all are 0 (u32); 0 = nowhere */
};

#define FIELD(type, member, kind) FIELD_MAX(type, member, kind, 0)
#define FIELD_MAX(type, member, kind, max) { #member, FIELD_AT(type, member, kind, &((type *)0)->member), 1, max, \
	FIELD_##kind, 0, 0, 0 }
#define FIELDS(type, member, kind) \
	{ #member, FIELD_AT(type, member, kind, ((type *)0)->member), sizeof(((type *)0)->member) / FIELD_SIZE_##kind, \
		0, FIELD_##kind, 0, 0, 0 }
/* The same of a long array, for the sake of part_copy: LENGTH, a u32 that is no field, is at least the number of
 * elements up to the last one that is not 0. */
#define FIELDS_USED(type, member, kind, length) \
	{ #member, FIELD_AT(type, member, kind, ((type *)0)->member), sizeof(((type *)0)->member) / FIELD_SIZE_##kind, \
		0, FIELD_##kind, 0, 0, FIELD_AT(type, length, U32, &((type *)0)->length) }
/* COUNT elements from FIRST, which is in ARRAY[0], and as many at the same place in each of the first N elements of
 * ARRAY. Saved and hashed as one array. Numbers only. */
#define FIELDS_APART(type, name, first, count, array, n, kind) \
	{ #name, FIELD_AT(type, first, kind, &((type *)0)->first) + 0 * sizeof(struct { \
		_Static_assert((n) <= sizeof(((type *)0)->array) / sizeof(((type *)0)->array[0]), \
			#array " is shorter"); \
		_Static_assert(offsetof(type, first) >= offsetof(type, array) && offsetof(type, first) + \
			(count) * FIELD_SIZE_##kind <= offsetof(type, array[1]), \
			       #first " reaches beyond " #array "[0]"); \
		_Static_assert((count) * (n) * FIELD_SIZE_##kind <= FIELD_APART_MAX, \
			"part_hash has room for FIELD_APART_MAX bytes"); int nothing; }), \
	  (count) * (n), 0, FIELD_##kind, count, sizeof(((type *)0)->array[0]), 0 }
enum { FIELD_APART_MAX = 256 };
#define FIELD_END { NULL, 0, 0, 0, FIELD_NONE, 0, 0, 0 }
#define FIELD_SIZE_U8 1
#define FIELD_SIZE_U16 2
#define FIELD_SIZE_U32 4
#define FIELD_SIZE_U64 8
#define FIELD_SIZE_BOOL sizeof(bool)
/* A member's offset. It does not compile if the member's type is not of KIND. FIRST points to the member, or to the
 * first element of the array. An enumeration without negative values is a U32. */
#define FIELD_AT(type, member, kind, first) \
	(offsetof(type, member) + 0 * sizeof(struct { \
		_Static_assert(FIELD_IS_##kind(first), #member " is not " #kind); int nothing; }))
#define FIELD_IS_U8(first) _Generic(first, u8 *: 1, s8 *: 1, default: 0)
#define FIELD_IS_U16(first) _Generic(first, u16 *: 1, s16 *: 1, default: 0)
#define FIELD_IS_U32(first) _Generic(first, u32 *: 1, s32 *: 1, default: 0)
#define FIELD_IS_U64(first) _Generic(first, u64 *: 1, s64 *: 1, default: 0)
#define FIELD_IS_BOOL(first) _Generic(first, bool *: 1, default: 0)
#define FIELD_IS_EVENT(first) _Generic(first, struct event *: 1, default: 0)

/* One part: a name, the struct, its list. `post_load` (may be NULL) recomputes what is derived from the fields; it must
 * not call into another part: after all parts are loaded, whoever is in charge drives the lines. */
struct part {
	const char *name;
	void *state;
	const struct field *fields;
	void (*post_load)(void *state);
};

/* Bytes that part_save writes. */
size_t part_size(const struct part *part);
/* Write the fields in order, little-endian, packed. OUT has part_size bytes. */
void part_save(const struct part *part, u8 *out);
/* Read them back; false (state unchanged) if LEN is not part_size or a value is beyond its field's max, and *WHICH
 * names the field. */
bool part_load(const struct part *part, const u8 *in, size_t len, const char **which);
/* The same for what part_save wrote in this process: nothing is checked. Returns the bytes behind it. */
const u8 *part_put(const struct part *part, const u8 *in);
/* The fields of FROM to another part with the same list. */
void part_copy(const struct part *to, const struct part *from);
/* Element I of FIELD as a number. */
u64 part_get(const struct part *part, const struct field *field, u32 i);
/* Extend the 64-bit hash H over the part's name and fields. */
u64 part_hash(const struct part *part, u64 h);
/* For tests: every field gets pseudo-random contents from *SEED (indexes within max, bools 0 or 1). */
void part_randomise(const struct part *part, u64 *seed);

/* The hash that everything uses: 64 bits, the same on all hosts, not cryptographic. */
u64 hash64(u64 h, const void *data, size_t len);

#endif
