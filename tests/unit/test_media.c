/* SPDX-License-Identifier: MIT */
/* Disks that are changed: what a floppy controller (82077AA: DISK CHANGE) and a CD-ROM drive (MMC: unit attention,
 * PREVENT MEDIUM REMOVAL) tell then. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/machine.h"

static char names[4][32];
static vcpu *v;

static void make(unsigned n, size_t size, int byte)
{
	static u8 bytes[1474560];
	int fd;

	memset(bytes, byte, size);
	strcpy(names[n], "/tmp/test_media.XXXXXX");
	fd = mkstemp(names[n]);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

static vcpu *machine(const struct vcpu_drive *drives, unsigned count, char **error)
{
	static const u8 loops[512] = { 0xeb, 0xfe, [510] = 0x55, 0xaa };
	struct vcpu_config config = {
		.memory = 1 << 20, .kernel_data = loops, .kernel_size = 512, .drives = drives, .drives_count = count
	};

	return vcpu_new(&config, error);
}

static void set_up(void)
{
	struct vcpu_drive drives[] = {
		{ names[0], VCPU_BUS_FLOPPY, false }, { names[1], VCPU_BUS_SHELF, false },
			{ names[2], VCPU_BUS_IDE, true }, { names[3], VCPU_BUS_SHELF, false },
	};
	char *error = NULL;

	make(0, 1474560, 0x11);
	make(1, 737280, 0x22);
	make(2, 65536, 0x33);
	make(3, 131072, 0x44);
	v = machine(drives, 4, &error);
	ck_assert_msg(v, "%s", error);
}

static void tear_down(void)
{
	vcpu_free(v);
	for (unsigned n = 0; n < 4; n++)
		unlink(names[n]);
}

static void out(u16 port, u32 value, unsigned size) { space_write(&v->io, port, size, value); }
static u32 in(u16 port, unsigned size) { return (u32)space_read(&v->io, port, size); }
static void wait_a_while(void) { ck_assert_int_eq(vcpu_run(v, 1000000).reason, VCPU_STOP_LIMIT); }

static int change(unsigned drive, unsigned medium)
{
	struct vcpu_medium m = { (u8)drive, (u8)medium };

	return vcpu_input(v, VCPU_MEDIUM, &m, sizeof m);
}

/* Send a packet to the CD-ROM drive, the master of the first channel. Returns the status. */
static u8 packet(u8 a, u8 b, u8 c, u8 d)
{
	u8 bytes[12] = { a, 0, 0, 0, b, c, 0, 0, d };

	out(0xcf8, 0x80000940, 4); /* the chipset decodes the channel (PIIX: IDETIM) */
	out(0xcfc, 0x8000, 2);
	out(0x1f6, 0xa0, 1);
	out(0x1f4, 0, 1);
	out(0x1f5, 8, 1);
	out(0x1f7, 0xa0, 1);
	wait_a_while();
	for (unsigned i = 0; i < 12; i += 2)
		out(0x1f0, get16(bytes + i), 2);
	wait_a_while();
	return (u8)in(0x1f7, 1);
}

static u8 test_unit_ready(void) { return packet(0, 0, 0, 0); }

static void check_sense(u8 key, u8 asc)
{
	u8 sense[18];

	ck_assert_uint_eq(in(0x1f1, 1) >> 4, key);
	ck_assert_uint_eq(packet(3, 18, 0, 0) & 9, 8);
	for (unsigned i = 0; i < 18; i += 2)
		put16(sense + i, (u16)in(0x1f0, 2));
	wait_a_while();
	ck_assert_uint_eq(sense[12], asc);
}

/* READ(10) of block 7. */
static u8 first_byte(void)
{
	u8 got;

	ck_assert_uint_eq(packet(0x28, 0, 7, 1) & 9, 8);
	got = (u8)in(0x1f0, 2);
	for (unsigned i = 2; i < 2048; i += 2)
		ck_assert_uint_eq(in(0x1f0, 2), got * 0x101u);
	wait_a_while();
	return got;
}

START_TEST(discs)
{
	test_unit_ready(); /* RESET OCCURRED */
	ck_assert_uint_eq(test_unit_ready() & 1, 0);
	ck_assert_uint_eq(first_byte(), 0x33);
	ck_assert_int_eq(change(2, 2), 0);
	ck_assert_uint_eq(test_unit_ready() & 1, 1);
	check_sense(6, 0x28); /* NOT READY TO READY CHANGE, MEDIUM MAY HAVE CHANGED */
	ck_assert_uint_eq(first_byte(), 0x44);
	ck_assert_int_eq(change(2, 0), 0);
	ck_assert_uint_eq(test_unit_ready() & 1, 1);
	check_sense(2, 0x3a); /* MEDIUM NOT PRESENT */
	ck_assert_int_eq(change(2, 1), 0);
	test_unit_ready();
	ck_assert_uint_eq(first_byte(), 0x33);
	packet(0x1e, 1, 0, 0);
	ck_assert_int_eq(change(2, 2), -1);
	ck_assert(strstr(vcpu_error(v), "locked"));
	ck_assert_uint_eq(first_byte(), 0x33);
}
END_TEST

START_TEST(states)
{
	char *error = NULL;
	void *data;
	size_t len;
	u64 hash;

	test_unit_ready();
	ck_assert_int_eq(change(2, 2), 0);
	hash = vcpu_state_hash(v);
	ck_assert(vcpu_save(v, &data, &len, &error));
	ck_assert_int_eq(change(2, 1), 0);
	ck_assert_uint_ne(vcpu_state_hash(v), hash);
	ck_assert_msg(vcpu_load(v, data, len, &error), "%s", error);
	free(data);
	test_unit_ready();
	ck_assert_uint_eq(first_byte(), 0x44);
	ck_assert_int_eq(vcpu_input(v, VCPU_RESET, NULL, 0), 0);
	test_unit_ready();
	ck_assert_uint_eq(first_byte(), 0x44);
}
END_TEST

START_TEST(disks)
{
	static const int order[] = { 2, 0, 1, 2 };

	out(0x3f2, 0x1c, 1);
	wait_a_while();
	for (unsigned i = 0; i < 4; i++) {
		out(0x3f5, 0x0f, 1); /* SEEK to 1, to 2: a step takes the line back, if there is a disk */
		out(0x3f5, 0, 1);
		out(0x3f5, i + 1, 1);
		wait_a_while();
		out(0x3f5, 8, 1);
		in(0x3f5, 1);
		in(0x3f5, 1);
		ck_assert_uint_eq(in(0x3f7, 1) >> 7, i == 2);
		ck_assert_int_eq(vcpu_next_medium(v), order[i]); /* the floppy drive is the first that has several */
		ck_assert_uint_eq(in(0x3f7, 1) >> 7, 1);
	}
}
END_TEST

START_TEST(mistakes)
{
	struct vcpu_drive alone[] = { { names[3], VCPU_BUS_IDE, false }, { names[1], VCPU_BUS_SHELF, false } };
	char *error = NULL;

	ck_assert_int_eq(change(0, 3), -1);
	ck_assert_int_eq(change(1, 1), -1);
	ck_assert_int_eq(change(9, 1), -1);
	ck_assert_int_eq(vcpu_input(v, VCPU_MEDIUM, "", 1), -1);
	vcpu_free(v); /* it has locked its images */
	v = NULL;
	ck_assert(!machine(alone, 2, &error));
	ck_assert(strstr(error, "must follow"));
	free(error);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("media");
	TCase *tcase = tcase_create("media");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, discs);
	tcase_add_test(tcase, states);
	tcase_add_test(tcase, disks);
	tcase_add_test(tcase, mistakes);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
