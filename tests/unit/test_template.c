/* SPDX-License-Identifier: MIT */
/* Templates and pages of zeroes: what machines share, what the host holds for them, and that their runs are those of
 * machines that share nothing. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/machine.h"
#include "lib/vcpu_replay.h"
#include "lib/vcpu_snapshot.h"

enum { MACHINES = 10, MEMORY = 64, STEP = 40000 };

/* ds = 1000h; l: inc bx; [bx] = bx; jmp l */
static const u8 sector[512] = {
	0xb8, 0x00, 0x10, 0x8e, 0xd8, 0x43, 0x89, 0x1f, 0xeb, 0xfb, [510] = 0x55, 0xaa
};

static struct vcpu_config config = { .memory = MEMORY * MiB, .kernel_data = sector, .kernel_size = sizeof sector };

static vcpu *machine(void)
{
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static vcpu *child(const vcpu_template *t)
{
	struct vcpu_config without = config;
	char *error = NULL;
	vcpu *v;

	without.kernel_data = NULL; /* it is the template's */
	without.kernel_size = 0;
	v = vcpu_template_machine(t, &without, &error);
	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static vcpu_template *template_of(vcpu *v)
{
	vcpu_template *t = vcpu_template_take(v);

	ck_assert_msg(t != NULL, "%s", vcpu_error(v));
	return t;
}

/* The upper half of memory, all bytes BYTE. */
static void fill(vcpu *v, u8 byte)
{
	static u8 bytes[MiB];

	memset(bytes, byte, sizeof bytes);
	for (u64 at = MEMORY / 2 * MiB; at < MEMORY * MiB; at += MiB)
		ck_assert_uint_eq(vcpu_write_physical(v, at, bytes, MiB), MiB);
}

/* KiB of the host's memory that are this process's alone, as the host says. */
static u64 host_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof line, file) && sscanf(line, "RssAnon: %lu", &kib) != 1)
		;
	fclose(file);
	return kib;
}

static void check_sum(const vcpu *v)
{
	struct vcpu_memory m = vcpu_memory_counts(v);

	ck_assert_uint_eq(m.own + m.shared + m.zero, MEMORY * MiB);
}

START_TEST(ten_machines)
{
	vcpu *first = machine(), *v[MACHINES];
	vcpu_template *t;
	u64 hash, later, before;

	fill(first, 0x5a);
	vcpu_run(first, STEP);
	t = template_of(first);
	hash = vcpu_state_hash(first);
	vcpu_run(first, STEP);
	later = vcpu_state_hash(first);
	before = host_kib();
	for (unsigned i = 0; i < MACHINES; i++) {
		v[i] = child(t);
		ck_assert_uint_eq(vcpu_memory_counts(v[i]).own, 0);
		ck_assert_uint_ge(vcpu_memory_counts(v[i]).shared, MEMORY / 2 * MiB);
		check_sum(v[i]);
		ck_assert_uint_eq(vcpu_state_hash(v[i]), hash);
	}
	vcpu_template_free(t);
	vcpu_free(first);
	for (unsigned i = 0; i < MACHINES; i++) {
		vcpu_run(v[i], STEP);
		ck_assert_uint_eq(vcpu_state_hash(v[i]), later);
		ck_assert_uint_le(vcpu_memory_counts(v[i]).own, 20 * PAGE_SIZE); /* of the 64 KiB */
		check_sum(v[i]);
	}
	ck_assert_uint_lt(host_kib(), before + MACHINES * 4 * KiB); /* and not ten times 32 MiB */
	for (unsigned i = 0; i < MACHINES; i++)
		vcpu_free(v[i]);
}
END_TEST

/* What one of them writes the others do not see. */
START_TEST(apart)
{
	vcpu *first = machine(), *a, *b;
	vcpu_template *t;
	u8 byte = 1;
	u64 hash;

	fill(first, 0x5a);
	t = template_of(first);
	hash = vcpu_state_hash(first);
	a = child(t);
	b = child(t);
	ck_assert_uint_eq(vcpu_write_physical(a, 40 * MiB, &byte, 1), 1);
	ck_assert_uint_eq(vcpu_memory_counts(a).own, PAGE_SIZE);
	fill(first, 0x22);
	ck_assert_uint_eq(vcpu_state_hash(b), hash);
	ck_assert_uint_ne(vcpu_state_hash(a), hash);
	vcpu_read_physical(b, 40 * MiB, &byte, 1);
	ck_assert_uint_eq(byte, 0x5a);
	ck_assert(vcpu_template_load(a, t, NULL)); /* it starts again */
	ck_assert_uint_eq(vcpu_state_hash(a), hash);
	ck_assert_uint_eq(vcpu_memory_counts(a).own, 0);
	vcpu_free(first);
	vcpu_free(a);
	vcpu_free(b);
	vcpu_template_free(t);
}
END_TEST

/* It has the boot image for a reset, can be recorded if its template has not run, and has snapshots. */
START_TEST(as_any_machine)
{
	vcpu *first = machine(), *fresh, *run;
	vcpu_template *power_on = template_of(first), *later;
	vcpu_snapshot *s;
	u64 hash;

	vcpu_run(first, STEP);
	later = template_of(first);
	fresh = child(power_on);
	run = child(later);
	ck_assert_int_eq(vcpu_input(first, VCPU_RESET, NULL, 0), 0);
	ck_assert_int_eq(vcpu_input(run, VCPU_RESET, NULL, 0), 0);
	vcpu_run(first, STEP);
	vcpu_run(run, STEP);
	ck_assert_uint_eq(vcpu_state_hash(first), vcpu_state_hash(run));
	s = vcpu_snapshot_take(run);
	hash = vcpu_state_hash(run);
	vcpu_run(run, STEP);
	ck_assert_int_eq(vcpu_snapshot_restore(run, s), 0);
	ck_assert_uint_eq(vcpu_state_hash(run), hash);
	ck_assert(vcpu_template_load(run, power_on, NULL));
	ck_assert_uint_eq(vcpu_state_hash(run), vcpu_state_hash(fresh));
	ck_assert_int_eq(vcpu_snapshot_restore(run, s), 0);
	ck_assert_uint_eq(vcpu_state_hash(run), hash);
	vcpu_template_free(power_on);
	vcpu_template_free(later);
	vcpu_free(first);
	vcpu_free(fresh);
	vcpu_free(run);
}
END_TEST

/* Every other page, more than a template has runs for: the pages of zeroes between are shared, too. */
START_TEST(scattered)
{
	vcpu *first = machine(), *a;
	vcpu_template *t;
	u64 number = 0;

	for (u64 at = 16 * MiB; at < MEMORY * MiB; at += 10 * PAGE_SIZE)
		vcpu_write_physical(first, at, &at, sizeof at);
	t = template_of(first);
	a = child(t);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(first));
	for (u64 at = 16 * MiB; at < MEMORY * MiB; at += 10 * PAGE_SIZE) {
		vcpu_read_physical(a, at, &number, sizeof number);
		ck_assert_uint_eq(number, at);
	}
	check_sum(a);
	vcpu_template_free(t);
	vcpu_free(first);
	vcpu_free(a);
}
END_TEST

START_TEST(bare)
{
	struct vcpu_config c = { .bare = true };
	vcpu *a = vcpu_new(&c, NULL), *b = vcpu_new(&c, NULL);
	vcpu_template *t;
	char *error = NULL;

	ck_assert_int_eq(vcpu_map(a, 0, MiB), 0);
	vcpu_write_physical(a, 0x1000, "abc", 3);
	t = template_of(a);
	ck_assert(!vcpu_template_load(b, t, &error));
	ck_assert_str_eq(error, "saved state: it is of a machine with another map of memory and devices");
	free(error);
	ck_assert_int_eq(vcpu_map(b, 0, MiB), 0);
	ck_assert(vcpu_template_load(b, t, NULL));
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(b));
	vcpu_template_free(t);
	vcpu_free(a);
	vcpu_free(b);
}
END_TEST

START_TEST(other_configuration)
{
	struct vcpu_config other = config;
	vcpu *first = machine();
	vcpu_template *t = template_of(first);
	char *error = NULL;

	other.memory = 2 * MEMORY * MiB;
	ck_assert_ptr_null(vcpu_template_machine(t, &other, &error));
	ck_assert_str_eq(error, "saved state: it is of a machine with another size of memory");
	free(error);
	vcpu_template_free(t);
	vcpu_free(first);
}
END_TEST

/* ---- pages of zeroes ---- */

START_TEST(trimmed)
{
	vcpu *v = machine(), *other = machine();
	vcpu_snapshot *s;
	u64 hash, full, kib;
	u8 byte = 7;

	vcpu_run(v, STEP);
	fill(v, 0x5a);
	full = vcpu_state_hash(v);
	s = vcpu_snapshot_take(v);
	fill(v, 0);
	hash = vcpu_state_hash(v);
	kib = host_kib();
	ck_assert_uint_ge(vcpu_trim(v), MEMORY / 2 * MiB);
	ck_assert_uint_le(host_kib() + MEMORY / 2 * KiB, kib + KiB);
	ck_assert_uint_eq(vcpu_trim(v), 0);
	ck_assert_uint_lt(vcpu_memory_counts(v).own, MiB);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	vcpu_run(v, STEP); /* it wrote these pages before */
	vcpu_run(other, 2 * STEP);
	ck_assert_uint_eq(vcpu_state_hash(v), vcpu_state_hash(other));
	vcpu_write_physical(v, 40 * MiB, &byte, 1);
	ck_assert_uint_ne(vcpu_state_hash(v), vcpu_state_hash(other));
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	ck_assert_uint_eq(vcpu_state_hash(v), full);
	vcpu_free(v);
	vcpu_free(other);
}
END_TEST

/* A snapshot does not hold them either. */
START_TEST(snapshots_of_zeroes)
{
	vcpu *v = machine();
	vcpu_snapshot *s[3];
	u64 hash[3], memory;

	s[0] = vcpu_snapshot_take(v);
	hash[0] = vcpu_state_hash(v);
	memory = vcpu_snapshot_memory(v);
	fill(v, 0);
	s[1] = vcpu_snapshot_take(v);
	hash[1] = vcpu_state_hash(v);
	ck_assert_uint_lt(vcpu_snapshot_memory(v), memory + MiB);
	fill(v, 1);
	s[2] = vcpu_snapshot_take(v);
	hash[2] = vcpu_state_hash(v);
	ck_assert_uint_gt(vcpu_snapshot_memory(v), memory + MEMORY / 2 * MiB);
	fill(v, 0);
	for (unsigned i = 0; i < 9; i++) {
		ck_assert_int_eq(vcpu_snapshot_restore(v, s[i * 2 % 3]), 0);
		ck_assert_uint_eq(vcpu_state_hash(v), hash[i * 2 % 3]);
	}
	vcpu_free(v);
}
END_TEST

/* Pages of a template that became zeroes. */
START_TEST(trimmed_child)
{
	vcpu *first = machine(), *a;
	vcpu_template *t;

	fill(first, 0x5a);
	t = template_of(first);
	a = child(t);
	fill(a, 0);
	fill(first, 0);
	ck_assert_uint_eq(vcpu_memory_counts(a).own, MEMORY / 2 * MiB);
	ck_assert_uint_eq(vcpu_trim(a), MEMORY / 2 * MiB);
	ck_assert_uint_eq(vcpu_memory_counts(a).own, 0);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(first));
	ck_assert(vcpu_template_load(a, t, NULL));
	fill(first, 0x5a);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(first));
	vcpu_template_free(t);
	vcpu_free(first);
	vcpu_free(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("template");
	TCase *tc = tcase_create("template");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, ten_machines);
	tcase_add_test(tc, apart);
	tcase_add_test(tc, as_any_machine);
	tcase_add_test(tc, scattered);
	tcase_add_test(tc, bare);
	tcase_add_test(tc, other_configuration);
	tcase_add_test(tc, trimmed);
	tcase_add_test(tc, snapshots_of_zeroes);
	tcase_add_test(tc, trimmed_child);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
