/* SPDX-License-Identifier: MIT */
/* Snapshots in memory: going back and on again is the run that never went back. */
#include <check.h>
#include <stdlib.h>
#include <stdio.h>
#include "lib/machine.h"
#include "lib/vcpu_replay.h"
#include "lib/vcpu_snapshot.h"

/* A program that changes its own code each time round, counts in memory, and takes timer interrupts. */
static const u8 sector[512] = {
	0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c,       /* cli; ds = ss = 0; sp = 7c00h */
	0xc7, 0x06, 0x20, 0x00, 0x80, 0x7c, 0xc7, 0x06, 0x22, 0x00, 0, 0, /* vector 8: 0:7c80h */
	0xb0, 0x11, 0xe6, 0x20, 0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x01, 0xe6, 0x21, 0xb0, 0xfe,
		0xe6, 0x21,
	0xb0, 0x34, 0xe6, 0x43, 0xb0, 0xa9, 0xe6, 0x40, 0xb0, 0x04, 0xe6, 0x40,
	0xfb, 0x31, 0xdb,                                                 /* sti; bx = 0 */
	0x43, 0x81, 0xe3, 0xff, 0x3f, 0x89, 0x9f, 0x00, 0x10,             /* l: inc bx; bx &= 3fffh; [bx+1000h] = bx */
	/* the immediate of the next instruction = bx */
	0x2e, 0x89, 0x1e, 0x48, 0x7c,
	0xb9, 0x00, 0x00, 0x01, 0x0e, 0x02, 0x05,                         /* cx = imm; [502h] += cx */
	0xeb, 0xe9,                                                       /* jmp l */
	[0x80] = 0xff, 0x06, 0x00, 0x05, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf, /* inc [500h]; EOI; iret */
	[510] = 0x55, 0xaa,
};

static vcpu *machine(void)
{
	struct vcpu_config config = { .memory = 4 * MiB, .kernel_data = sector, .kernel_size = sizeof sector };
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static u64 dice(u64 *seed, u64 n)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (*seed >> 33) % n;
}

enum { STEPS = 60, STEP = 7919 };

START_TEST(back_and_forth)
{
	vcpu *v = machine(), *other = machine();
	vcpu_snapshot *s[STEPS];
	u64 hash[STEPS], seed = (u64)_i, memory;

	for (int i = 0; i < STEPS; i++) {
		hash[i] = vcpu_state_hash(other);
		vcpu_run(other, STEP);
		if (i == 0)
			ck_assert_uint_eq(vcpu_state_hash(v), hash[0]);
		s[i] = vcpu_snapshot_take(v);
		ck_assert_ptr_nonnull(s[i]);
		vcpu_run(v, STEP);
	}
	vcpu_set(v, VCPU_RBX, 0x40);
	vcpu_run(v, 100000);
	for (int i = 0; i < 200; i++) {
		unsigned at = (unsigned)dice(&seed, STEPS), n = (unsigned)dice(&seed, STEPS - at),
			 cut = 1 + (unsigned)dice(&seed, STEP - 1);

		if (!s[at])
			continue;
		ck_assert_int_eq(vcpu_snapshot_restore(v, s[at]), 0);
		ck_assert_uint_eq(vcpu_state_hash(v), hash[at]);
		for (unsigned k = 0; k < n; k++) {
			vcpu_run(v, cut);
			vcpu_run(v, STEP - cut);
		}
		ck_assert_uint_eq(vcpu_state_hash(v), hash[at + n]);
		if (dice(&seed, 8) == 0) { /* a snapshot less; what it shared with others stays */
			vcpu_snapshot_free(v, vcpu_snapshot_take(v)); /* the machine stands on pages of its own */
			memory = vcpu_snapshot_memory(v);
			vcpu_snapshot_free(v, s[at]);
			ck_assert_uint_lt(vcpu_snapshot_memory(v), memory);
			s[at] = NULL;
		} else if (dice(&seed, 8) == 0) { /* the same again, taken now */
			if (s[at + n])
				vcpu_snapshot_free(v, s[at + n]);
			s[at + n] = vcpu_snapshot_take(v);
		}
	}
	memory = vcpu_snapshot_memory(v);
	for (int i = 0; i < STEPS; i++)
		vcpu_snapshot_free(v, s[i]);
	ck_assert_uint_lt(vcpu_snapshot_memory(v), memory / 2);
	vcpu_free(v);
	vcpu_free(other);
}
END_TEST

/* Pages that nobody writes are shared, of memory and of the devices' queues. */
START_TEST(cost)
{
	vcpu *v = machine();
	vcpu_snapshot *first, *second;
	u64 before;

	vcpu_run(v, 1000000);
	first = vcpu_snapshot_take(v);
	before = vcpu_snapshot_memory(v);
	vcpu_run(v, 100);
	second = vcpu_snapshot_take(v);
	ck_assert_uint_lt(vcpu_snapshot_memory(v) - before, 96 * KiB);
	vcpu_snapshot_free(v, first);
	vcpu_snapshot_free(v, second);
	vcpu_free(v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("past");
	TCase *tc = tcase_create("past");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, back_and_forth, 0, 5);
	tcase_add_test(tc, cost);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
