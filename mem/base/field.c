/* SPDX-License-Identifier: MIT */
#include "mem/base/field.h"

static size_t element_size(enum field_type type)
{
	switch (type) {
	case FIELD_U8: return 1;
	case FIELD_U16: return 2;
	case FIELD_U32: return 4;
	case FIELD_U64: return 8;
	case FIELD_BOOL: return 1;
	case FIELD_EVENT: return 8;
	case FIELD_NONE: break;
	}
	return 0;
}

/* Numbers lie in the struct just as they are saved, but for the gaps between pieces. */
static bool is_number(const struct field *field)
{
	return field->type != FIELD_BOOL && field->type != FIELD_EVENT;
}

static size_t field_size(const struct field *field) { return field->count * element_size(field->type); }

/* The place of element *I's piece; *I becomes its index in that. */
static u8 *piece_of(const struct part *part, const struct field *field, u32 *i)
{
	u8 *at = (u8 *)part->state + field->offset;

	if (field->piece) {
		at += *i / field->piece * field->stride;
		*i %= field->piece;
	}
	return at;
}

static u32 *used_of(const struct part *part, const struct field *field)
{
	return (u32 *)(void *)((u8 *)part->state + field->used);
}

/* Any of them may be. */
static void use_all(const struct part *part, const struct field *field)
{
	if (field->used)
		*used_of(part, field) = field->count;
}

/* Bytes of a field with `used' up to the last one that may be other than 0. Behind use_all they are counted, once. */
static size_t used_size(const struct part *part, const struct field *field)
{
	const u8 *at = (const u8 *)part->state + field->offset;
	size_t size = element_size(field->type), n = *used_of(part, field) * size;

	if (n == field_size(field))
		for (; n >= 8 && !get64(at + n - 8); n -= 8)
			;
	*used_of(part, field) = (u32)((n + size - 1) / size);
	return *used_of(part, field) * size;
}

/* Most fields are one number: a call for each would take longer than the copy. */
static inline void copy(u8 *to, const u8 *from, size_t len)
{
	switch (len) {
	case 1: *to = *from; break;
	case 2: memcpy(to, from, 2); break;
	case 4: memcpy(to, from, 4); break;
	case 8: memcpy(to, from, 8); break;
	default: memcpy(to, from, len);
	}
}

static void get_numbers(const struct part *part, const struct field *field, u8 *out)
{
	size_t size = field_size(field), piece = field->piece ? field->piece * element_size(field->type) : size;
	const u8 *at = (const u8 *)part->state + field->offset;

	for (size_t done = 0; done < size; done += piece, at += field->stride)
		copy(out + done, at, piece);
}

static void set_numbers(const struct part *part, const struct field *field, const u8 *in)
{
	size_t size = field_size(field), piece = field->piece ? field->piece * element_size(field->type) : size;
	u8 *at = (u8 *)part->state + field->offset;

	for (size_t done = 0; done < size; done += piece, at += field->stride)
		copy(at, in + done, piece);
	use_all(part, field);
}

u64 part_get(const struct part *part, const struct field *field, u32 i)
{
	const u8 *at = piece_of(part, field, &i);

	switch (field->type) {
	case FIELD_BOOL: return ((const bool *)at)[i];
	case FIELD_EVENT: return ((const struct event *)at)[i].when;
	default: return get_size(at + i * element_size(field->type), (unsigned)element_size(field->type));
	}
}

static void set_element(const struct part *part, const struct field *field, u32 i, u64 value)
{
	u8 *at = piece_of(part, field, &i);

	switch (field->type) {
	case FIELD_BOOL: ((bool *)at)[i] = value; break;
	case FIELD_EVENT: ((struct event *)at)[i].when = value; break;
	default: put_size(at + i * element_size(field->type), (unsigned)element_size(field->type), value); break;
	}
	use_all(part, field);
}

/* The largest value that FIELD may hold. */
static u64 limit(const struct field *field)
{
	if (field->type == FIELD_BOOL)
		return 1;
	return field->max ? field->max : ~(u64)0;
}

size_t part_size(const struct part *part)
{
	size_t size = 0;

	for (const struct field *field = part->fields; field->name; field++)
		size += field_size(field);
	return size;
}

void part_save(const struct part *part, u8 *out)
{
	for (const struct field *field = part->fields; field->name; field++) {
		size_t size = element_size(field->type);

		if (is_number(field)) {
			get_numbers(part, field, out);
			out += field_size(field);
			continue;
		}
		for (u32 i = 0; i < field->count; i++, out += size)
			put_size(out, (unsigned)size, part_get(part, field, i));
	}
}

const u8 *part_put(const struct part *part, const u8 *in)
{
	for (const struct field *field = part->fields; field->name; field++) {
		size_t size = element_size(field->type);

		if (is_number(field)) {
			set_numbers(part, field, in);
			in += field_size(field);
			continue;
		}
		for (u32 i = 0; i < field->count; i++, in += size)
			set_element(part, field, i, get_size(in, (unsigned)size));
	}
	if (part->post_load)
		part->post_load(part->state);
	return in;
}

static void copy_used(const struct part *to, const struct part *from, const struct field *field)
{
	size_t new = used_size(from, field), old = used_size(to, field);

	memcpy((u8 *)to->state + field->offset, (const u8 *)from->state + field->offset, new > old ? new : old);
	*used_of(to, field) = *used_of(from, field);
}

void part_copy(const struct part *to, const struct part *from)
{
	for (const struct field *field = from->fields; field->name; field++) {
		size_t size = field_size(field), piece = field->piece ? field->piece * element_size(field->type) : size;

		if (!is_number(field)) {
			for (u32 i = 0; i < field->count; i++)
				set_element(to, field, i, part_get(from, field, i));
			continue;
		}
		if (field->used) {
			copy_used(to, from, field);
			continue;
		}
		for (size_t done = 0, at = field->offset; done < size; done += piece, at += field->stride)
			copy((u8 *)to->state + at, (const u8 *)from->state + at, piece);
	}
	if (to->post_load)
		to->post_load(to->state);
}

bool part_load(const struct part *part, const u8 *in, size_t len, const char **which)
{
	const u8 *at = in;

	if (len != part_size(part)) {
		if (which)
			*which = part->name;
		return false;
	}
	for (const struct field *field = part->fields; field->name; field++) {
		size_t size = element_size(field->type);

		if (limit(field) == ~(u64)0) {
			at += field_size(field);
			continue;
		}
		for (u32 i = 0; i < field->count; i++, at += size) {
			if (get_size(at, (unsigned)size) <= limit(field))
				continue;
			if (which)
				*which = field->name;
			return false;
		}
	}
	part_put(part, in);
	return true;
}

u64 part_hash(const struct part *part, u64 h)
{
	h = hash64(h, part->name, strlen(part->name));
	for (const struct field *field = part->fields; field->name; field++) {
		if (is_number(field)) {
			u8 pieces[FIELD_APART_MAX];

			if (field->piece)
				get_numbers(part, field, pieces);
			h = hash64(h, field->piece ? pieces : (const u8 *)part->state + field->offset,
				   field_size(field));
			continue;
		}
		for (u32 i = 0; i < field->count; i++) {
			u64 value = part_get(part, field, i);

			h = hash64(h, &value, sizeof value);
		}
	}
	return h;
}

/* A Weyl sequence through a finaliser: every seed gives a full period. */
static u64 random64(u64 *seed)
{
	u64 x = *seed += 0x9e3779b97f4a7c15;

	x = (x ^ x >> 31) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 29) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

void part_randomise(const struct part *part, u64 *seed)
{
	for (const struct field *field = part->fields; field->name; field++) {
		for (u32 i = 0; i < field->count; i++) {
			u64 value = random64(seed), top = limit(field);

			if (field->type == FIELD_EVENT) /* never, soon, later, or anywhere */
				value = value % 4 == 0 ? CLOCK_NEVER
						       : value >> (value % 4 == 1   ? 44
								   : value % 4 == 2 ? 24
										    : 0);
			else if (top != ~(u64)0)
				value %= top + 1;
			set_element(part, field, i, value);
		}
	}
	if (part->post_load)
		part->post_load(part->state);
}

#define K0 0x9fb21c651e98df25u
#define K1 0xc2b2ae3d27d4eb4fu
#define K2 0xa0761d6478bd642fu

/* The high half of a product is where every bit of the word has gone; a shift or rotation instead leaves patterns of
 * two or three bits in neighbouring words that cancel out. */
static u64 step(u64 lane, u64 word)
{
	unsigned __int128 product = (unsigned __int128)(lane ^ word) * K0;

	return ((u64)product ^ (u64)(product >> 64)) + K1;
}

static u64 finish(u64 h)
{
	h = (h ^ h >> 32) * K0;
	h = (h ^ h >> 29) * K2;
	return h ^ h >> 32;
}

u64 hash64(u64 h, const void *data, size_t len)
{
	const u8 *p = data;
	u64 tail = 0;

	h = step(h, len);
	if (len >= 64) { /* four chains that do not wait for each other */
		u64 a = h, b = h ^ K0, c = h ^ K1, d = h ^ K2;

		for (; len >= 32; p += 32, len -= 32) {
			a = step(a, get64(p));
			b = step(b, get64(p + 8));
			c = step(c, get64(p + 16));
			d = step(d, get64(p + 24));
		}
		h = step(step(step(finish(a), finish(b)), finish(c)), finish(d));
	}
	for (; len >= 8; p += 8, len -= 8)
		h = step(h, get64(p));
	if (len) {
		memcpy(&tail, p, len);
		h = step(h, tail);
	}
	return finish(h);
}
