/* SPDX-License-Identifier: MIT */
/* Devices of the caller's own that remember something: in saved states, snapshots, recordings and under a debugger.
 * What is right is a machine that never went back; where that cannot be had, an error, and nothing has changed. */
#include <check.h>
#include <stdlib.h>
#include "lib/vcpu_debug.h"
#include "lib/vcpu_snapshot.h"

/* A counter, which each read moves on; in the saved state its low 8 bits may be only so large. */
struct counter { uint64_t count; uint8_t max; };

static uint64_t counter_read(void *user, uint64_t offset, unsigned size)
{
	(void)offset, (void)size;
	return ((struct counter *)user)->count++ * 7;
}

static void counter_save(void *user, void *state) { memcpy(state, &((struct counter *)user)->count, 8); }

static bool counter_restore(void *user, const void *state)
{
	struct counter *c = user;

	if (c->max && *(const uint8_t *)state > c->max)
		return false;
	memcpy(&c->count, state, 8);
	return true;
}

static struct vcpu_device device_of(struct counter *c)
{
	return (struct vcpu_device){
		.read = counter_read, .user = c, .state_size = 8, .save = counter_save, .restore = counter_restore
	};
}

/* l: in al, 10h; add ebx, eax; mov eax, [80000000h]; add ecx, eax; inc dword [2000h]; jmp l */
static const uint8_t code[] = { 0xe4, 0x10, 0x01, 0xc3, 0xa1, 0, 0, 0, 0x80, 0x01, 0xc1, 0xff, 0x05, 0, 0x20, 0, 0,
	0xeb, 0xed };

struct machine { vcpu *v; struct counter port, memory; };

static void make_bare(struct machine *m)
{
	struct vcpu_config config = { .bare = true };

	*m = (struct machine){ .v = vcpu_new(&config, NULL) };
	ck_assert_int_eq(vcpu_map(m->v, 0, 0x10000), 0);
	ck_assert_int_eq(vcpu_set_mode(m->v, 32), 0);
	vcpu_write_physical(m->v, 0x1000, code, sizeof code);
	vcpu_set(m->v, VCPU_RIP, 0x1000);
}

static void make(struct machine *m)
{
	struct vcpu_device port = device_of(&m->port), memory = device_of(&m->memory);

	make_bare(m);
	ck_assert_int_eq(vcpu_map_ports(m->v, "port", 0x10, 1, &port), 0);
	ck_assert_int_eq(vcpu_map_device(m->v, "memory", 0x80000000, 0x1000, &memory), 0);
}

/* The same, with one of them that says nothing of its state. */
static void make_unknown(struct machine *m)
{
	struct vcpu_device port = device_of(&m->port), memory = { .read = counter_read, .user = &m->memory };

	make_bare(m);
	ck_assert_int_eq(vcpu_map_ports(m->v, "port", 0x10, 1, &port), 0);
	ck_assert_int_eq(vcpu_map_device(m->v, "memory", 0x80000000, 0x1000, &memory), 0);
}

static uint64_t hash_after(uint64_t instructions)
{
	struct machine m;
	uint64_t hash;

	make(&m);
	vcpu_run(m.v, instructions);
	hash = vcpu_state_hash(m.v);
	vcpu_free(m.v);
	return hash;
}

START_TEST(saved)
{
	struct machine a, b;
	uint64_t hash;
	void *data;
	size_t len;

	make(&a);
	make(&b);
	vcpu_run(a.v, 1000);
	hash = vcpu_state_hash(a.v);
	a.port.count++;
	ck_assert_uint_ne(vcpu_state_hash(a.v), hash); /* it is in the hash */
	a.port.count--;
	ck_assert(vcpu_save(a.v, &data, &len, NULL));
	vcpu_run(b.v, 77);
	ck_assert(vcpu_load(b.v, data, len, NULL));
	ck_assert_uint_eq(vcpu_state_hash(b.v), hash);
	ck_assert_uint_eq(b.port.count, a.port.count);
	vcpu_run(b.v, 1000);
	ck_assert_uint_eq(vcpu_state_hash(b.v), hash_after(2000));
	free(data);
	vcpu_free(a.v);
	vcpu_free(b.v);
}
END_TEST

START_TEST(snapshots)
{
	struct machine m;
	vcpu_snapshot *s[10];

	make(&m);
	for (int i = 0; i < 10; i++) {
		s[i] = vcpu_snapshot_take(m.v);
		vcpu_run(m.v, 1000);
	}
	for (int i = 9; i >= 0; i -= 3) {
		ck_assert_int_eq(vcpu_snapshot_restore(m.v, s[i]), 0);
		ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(1000 * (unsigned)i));
		vcpu_run(m.v, 500);
		ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(1000 * (unsigned)i + 500));
	}
	vcpu_free(m.v); /* and with it the snapshots */
}
END_TEST

START_TEST(debugged)
{
	struct machine m;
	vcpu_debug *d;
	struct vcpu_debug_stop stop;

	make(&m);
	d = vcpu_debug_new(m.v, NULL, NULL);
	vcpu_debug_limits(d, 1 << 20, 1000);
	vcpu_debug_run(d, 5000);
	ck_assert_int_eq(vcpu_debug_step_back(d).what, VCPU_DEBUG_THERE);
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(4999));
	ck_assert_int_ge(vcpu_debug_break(d, 0x1009, false), 0);
	for (int i = 0; i < 5; i++) {
		stop = vcpu_debug_run_back(d);
		ck_assert_int_eq(stop.what, VCPU_DEBUG_BREAK);
		ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(stop.place.instructions));
	}
	stop = vcpu_debug_last_write(d, 0x2000, 4);
	ck_assert_int_eq(stop.what, VCPU_DEBUG_WATCH);
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(stop.place.instructions));
	vcpu_debug_free(d);
	vcpu_free(m.v);
}
END_TEST

/* Forwards as ever; not back. */
START_TEST(debugged_unknown)
{
	struct machine m;
	vcpu_debug *d;
	uint64_t hash;

	make_unknown(&m);
	d = vcpu_debug_new(m.v, NULL, NULL);
	ck_assert_ptr_nonnull(d);
	ck_assert_int_ge(vcpu_debug_break(d, 0x1009, false), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(vcpu_debug_run(d, 5000).what, VCPU_DEBUG_BREAK);
	ck_assert_int_eq(vcpu_debug_step(d).what, VCPU_DEBUG_THERE);
	hash = vcpu_state_hash(m.v);
	for (int i = 0; i < 4; i++) {
		struct vcpu_place place = vcpu_where(m.v);
		struct vcpu_debug_stop stop = i == 0 ? vcpu_debug_step_back(d) : i == 1 ? vcpu_debug_run_back(d) :
			i == 2 ? vcpu_debug_seek(d, vcpu_debug_start(d)) : vcpu_debug_last_write(d, 0x2000, 4);

		ck_assert_msg(stop.what == VCPU_DEBUG_ERROR, "%d: %d", i, stop.what);
		ck_assert_ptr_nonnull(strstr(vcpu_error(m.v), "device memory"));
		ck_assert_uint_eq(stop.place.instructions, place.instructions);
		ck_assert_uint_eq(vcpu_state_hash(m.v), hash);
	}
	ck_assert_int_eq(vcpu_debug_run(d, 5000).what, VCPU_DEBUG_BREAK);
	vcpu_debug_free(d);
	vcpu_free(m.v);
}
END_TEST

/* ---- refusals ---- */

static bool write_nothing(void *user, const void *data, size_t len) { (void)user, (void)data, (void)len; return true; }

START_TEST(unknown)
{
	struct vcpu_recording recording = { .write = write_nothing };
	struct machine m, known;
	vcpu_snapshot *s;
	uint64_t hash;
	char *error;
	void *data;
	size_t len;

	make(&known);
	make_unknown(&m);
	ck_assert_int_eq(vcpu_record(m.v, &recording), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(m.v), "device memory"));
	ck_assert(!vcpu_save(m.v, &data, &len, &error));
	ck_assert_ptr_nonnull(strstr(error, "device memory"));
	free(error);
	ck_assert(vcpu_save(known.v, &data, &len, NULL));
	s = vcpu_snapshot_take(m.v);
	vcpu_run(m.v, 100);
	hash = vcpu_state_hash(m.v);
	ck_assert(!vcpu_load(m.v, data, len, &error));
	ck_assert_ptr_nonnull(strstr(error, "device memory"));
	free(error);
	ck_assert_int_eq(vcpu_snapshot_restore(m.v, s), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(m.v), "device memory"));
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash);
	free(data);
	vcpu_free(m.v);
	vcpu_free(known.v);
}
END_TEST

/* States of machines that have other devices. */
START_TEST(other_devices)
{
	struct machine a, b;
	struct counter c = { 0 };
	struct vcpu_device device = device_of(&c), other = device;
	vcpu_snapshot *s;
	uint64_t hash;
	char *error;
	void *data;
	size_t len;

	other.state_size = 16;
	make(&a);
	ck_assert(vcpu_save(a.v, &data, &len, NULL));
	for (int i = 0; i < 6; i++) {
		make_bare(&b);
		if (i != 0) /* none; one; another name, place, size of the state */
			ck_assert_int_eq(vcpu_map_ports(b.v, "port", 0x10, 1, &device), 0);
		if (i > 1)
			ck_assert_int_eq(vcpu_map_device(b.v, i == 2 ? "Memory" : "memory",
							 i == 3 ? 0x80001000 : 0x80000000, i == 4 ? 0x2000 : 0x1000,
							 i == 5 ? &other : &device),
					 0);
		vcpu_run(b.v, 10);
		hash = vcpu_state_hash(b.v);
		ck_assert(!vcpu_load(b.v, data, len, &error));
		ck_assert_ptr_nonnull(strstr(error, "devices"));
		ck_assert_uint_eq(vcpu_state_hash(b.v), hash);
		free(error);
		vcpu_free(b.v);
	}
	free(data);
	/* A device that came since. */
	make_bare(&b);
	s = vcpu_snapshot_take(b.v);
	vcpu_run(b.v, 10);
	ck_assert_int_eq(vcpu_map_ports(b.v, "port", 0x10, 1, &device), 0);
	hash = vcpu_state_hash(b.v);
	ck_assert_int_eq(vcpu_snapshot_restore(b.v, s), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(b.v), "devices"));
	ck_assert_uint_eq(vcpu_state_hash(b.v), hash);
	vcpu_free(b.v);
	vcpu_free(a.v);
}
END_TEST

/* Snapshots of another machine, of one that is gone, and ones that are gone. */
START_TEST(other_snapshots)
{
	struct machine a, b, c;
	vcpu_snapshot *s, *of_c, *freed;
	uint64_t hash;

	make(&a);
	make(&b);
	make(&c);
	s = vcpu_snapshot_take(a.v);
	of_c = vcpu_snapshot_take(c.v);
	freed = vcpu_snapshot_take(b.v);
	vcpu_free(c.v);
	vcpu_snapshot_free(b.v, freed);
	vcpu_run(b.v, 10);
	hash = vcpu_state_hash(b.v);
	ck_assert_int_eq(vcpu_snapshot_restore(b.v, s), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(b.v), "no snapshot of this machine"));
	ck_assert_int_eq(vcpu_snapshot_restore(b.v, of_c), -1);
	ck_assert_int_eq(vcpu_snapshot_restore(b.v, freed), -1);
	ck_assert_int_eq(vcpu_snapshot_restore(b.v, NULL), -1);
	vcpu_snapshot_free(b.v, s); /* nothing */
	vcpu_snapshot_free(b.v, freed);
	ck_assert_uint_eq(vcpu_state_hash(b.v), hash);
	ck_assert_int_eq(vcpu_snapshot_restore(a.v, s), 0);
	vcpu_free(a.v);
	vcpu_free(b.v);
}
END_TEST

/* The second device does not take its state: the first one, and all the rest, is as it was. */
START_TEST(not_taken)
{
	struct machine m;
	vcpu_snapshot *s;
	uint64_t hash;
	char *error;
	void *data;
	size_t len;

	make(&m);
	vcpu_run(m.v, 1000);
	s = vcpu_snapshot_take(m.v);
	ck_assert(vcpu_save(m.v, &data, &len, NULL));
	vcpu_run(m.v, 1000);
	hash = vcpu_state_hash(m.v);
	m.memory.max = 1;
	ck_assert_int_eq(vcpu_snapshot_restore(m.v, s), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(m.v), "device memory"));
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash);
	ck_assert(!vcpu_load(m.v, data, len, &error));
	ck_assert_ptr_nonnull(strstr(error, "device memory"));
	free(error);
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash);
	m.memory.max = 0;
	vcpu_run(m.v, 1000);
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(3000));
	ck_assert(vcpu_load(m.v, data, len, NULL));
	ck_assert_uint_eq(vcpu_state_hash(m.v), hash_after(1000));
	free(data);
	vcpu_free(m.v);
}
END_TEST

/* ---- recordings ---- */

static struct { uint8_t bytes[1 << 20]; size_t len; } file;

static bool append(void *user, const void *data, size_t len)
{
	(void)user;
	if (len > sizeof file.bytes - file.len)
		return false;
	memcpy(file.bytes + file.len, data, len);
	file.len += len;
	return true;
}

START_TEST(recorded)
{
	struct vcpu_recording recording = { .write = append, .interval = 1000 };
	struct machine a, b;
	struct counter late = { 0 };
	struct vcpu_device device = device_of(&late), port = device_of(&b.port), memory = device_of(&b.memory);
	vcpu_replay *r;

	file.len = 0;
	make(&a);
	ck_assert_int_eq(vcpu_record(a.v, &recording), 0);
	ck_assert_int_eq(vcpu_map_ports(a.v, "late", 0x40, 1, &device), -1);
	ck_assert_ptr_nonnull(strstr(vcpu_error(a.v), "recorded"));
	vcpu_run(a.v, 5000);
	ck_assert(vcpu_record_end(a.v, NULL));
	ck_assert_int_eq(vcpu_map_ports(a.v, "late", 0x40, 1, &device), 0);
	for (int other = 0; other < 2; other++) { /* the same device; one that is in another state */
		struct vcpu_stop stop;

		r = vcpu_replay_open(file.bytes, file.len, NULL);
		vcpu_replay_verify(r, true);
		b = (struct machine){ .v = vcpu_replay_machine(r, NULL, NULL, NULL) };
		vcpu_map(b.v, 0, 0x10000);
		vcpu_set_mode(b.v, 32);
		vcpu_write_physical(b.v, 0x1000, code, sizeof code);
		vcpu_set(b.v, VCPU_RIP, 0x1000);
		vcpu_map_ports(b.v, "port", 0x10, 1, &port);
		vcpu_map_device(b.v, "memory", 0x80000000, 0x1000, &memory);
		b.memory.count = (unsigned)other;
		stop = vcpu_replay_run(r, b.v, 10000);
		if (other) {
			ck_assert_int_eq(stop.reason, VCPU_STOP_HOST);
			ck_assert_ptr_nonnull(vcpu_replay_divergence(r));
		} else {
			ck_assert_msg(stop.reason == VCPU_STOP_LIMIT, "%s", vcpu_error(b.v));
			ck_assert_uint_ge(vcpu_replay_checked(r), 5);
		}
		vcpu_replay_free(r);
		vcpu_free(b.v);
	}
	vcpu_free(a.v);
}
END_TEST

START_TEST(impossible)
{
	char name[VCPU_DEVICE_NAME + 2];
	struct counter c = { 0 };
	struct vcpu_device good = device_of(&c), bad;
	struct machine m;

	make_bare(&m);
	memset(name, 'n', sizeof name);
	name[VCPU_DEVICE_NAME + 1] = 0;
	ck_assert_int_eq(vcpu_map_ports(m.v, name, 0x10, 1, &good), -1);
	ck_assert_int_eq(vcpu_map_ports(m.v, name + 1, 0x10, 1, &good), 0);
	ck_assert_int_eq(vcpu_map_device(m.v, name + 1, 0x20000, 1, &good), -1); /* there is one */
	ck_assert_int_eq(vcpu_map_ports(m.v, "", 0x20, 1, &good), -1);
	ck_assert_int_eq(vcpu_map_ports(m.v, NULL, 0x20, 1, &good), -1);
	ck_assert_int_eq(vcpu_map_ports(m.v, "x", 0x20, 1, NULL), -1);
	ck_assert_int_eq(vcpu_map_ports(m.v, "x", 0x20, 0, &good), -1);
	ck_assert_int_eq(vcpu_map_ports(m.v, "x", 0xffff, 2, &good), -1);
	ck_assert_int_eq(vcpu_map_ports(m.v, "x", 1, ~0u, &good), -1);
	ck_assert_int_eq(vcpu_map_device(m.v, "x", 0x20000, 0, &good), -1);
	ck_assert_int_eq(vcpu_map_device(m.v, "x", 0x20000, ~(uint64_t)0, &good), -1);
	ck_assert_int_eq(vcpu_map_device(m.v, "x", ~(uint64_t)0, 1, &good), -1);
	for (int i = 0; i < 6; i++) {
		bad = good;
		switch (i) {
		case 0: bad.save = NULL; break;
		case 1: bad.restore = NULL; break;
		case 2: bad.state_size = 0; break;
		case 3: bad.stateless = true; break;
		case 4: bad.state_size = VCPU_DEVICE_STATE + 1; break;
		case 5: bad.save = NULL, bad.restore = NULL; break;
		}
		ck_assert_msg(vcpu_map_device(m.v, "x", 0x20000, 0x1000, &bad) == -1, "%d", i);
		ck_assert_str_ne(vcpu_error(m.v), "");
	}
	vcpu_free(m.v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("own_devices");
	TCase *t = tcase_create("own_devices");
	SRunner *runner;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, saved);
	tcase_add_test(t, snapshots);
	tcase_add_test(t, debugged);
	tcase_add_test(t, debugged_unknown);
	tcase_add_test(t, unknown);
	tcase_add_test(t, other_devices);
	tcase_add_test(t, other_snapshots);
	tcase_add_test(t, not_taken);
	tcase_add_test(t, recorded);
	tcase_add_test(t, impossible);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
