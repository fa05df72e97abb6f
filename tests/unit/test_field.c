/* SPDX-License-Identifier: MIT */
/* State as lists: the visitors agree with each other, and a load believes nothing. */
#include "device.h"

struct toy {
	u8 a;
	u16 b[3];
	u32 c;
	u64 d;
	bool e[2];
	u8 index;
	struct event tick;
	struct { u32 low[2], high[2], rest; } lanes[4];
	int wiring;
};

static const struct field toy_fields[] = {
	FIELD(struct toy, a, U8),
	FIELDS(struct toy, b, U16),
	FIELD(struct toy, c, U32),
	FIELD(struct toy, d, U64),
	FIELDS(struct toy, e, BOOL),
	FIELD_MAX(struct toy, index, U8, 6),
	FIELD(struct toy, tick, EVENT),
	FIELDS_APART(struct toy, high, lanes[0].high[0], 2, lanes, 3, U32),
	FIELD_END
};

static unsigned loads;

static void loaded(void *state)
{
	(void)state;
	loads++;
}

static struct part toy_part(struct toy *toy)
{
	return (struct part){ "toy", toy, toy_fields, loaded };
}

static struct toy sample(void)
{
	return (struct toy){ .a = 1, .b = { 0x0302, 0x0504, 0x0706 }, .c = 0x0b0a0908, .d = 0x131211100f0e0d0c,
		.e = { true, false },
		.index = 5, .tick.when = 0x1f1e1d1c1b1a1918,
		.lanes = { { { 97, 98 }, { 0x23222120, 0x27262524 }, 99 }, { { 0 }, { 0x2b2a2928, 0x2f2e2d2c }, 99 },
		{ { 0 }, { 0x33323130, 0x37363534 }, 99 } },
		.wiring = 7 };
}

/* Uses of FIELD and FIELDS that do not compile. */
START_TEST(kinds)
{
	struct toy *toy = NULL;

	ck_assert(FIELD_IS_U8(&toy->a) && FIELD_IS_U16(toy->b) && FIELD_IS_U16(&toy->b[1]) && FIELD_IS_U32(&toy->c) &&
		  FIELD_IS_U64(&toy->d));
	ck_assert(FIELD_IS_BOOL(toy->e) && FIELD_IS_EVENT(&toy->tick));
	ck_assert(!FIELD_IS_U16(&toy->a));     /* too small */
	ck_assert(!FIELD_IS_U8(&toy->c));      /* too large */
	ck_assert(!FIELD_IS_U16(&toy->b));     /* an array, of which FIELD would save the first element only */
	ck_assert(!FIELD_IS_U8(toy->e));       /* a bool, in which a load must not put a 2 */
	ck_assert(!FIELD_IS_BOOL(&toy->a));
	ck_assert(!FIELD_IS_U64(&toy->tick));
}
END_TEST

START_TEST(layout)
{
	/* little-endian, packed, in order */
	static const u8 want[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 1, 0, 5,
		0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
		0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f,
		0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37 };
	struct toy toy = sample(), other = { .lanes[1].rest = 8, .wiring = 9 };
	struct part part = toy_part(&toy), copy = toy_part(&other);
	u8 out[sizeof want];

	ck_assert_uint_eq(part_size(&part), sizeof want);
	part_save(&part, out);
	ck_assert_mem_eq(out, want, sizeof want);
	loads = 0;
	ck_assert(part_load(&copy, out, sizeof out, NULL));
	ck_assert_uint_eq(loads, 1);
	ck_assert_uint_eq(other.b[2], 0x0706);
	ck_assert_uint_eq(other.tick.when, 0x1f1e1d1c1b1a1918);
	ck_assert_uint_eq(other.lanes[2].high[1], 0x37363534);
	ck_assert_uint_eq(part_get(&copy, &toy_fields[7], 3), 0x2f2e2d2c);
	/* the gaps stay */
	ck_assert(!other.lanes[0].low[1] && !other.lanes[0].rest && other.lanes[1].rest == 8 &&
		  !other.lanes[3].high[0]);
	ck_assert_int_eq(other.wiring, 9);
	ck_assert_uint_eq(part_hash(&part, 1), part_hash(&copy, 1));
}
END_TEST

/* A list of one array, and one of the same numbers in pieces: nobody who sees the saved bytes or the hash can tell
 * which it was. */
START_TEST(pieces_are_as_an_array)
{
	struct whole { u32 high[6]; } whole = { { 1, 2, 3, 4, 5, 6 } };
	struct toy toy = { .lanes = { { .high = { 1, 2 } }, { .high = { 3, 4 } }, { .high = { 5, 6 }, .rest = 7 } } };
	const struct field array[] = { FIELDS(struct whole, high, U32), FIELD_END };
	const struct field pieces[] = { FIELDS_APART(struct toy, high, lanes[0].high[0], 2, lanes, 3, U32), FIELD_END };
	struct part a = { "x", &whole, array, NULL }, b = { "x", &toy, pieces, NULL };
	u64 seed = 3, same = 3;
	u8 one[24], other[24];

	for (unsigned i = 0; i < 3; i++) {
		part_save(&a, one);
		part_save(&b, other);
		ck_assert_uint_eq(part_size(&b), sizeof other);
		ck_assert_mem_eq(one, other, sizeof one);
		ck_assert_uint_eq(part_hash(&a, 5), part_hash(&b, 5));
		part_randomise(&a, &seed);
		part_randomise(&b, &same);
	}
	ck_assert_uint_eq(toy.lanes[2].rest, 7);
}
END_TEST

/* A copy moves what is used of a long array: the bytes behind it must be the same all the same. */
START_TEST(used_is_enough)
{
	struct queue { u8 bytes[203]; u32 used; } queues[2] = { { .used = 0 } };
	const struct field fields[] = { FIELDS_USED(struct queue, bytes, U8, used), FIELD_END };
	struct part a = { "a", &queues[0], fields, NULL }, b = { "b", &queues[1], fields, NULL };
	static const u8 zeroes[203];
	u8 image[203];
	u64 seed = 5;

	for (unsigned i = 0; i < 1000; i++) {
		struct queue *q = &queues[i * 7 % 2];
		u32 at = (i * 0x9e3779b1u >> 16) % 203;

		if (i % 10 == 8) {
			part_randomise(&a, &seed);
		} else if (i % 10 == 9) {
			part_put(&b, zeroes);
		} else {
			q->bytes[at] = (u8)(i % 3);
			q->used = at >= q->used ? at + 1 : q->used;
		}
		part_copy(i & 4 ? &a : &b, i & 4 ? &b : &a);
		ck_assert_mem_eq(queues[0].bytes, queues[1].bytes, sizeof image);
		part_save(&a, image);
		ck_assert_mem_eq(image, queues[1].bytes, sizeof image);
	}
	part_put(&a, zeroes);
	part_copy(&b, &a);
	ck_assert_uint_le(queues[0].used, 3); /* it was counted */
	ck_assert_uint_le(queues[1].used, 3);
}
END_TEST

START_TEST(refusals)
{
	struct toy toy = sample(), before;
	struct part part = toy_part(&toy);
	u8 image[54];
	const char *which = NULL;

	part_save(&part, image);
	before = toy;
	ck_assert(!part_load(&part, image, sizeof image - 1, &which));
	ck_assert(!part_load(&part, image, sizeof image + 1, &which));
	image[0] = 99; /* must not be taken either */
	image[20] = 2; /* e[1]: no bool */
	ck_assert(!part_load(&part, image, sizeof image, &which));
	ck_assert_str_eq(which, "e");
	image[20] = 0;
	image[21] = 7; /* beyond max */
	ck_assert(!part_load(&part, image, sizeof image, &which));
	ck_assert_str_eq(which, "index");
	ck_assert_mem_eq(&before, &toy, sizeof toy);
	image[21] = 6;
	ck_assert(part_load(&part, image, sizeof image, &which));
	ck_assert_uint_eq(toy.a, 99);
}
END_TEST

START_TEST(every_bit_is_hashed)
{
	struct toy toy = sample();
	struct part part = toy_part(&toy), renamed = part;
	u64 hash = part_hash(&part, 0);
	u8 image[54];

	part_save(&part, image);
	for (unsigned bit = 0; bit < 8 * sizeof image; bit++) {
		image[bit / 8] ^= 1 << bit % 8;
		if (part_load(&part, image, sizeof image, NULL))
			ck_assert_uint_ne(part_hash(&part, 0), hash);
		image[bit / 8] ^= 1 << bit % 8;
	}
	ck_assert(part_load(&part, image, sizeof image, NULL));
	ck_assert_uint_eq(part_hash(&part, 0), hash);
	ck_assert_uint_ne(part_hash(&part, 1), hash);
	renamed.name = "boy";
	ck_assert_uint_ne(part_hash(&renamed, 0), hash);
}
END_TEST

START_TEST(random_is_legal)
{
	struct toy toy = { 0 }, other = { 0 };
	struct part part = toy_part(&toy), copy = toy_part(&other);
	u64 seed = 1, same = 1;
	u8 image[54];
	unsigned seen = 0;

	for (unsigned i = 0; i < 1000; i++) {
		part_randomise(&part, &seed);
		part_randomise(&copy, &same);
		part_save(&part, image);
		ck_assert_uint_eq(part_hash(&part, 0), part_hash(&copy, 0));
		ck_assert(part_load(&copy, image, sizeof image, NULL));
		seen |= 1u << toy.index;
	}
	ck_assert_uint_eq(seen, 0x7f);
}
END_TEST

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* One bit in a page of zeroes, and every length of zeroes: no two may collide. */
START_TEST(hash_tells_apart)
{
	static u8 page[4096];
	static u64 hashes[8 * 4096 + 4097];
	unsigned n = 0;

	for (unsigned bit = 0; bit < 8 * sizeof page; bit++) {
		page[bit / 8] ^= 1 << bit % 8;
		hashes[n++] = hash64(0, page, sizeof page);
		page[bit / 8] ^= 1 << bit % 8;
	}
	for (unsigned len = 0; len <= sizeof page; len++)
		hashes[n++] = hash64(0, page, len);
	qsort(hashes, n, sizeof *hashes, compare);
	for (unsigned i = 1; i < n; i++)
		ck_assert_uint_ne(hashes[i - 1], hashes[i]);
}
END_TEST

/* Flipping an input bit flips each output bit about half of the time. */
START_TEST(hash_avalanche)
{
	for (unsigned len = 8; len <= 136; len += 32) {
		u8 data[136] = { 0 };
		unsigned flips[64] = { 0 }, trials = 0;

		for (unsigned round = 0; round < 64; round++) {
			data[round % len] += 77;
			for (unsigned bit = 0; bit < 8 * len; bit++, trials++) {
				u64 a = hash64(round, data, len), b;

				data[bit / 8] ^= 1 << bit % 8;
				b = hash64(round, data, len);
				data[bit / 8] ^= 1 << bit % 8;
				for (unsigned i = 0; i < 64; i++)
					flips[i] += (a ^ b) >> i & 1;
			}
		}
		for (unsigned i = 0; i < 64; i++) {
			ck_assert_uint_gt(flips[i], trials * 45 / 100);
			ck_assert_uint_lt(flips[i], trials * 55 / 100);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("field");
	TCase *all = tcase_create("field");

	tcase_add_test(all, kinds);
	tcase_add_test(all, layout);
	tcase_add_test(all, pieces_are_as_an_array);
	tcase_add_test(all, used_is_enough);
	tcase_add_test(all, refusals);
	tcase_add_test(all, every_bit_is_hashed);
	tcase_add_test(all, random_is_legal);
	tcase_add_test(all, hash_tells_apart);
	tcase_add_test(all, hash_avalanche);
	suite_add_tcase(suite, all);
	return run_suite(suite);
}
