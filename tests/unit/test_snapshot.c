/* SPDX-License-Identifier: MIT */
/* Saved states: what comes back is what went in, and nothing that is damaged comes in at all. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "lib/machine.h"

/* A guest that uses timer, interrupts, serial port and memory:
 *   program PIT channel 0 (mode 2, 1193 ticks) and the PIC's mask; vector 8 counts into [500h]; the loop writes a counter to memory
 *   and COM1 */
static const u8 sector[512] = {
	0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c,       /* cli; ds = ss = 0; sp = 7c00h */
	0xc7, 0x06, 0x20, 0x00, 0x80, 0x7c, 0xc7, 0x06, 0x22, 0x00, 0, 0, /* vector 8: 0:7c80h */
	0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe,
		0xe6, 0x21,
	0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xa9, 0xe6, 0x40, 0xb0, 0x04, 0xe6, 0x40,
	0xfb, 0x31, 0xdb, 0xba, 0xf8, 0x03,                               /* sti; bx = 0; dx = 3f8h */
	0x43, 0x81, 0xe3, 0xff, 0x0f, 0x89, 0x9f, 0x00, 0x10,             /* l: inc bx; bx &= fffh; [bx+1000h] = bx */
	0x88, 0xd8, 0xee, 0xeb, 0xf2,                                     /* out dx, bl; jmp l */
	[0x80] = 0xff, 0x06, 0x00, 0x05, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf, /* inc [500h]; EOI; iret */
	[510] = 0x55, 0xaa,
};

static vcpu *machine(struct vcpu_config config)
{
	char *error = NULL;
	vcpu *v;

	config.kernel_data = sector;
	config.kernel_size = sizeof sector;
	if (!config.memory)
		config.memory = 4 * MiB;
	v = vcpu_new(&config, &error);
	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static void run(vcpu *v, u64 n)
{
	ck_assert_int_eq(vcpu_run(v, n).reason, VCPU_STOP_LIMIT);
}

static void *save(const vcpu *v, size_t *len)
{
	char *error = NULL;
	void *data;

	ck_assert_msg(vcpu_save(v, &data, len, &error), "%s", error);
	return data;
}

static void load(vcpu *v, const void *data, size_t len)
{
	char *error = NULL;

	ck_assert_msg(vcpu_load(v, data, len, &error), "%s", error);
}

static void refused(vcpu *v, const void *data, size_t len, const char *says)
{
	char *error = NULL;

	ck_assert(!vcpu_load(v, data, len, &error));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, says) != NULL, "%s", error);
	free(error);
}

/* A run goes on from a saved state as it did, in the same machine and in another; saving changes nothing. */
START_TEST(goes_on)
{
	static const char *const models[] = { "8086", "386", "max" };
	struct vcpu_config config = { .cpu = models[_i], .memory = _i ? 4 * MiB : MiB };
	vcpu *a = machine(config), *b = machine(config), *c = machine(config);
	u64 middle, end;
	size_t len;
	void *data;
	u8 ticks;

	run(a, 2000003);
	run(c, 2000003);
	middle = vcpu_state_hash(a);
	data = save(a, &len);
	ck_assert_uint_eq(vcpu_state_hash(a), middle);
	ck_assert_uint_eq(vcpu_state_hash(c), middle);
	run(a, 3000001);
	end = vcpu_state_hash(a);
	ck_assert_uint_ne(end, middle);
	vcpu_read_physical(a, 0x500, &ticks, 1);
	ck_assert_uint_ge(ticks, 4); /* 5 ms at 1193 Hz / 1.19 MHz a tick */
	run(c, 3000001);
	ck_assert_uint_eq(vcpu_state_hash(c), end);

	load(b, data, len);
	ck_assert_uint_eq(vcpu_state_hash(b), middle);
	ck_assert_uint_eq(vcpu_instructions(b), 2000003);
	run(b, 3000001);
	ck_assert_uint_eq(vcpu_state_hash(b), end);
	load(a, data, len);
	ck_assert_uint_eq(vcpu_state_hash(a), middle);
	run(a, 3000001);
	ck_assert_uint_eq(vcpu_state_hash(a), end);
	free(data);
	vcpu_free(a);
	vcpu_free(b);
	vcpu_free(c);
}
END_TEST

/* Code that a machine has decoded is not what it runs after a load. */
START_TEST(code_changes)
{
	static const u8 one[] = { 0xb8, 1, 0, 0xeb, 0xfe }, two[] = { 0xb8, 2, 0, 0xeb, 0xfe };
	vcpu *a = machine((struct vcpu_config){ 0 });
	size_t len;
	void *data;

	vcpu_write_physical(a, 0x7c00, one, sizeof one);
	data = save(a, &len);
	vcpu_write_physical(a, 0x7c00, two, sizeof two);
	run(a, 10);
	ck_assert_uint_eq(vcpu_get(a, VCPU_RAX), 2);
	load(a, data, len);
	run(a, 10);
	ck_assert_uint_eq(vcpu_get(a, VCPU_RAX), 1);
	free(data);
	vcpu_free(a);
}
END_TEST

/* Pages that hold nothing but zeroes are as good as ones that nobody touched. */
START_TEST(zero_pages)
{
	vcpu *a = machine((struct vcpu_config){ .memory = 1024 * MiB }),
	     *b = machine((struct vcpu_config){ .memory = 1024 * MiB });
	u8 byte = 0;
	size_t len;
	void *data;

	ck_assert_uint_lt(vcpu_resident(a), MiB);
	vcpu_write_physical(b, 512 * MiB, &byte, 1);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(b));
	data = save(a, &len);
	ck_assert_uint_lt(len, 100000);
	byte = 1;
	vcpu_write_physical(b, 512 * MiB, &byte, 1);
	ck_assert_uint_ne(vcpu_state_hash(a), vcpu_state_hash(b));
	load(b, data, len);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(b));
	vcpu_read_physical(b, 512 * MiB, &byte, 1);
	ck_assert_uint_eq(byte, 0);
	free(data);
	vcpu_free(a);
	vcpu_free(b);
}
END_TEST

START_TEST(other_configurations)
{
	static const struct { struct vcpu_config config; const char *says; } others[] = {
		{ { .memory = 5 * MiB }, "memory" },
		{ { .cpu = "486" }, "processor" },
		{ { .cpu = "max,-sse4.2" }, "processor" },
		{ { .seed = 7 }, "seed" },
		{ { .rtc = 7 }, "clock" },
		{ { .ns_per_instruction_q16 = 7 }, "speed" },
		{ { .append = "x" }, "boot image" },
	};
	vcpu *a = machine((struct vcpu_config){ 0 }), *b;
	struct vcpu_config bare = { .bare = true };
	size_t len;
	void *data = save(a, &len);

	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		b = machine(others[i].config);
		refused(b, data, len, others[i].says);
		vcpu_free(b);
	}
	b = vcpu_new(&bare, NULL);
	refused(b, data, len, "another");
	vcpu_free(b);
	free(data);
	vcpu_free(a);
}
END_TEST

START_TEST(damage)
{
	vcpu *a = machine((struct vcpu_config){ 0 }), *b = machine((struct vcpu_config){ 0 });
	u64 hash, seed = 5;
	size_t len;
	u8 *data;

	run(a, 100000);
	run(b, 50);
	hash = vcpu_state_hash(b);
	data = save(a, &len);
	for (size_t n = 0; n < len; n += n < 64 ? 1 : 211) {
		u8 *exact = malloc(n + 1);

		memcpy(exact, data, n);
		refused(b, exact, n, "saved state");
		if (n >= 32) {
			put64(exact + 16, n - 32);
			put64(exact + 24, hash64(0, exact + 32, n - 32));
			refused(b, exact, n, "saved state");
		}
		free(exact);
	}
	for (unsigned round = 0; round < 500; round++) {
		size_t at;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		at = round < 32 ? round : (seed >> 32) % len;
		data[at] ^= 1u << (seed >> 61);
		refused(b, data, len, "saved state");
		data[at] ^= 1u << (seed >> 61);
	}
	ck_assert_uint_eq(vcpu_state_hash(b), hash);
	/* The same by somebody who makes the checksum right. */
	for (unsigned round = 0; round < 500; round++) {
		char *error = NULL;
		size_t at;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		at = 32 + (seed >> 32) % (len - 32);
		data[at] ^= 1u << (seed >> 61);
		put64(data + 24, hash64(0, data + 32, len - 32));
		if (vcpu_load(b, data, len, &error)) { /* a bit that means nothing */
			ck_assert_uint_eq(vcpu_state_hash(b), vcpu_state_hash(a));
			hash = vcpu_state_hash(b);
		}
		free(error);
		data[at] ^= 1u << (seed >> 61);
	}
	put64(data + 24, hash64(0, data + 32, len - 32));
	ck_assert_uint_eq(vcpu_state_hash(b), hash);
	load(b, data, len);
	ck_assert_uint_eq(vcpu_state_hash(b), vcpu_state_hash(a));
	free(data);
	vcpu_free(a);
	vcpu_free(b);
}
END_TEST

/* Pages of zeroes are never saved: who makes them unpacks 1000 bytes from one. */
START_TEST(zero_bomb)
{
	vcpu *a = machine((struct vcpu_config){ .cpu = "max" }), *b = machine((struct vcpu_config){ .cpu = "max" });
	size_t len, at;
	uLongf full = 64 << 20, packed;
	u8 *data, *plain = malloc(full), page[PAGE_SIZE];

	memset(page, 0xa5, sizeof page);
	ck_assert_uint_eq(vcpu_write_physical(a, 0x5000, page, sizeof page), sizeof page);
	data = save(a, &len);
	ck_assert_int_eq(uncompress(plain, &full, data + 32, len - 32), Z_OK);
	for (at = 0; memcmp(plain + at, page, sizeof page); at++)
		ck_assert_uint_lt(at, full);
	load(b, data, len);
	memset(plain + at, 0, sizeof page);
	packed = compressBound(full);
	data = realloc(data, 32 + packed);
	ck_assert_int_eq(compress2(data + 32, &packed, plain, full, 6), Z_OK);
	put64(data + 16, packed);
	put64(data + 24, hash64(0, data + 32, packed));
	refused(b, data, 32 + packed, "page of zeroes");
	free(data);
	free(plain);
	vcpu_free(a);
	vcpu_free(b);
}
END_TEST

/* Any state that the fields can hold comes back; and a machine survives running on from it. */
START_TEST(randomised)
{
	vcpu *a = machine((struct vcpu_config){ .cpu = _i & 1 ? "max" : "386" }),
	     *b = machine((struct vcpu_config){ .cpu = _i & 1 ? "max" : "386" });
	struct part parts[PARTS_MAX];
	u64 seed = (u64)_i;
	unsigned n = machine_parts(a, parts);
	size_t len;
	void *data;

	for (unsigned i = 0; i < n; i++)
		part_randomise(&parts[i], &seed);
	machine_loaded(a);
	data = save(a, &len);
	load(b, data, len);
	free(data);
	n = machine_parts(a, parts);
	for (unsigned i = 0; i < n; i++) {
		struct part other[PARTS_MAX];

		ck_assert_uint_eq(machine_parts(b, other), n);
		ck_assert_msg(part_hash(&parts[i], 0) == part_hash(&other[i], 0), "%s differs", parts[i].name);
	}
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(b));
	vcpu_run(a, 1000);
	vcpu_run(b, 1000);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(b));
	vcpu_free(a);
	vcpu_free(b);
}
END_TEST

START_TEST(bare_maps)
{
	/* l: inc rax; mov [rbx], rax; jmp l */
	static const u8 code[] = { 0x48, 0xff, 0xc0, 0x48, 0x89, 0x03, 0xeb, 0xf8 };
	struct vcpu_config config = { .bare = true };
	vcpu *v[3];
	size_t len;
	void *data;

	for (int i = 0; i < 3; i++) {
		v[i] = vcpu_new(&config, NULL);
		vcpu_map(v[i], 0x1000, 0x1000);
		vcpu_map(v[i], 0x400000, i == 2 ? 0x1000 : 0x2000);
	}
	vcpu_set_mode(v[0], 64);
	vcpu_set(v[0], VCPU_RIP, 0x1000);
	vcpu_set(v[0], VCPU_RBX, 0x400000);
	vcpu_write_physical(v[0], 0x1000, code, sizeof code);
	run(v[0], 1000);
	data = save(v[0], &len);
	load(v[1], data, len);
	refused(v[2], data, len, "map of memory");
	run(v[0], 1000);
	run(v[1], 1000);
	ck_assert_uint_eq(vcpu_get(v[1], VCPU_RAX), 667);
	ck_assert_uint_eq(vcpu_state_hash(v[0]), vcpu_state_hash(v[1]));
	free(data);
	for (int i = 0; i < 3; i++)
		vcpu_free(v[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tcase = tcase_create("snapshot");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, goes_on, 0, 3);
	tcase_add_test(tcase, code_changes);
	tcase_add_test(tcase, zero_pages);
	tcase_add_test(tcase, other_configurations);
	tcase_add_test(tcase, zero_bomb);
	tcase_add_test(tcase, damage);
	tcase_add_loop_test(tcase, randomised, 0, 40);
	tcase_add_test(tcase, bare_maps);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
