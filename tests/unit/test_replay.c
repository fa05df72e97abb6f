/* SPDX-License-Identifier: MIT */
/* Recordings: a run comes out the same however it is cut, what is left of a file can be replayed, and no file does
 * harm. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/machine.h"
#include "lib/vcpu_replay.h"

struct tape { u8 *data; size_t len, room; };

static bool append(void *user, const void *data, size_t len)
{
	struct tape *t = user;

	if (t->room && t->len + len > t->room)
		return false;
	t->data = realloc(t->data, t->len + len);
	memcpy(t->data + t->len, data, len);
	t->len += len;
	return true;
}

/* A pseudo-random number below N. */
static u64 dice(u64 *seed, u64 n)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (*seed >> 33) % n;
}

/* echo.s: interrupts, HLT, and bytes that come back. Cut anywhere, with bytes at any time. */
static u64 record(struct tape *t, u64 seed, struct vcpu_place *end)
{
	struct vcpu_config config = {
		.memory = 1 << 20, .kernel = "echo_guest.bin", .rtc = 1000000000, .append = "a\nb\\c"
	};
	struct vcpu_recording recording = { .write = append, .user = t, .embed = true, .interval = 20000 };
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);
	u64 hash;

	ck_assert_msg(v != NULL, "%s", error);
	ck_assert_int_eq(vcpu_record(v, &recording), 0);
	ck_assert(vcpu_recording_ok(v));
	ck_assert_int_eq(vcpu_record(v, &recording), -1);
	for (int i = 0; i < 200; i++) {
		struct vcpu_stop stop = vcpu_run(v, dice(&seed, dice(&seed, 8) ? 300 : 3000000));
		char bytes[20];

		ck_assert(stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE);
		memset(bytes, 'a' + i % 16, sizeof bytes);
		if (dice(&seed, 2))
			vcpu_input(v, VCPU_COM1, bytes, dice(&seed, sizeof bytes));
	}
	ck_assert_uint_gt(vcpu_instructions(v), 5000);
	ck_assert(vcpu_record_end(v, &error) == !t->room);
	if (t->room)
		ck_assert_str_eq(error, "the recording cannot be written");
	free(error);
	hash = vcpu_state_hash(v);
	*end = vcpu_where(v);
	vcpu_free(v);
	return hash;
}

START_TEST(same_run)
{
	u64 seed = (u64)_i, hash;
	struct vcpu_place end, at;
	struct tape t = { 0 };
	char *error = NULL;
	vcpu_replay *r;
	vcpu *v;

	hash = record(&t, seed, &end);
	r = vcpu_replay_open(t.data, t.len, &error);
	ck_assert_msg(r != NULL, "%s", error);
	ck_assert_ptr_null(vcpu_replay_cut(r));
	ck_assert_str_eq(vcpu_replay_config(r)->append, "a\nb\\c");
	vcpu_replay_verify(r, true);
	vcpu_replay_engine(r, _i % 2 ? VCPU_ENGINE_INTERPRETER : VCPU_ENGINE_BEST);
	v = vcpu_replay_machine(r, NULL, NULL, &error);
	ck_assert_msg(v != NULL, "%s", error);
	while (!vcpu_replay_done(r)) {
		struct vcpu_stop stop = vcpu_replay_run(r, v, 1 + dice(&seed, 4000));

		ck_assert_msg(stop.reason == VCPU_STOP_LIMIT, "%s", vcpu_error(v));
	}
	at = vcpu_where(v);
	ck_assert_uint_eq(at.instructions, end.instructions);
	ck_assert_uint_eq(at.ns, end.ns);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	ck_assert_uint_ge(vcpu_replay_checked(r), 1);
	vcpu_free(v);
	vcpu_replay_free(r);
	free(t.data);
}
END_TEST

/* Replay what there is; a file of any kind must end somewhere. */
static void try(const u8 *data, size_t len)
{
	u8 *copy = malloc(len + !len); /* so that a sanitizer sees a read behind its end */
	vcpu_replay *r;
	vcpu *v;

	memcpy(copy, data, len);
	r = vcpu_replay_open(copy, len, NULL);
	if (r) {
		vcpu_replay_verify(r, true);
		v = vcpu_replay_machine(r, NULL, NULL, NULL);
		if (v)
			for (int i = 0;
			     i < 20 && !vcpu_replay_done(r) && vcpu_replay_run(r, v, 5000).reason == VCPU_STOP_LIMIT;
			     i++)
				;
		vcpu_free(v);
		vcpu_replay_free(r);
	}
	free(copy);
}

START_TEST(cut_off)
{
	struct vcpu_place end, before = { 0 };
	struct tape t = { 0 };
	size_t opened = 0;

	record(&t, 5, &end);
	for (size_t len = 0; len < t.len; len += 1 + len / 100) {
		char *error = NULL;
		vcpu_replay *r = vcpu_replay_open(t.data, len, &error);

		if (!r) {
			ck_assert(!opened);
			ck_assert_ptr_nonnull(error);
			free(error);
			continue;
		}
		opened++;
		ck_assert_ptr_nonnull(vcpu_replay_cut(r));
		ck_assert_uint_ge(vcpu_replay_end(r).ns, before.ns);
		before = vcpu_replay_end(r);
		vcpu_replay_free(r);
		if (len % 8 == 0)
			try(t.data, len);
	}
	ck_assert_uint_gt(opened, 10);
	free(t.data);
}
END_TEST

/* Change bytes; in every other file, make the checks of the chunks right again, so that the change is taken seriously.
 * */
START_TEST(mutated)
{
	struct vcpu_place end;
	struct tape t = { 0 };
	u64 seed = 99;
	u8 *data;

	record(&t, 7, &end);
	data = malloc(t.len);
	for (int i = 0; i < 600; i++) {
		memcpy(data, t.data, t.len);
		for (u64 n = 1 + dice(&seed, 4); n--;)
			data[dice(&seed, i % 3 ? t.len : 400)] = (u8)dice(&seed, 256);
		for (size_t at = 16; i % 2 && at + 16 <= t.len && get32(data + at + 4) <= t.len - at - 16;
		     at += 16 + get32(data + at + 4))
			put32(data + at + 12, (u32)hash64(hash64(0, data + at, 12), data + at + 16,
				get32(data + at + 4)));
		try(data, t.len);
	}
	free(data);
	free(t.data);
}
END_TEST

/* A run that is not the recorded one says where and in what. */
START_TEST(divergence)
{
	struct vcpu_place end;
	struct tape t = { 0 };
	vcpu_replay *r;
	vcpu *v;

	record(&t, 3, &end);
	r = vcpu_replay_open(t.data, t.len, NULL);
	vcpu_replay_verify(r, true);
	v = vcpu_replay_machine(r, NULL, NULL, NULL);
	vcpu_replay_run(r, v, 100);
	vcpu_set(v, VCPU_R15, 0x1234);
	while (vcpu_replay_run(r, v, 1000).reason == VCPU_STOP_LIMIT)
		ck_assert(!vcpu_replay_done(r));
	ck_assert_ptr_nonnull(vcpu_replay_divergence(r));
	ck_assert_msg(strstr(vcpu_replay_divergence(r), "part cpu0, field r[15], is 1234 and was 0"), "%s",
		      vcpu_replay_divergence(r));
	vcpu_free(v);
	vcpu_replay_free(r);
	free(t.data);
}
END_TEST

/* No room: the run goes on, and what there is can be replayed. */
START_TEST(full)
{
	struct vcpu_place end;
	struct tape t = { .room = 2000 };
	vcpu_replay *r;

	record(&t, 2, &end);
	r = vcpu_replay_open(t.data, t.len, NULL);
	ck_assert_ptr_nonnull(r);
	ck_assert_ptr_nonnull(vcpu_replay_cut(r));
	vcpu_replay_free(r);
	free(t.data);
}
END_TEST

/* What else may be opened is the caller's word; other versions are refused. */
START_TEST(allow)
{
	struct vcpu_moved moved[] = { { "a", "b" }, { "c", NULL } };
	struct vcpu_place end;
	struct tape t = { 0 };
	char *error = NULL;
	vcpu_replay *r;
	vcpu *v;

	record(&t, 4, &end);
	r = vcpu_replay_open(t.data, t.len, NULL);
	ck_assert(!vcpu_replay_allow(NULL, &(struct vcpu_replay_files){ 0 }));
	ck_assert(!vcpu_replay_allow(r, NULL));
	ck_assert(!vcpu_replay_allow(r, &(struct vcpu_replay_files){ .moved_count = 1 }));
	ck_assert(!vcpu_replay_allow(r, &(struct vcpu_replay_files){ .moved = moved, .moved_count = 2 }));
	ck_assert(vcpu_replay_allow(
		r, &(struct vcpu_replay_files){ .moved = moved, .moved_count = 1, .kernel = "/no/such", .nbd = true }));
	v = vcpu_replay_machine(r, NULL, NULL, &error); /* its kernel is in the recording */
	ck_assert_msg(v != NULL, "%s", error);
	vcpu_free(v);
	vcpu_replay_free(r);
	for (u32 version = 0; version < 6; version++) {
		put32(t.data + 8, version);
		r = vcpu_replay_open(t.data, t.len, &error);
		ck_assert_int_eq(r != NULL, version == 2 || version == 3);
		ck_assert(r || strstr(error, "version"));
		if (!r)
			free(error);
		vcpu_replay_free(r);
	}
	free(t.data);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replay");
	TCase *tc = tcase_create("replay");
	SRunner *sr = srunner_create(s);
	FILE *guest = fopen("echo_guest.bin", "rb");
	int failed;

	if (!guest) {
		puts("skipped: there is no echo_guest.bin here\n100%: Checks: 0, Failures: 0, Errors: 0");
		return 0;
	}
	fclose(guest);
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, same_run, 0, 20);
	tcase_add_test(tc, cut_off);
	tcase_add_test(tc, mutated);
	tcase_add_test(tc, divergence);
	tcase_add_test(tc, allow);
	tcase_add_test(tc, full);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
