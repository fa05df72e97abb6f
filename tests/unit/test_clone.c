/* SPDX-License-Identifier: MIT */
/* Clones: their state and runs are those of the machine and of machines that share nothing, whatever was written, freed
 * and kept in between, on any thread. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/machine.h"
#include "lib/vcpu_hook.h"
#include "lib/vcpu_snapshot.h"
#include "tests/unit/random.h"

enum { MEMORY = 64, STEP = 40000, CODE = 0x1000, DATA = 0x9000 };

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

static vcpu *clone_of(vcpu *of)
{
	char *error = NULL;
	vcpu *v = vcpu_clone(of, NULL, &error);

	ck_assert_msg(v != NULL, "%s", error);
	return v;
}

static void put(vcpu *v, u64 at, u8 byte)
{
	ck_assert_uint_eq(vcpu_write_physical(v, at, &byte, 1), 1);
}

static u8 get(const vcpu *v, u64 at)
{
	u8 byte = 0xee;

	ck_assert_uint_eq(vcpu_read_physical(v, at, &byte, 1), 1);
	return byte;
}

/* LEN bytes from FROM on, all of them BYTE. */
static void fill(vcpu *v, u64 from, u64 len, u8 byte)
{
	static u8 bytes[MiB];

	memset(bytes, byte, sizeof bytes);
	for (u64 at = from; at < from + len; at += MiB)
		ck_assert_uint_eq(vcpu_write_physical(v, at, bytes, MiB), MiB);
}

START_TEST(apart)
{
	vcpu *v = machine(), *a, *b;
	u64 hash, later;

	fill(v, 32 * MiB, 16 * MiB, 0x5a);
	vcpu_run(v, STEP);
	hash = vcpu_state_hash(v);
	a = clone_of(v);
	b = clone_of(v);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	ck_assert_uint_eq(vcpu_state_hash(a), hash);
	ck_assert_uint_eq(vcpu_memory_counts(a).own, 0);
	ck_assert_uint_ge(vcpu_memory_counts(a).shared, 16 * MiB);
	put(a, 40 * MiB, 1);
	put(v, 41 * MiB, 2);
	put(b, 60 * MiB, 3); /* zeroes, which the file does not have */
	ck_assert_uint_eq(vcpu_memory_counts(a).own, PAGE_SIZE);
	ck_assert_uint_eq(get(v, 40 * MiB), 0x5a);
	ck_assert_uint_eq(get(b, 40 * MiB), 0x5a);
	ck_assert_uint_eq(get(a, 41 * MiB), 0x5a);
	ck_assert_uint_eq(get(b, 41 * MiB), 0x5a);
	ck_assert_uint_eq(get(v, 60 * MiB), 0);
	put(v, 41 * MiB, 0x5a);
	vcpu_run(v, STEP);
	later = vcpu_state_hash(v);
	vcpu_free(v);
	put(b, 60 * MiB, 0);
	ck_assert_uint_eq(vcpu_state_hash(b), hash);
	vcpu_run(b, STEP);
	ck_assert_uint_eq(vcpu_state_hash(b), later);
	vcpu_free(b);
	put(a, 40 * MiB, 0x5a);
	ck_assert_uint_eq(vcpu_state_hash(a), hash);
	vcpu_free(a);
}
END_TEST

static enum vcpu_hook_answer count(void *user, struct vcpu_hook_event *e)
{
	(void)e;
	++*(unsigned *)user;
	return VCPU_HOOK_GO;
}

/* A clone that was freed becomes another one, of which nothing can be seen. */
START_TEST(kept)
{
	vcpu *v = machine(), *a, *b, *first = NULL;
	struct vcpu_hook hook = { .kinds = VCPU_HOOK_INSN, .observer = true, .call = count };
	struct vcpu_hook accesses = { .kinds = VCPU_HOOK_READ | VCPU_HOOK_WRITE, .call = count };
	unsigned calls = 0, writes = 0;
	u64 hash, later, marked;
	vcpu_snapshot *s;

	vcpu_run(v, STEP);
	hash = vcpu_state_hash(v);
	a = clone_of(v);
	ck_assert_int_eq(vcpu_run(a, STEP).reason, VCPU_STOP_LIMIT);
	later = vcpu_state_hash(a);
	marked = vcpu_dirty_pages(a, NULL, 0);
	for (unsigned i = 0; i < 4; i++) {
		vcpu_free(a);
		a = clone_of(v);
		ck_assert_msg(!first || a == first, "none was kept");
		first = a;
		ck_assert_uint_eq(vcpu_state_hash(a), hash);
		ck_assert_uint_eq(vcpu_dirty_pages(a, NULL, 0), marked);
		vcpu_run(a, STEP);
		ck_assert_uint_eq(vcpu_state_hash(a), later);
		hook.user = &calls;
		ck_assert_int_ge(vcpu_hook_add(a, &hook), 0);
		accesses.user = &writes;
		ck_assert_int_ge(vcpu_hook_add(a, &accesses), 0);
		s = vcpu_snapshot_take(a);
		vcpu_dirty_mark(a);
		put(a, 50 * MiB, 1);
		vcpu_run(a, 100);
		ck_assert_uint_eq(calls, 100 * (i + 1));
		ck_assert_int_eq(vcpu_snapshot_restore(a, s), 0);
		put(a, 51 * MiB, 1);
		vcpu_limit_time(a, 1, 1);
		vcpu_stop(a);
	}
	ck_assert_uint_gt(writes, 4 * 30);
	ck_assert_uint_lt(writes, 4 * 40);
	vcpu_free(a);
	a = clone_of(v);
	b = clone_of(a); /* of a clone */
	vcpu_free(v);
	s = vcpu_snapshot_take(b); /* has all pages */
	fill(b, MiB, 32 * MiB, 7);
	ck_assert_int_eq(vcpu_snapshot_restore(b, s), 0);
	ck_assert_uint_eq(vcpu_state_hash(b), hash);
	vcpu_run(b, STEP);
	ck_assert_uint_eq(vcpu_state_hash(b), later);
	vcpu_free(a);
	vcpu_free(b);
}
END_TEST

/* The machine itself is changed in every way, and cloned. */
START_TEST(changed)
{
	vcpu *v = machine(), *a;
	vcpu_snapshot *s;
	char *error = NULL;
	u64 hash[3];
	size_t len;
	void *data;

	fill(v, 8 * MiB, 40 * MiB, 9);
	vcpu_run(v, STEP);
	s = vcpu_snapshot_take(v);
	ck_assert(vcpu_save(v, &data, &len, &error));
	hash[0] = vcpu_state_hash(v);
	vcpu_free(clone_of(v));
	fill(v, 8 * MiB, 40 * MiB, 0); /* most of it: the family begins anew */
	hash[1] = vcpu_state_hash(v);
	for (unsigned i = 0; i < 3; i++) {
		a = clone_of(v);
		ck_assert_uint_eq(vcpu_state_hash(a), hash[1]);
		vcpu_free(a);
		if (i == 0)
			ck_assert_uint_ge(vcpu_trim(v), 0);
		else if (i == 1)
			put(v, 9 * MiB, 0);
	}
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	a = clone_of(v);
	ck_assert_uint_eq(vcpu_state_hash(a), hash[0]);
	fill(v, 8 * MiB, 2 * MiB, 3);
	vcpu_free(a);
	ck_assert(vcpu_load(v, data, len, &error));
	a = clone_of(v);
	ck_assert_uint_eq(vcpu_state_hash(a), hash[0]);
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	ck_assert_uint_eq(vcpu_state_hash(v), hash[0]);
	fill(v, 8 * MiB, 1 * MiB, 4);
	ck_assert(vcpu_load(a, data, len, &error)); /* the clone leaves, and comes back */
	vcpu_free(a);
	ck_assert_int_eq(vcpu_snapshot_restore(v, s), 0);
	a = clone_of(v);
	ck_assert_uint_eq(vcpu_state_hash(a), hash[0]);
	vcpu_free(a);
	vcpu_free(v);
	free(data);
}
END_TEST

/* Some machines, in random order cloned, written, run and freed; each has a twin that is built and shares nothing. */
START_TEST(twins)
{
	enum { PAIRS = 6 };
	struct { vcpu *v, *twin; } pair[PAIRS] = { { machine(), machine() } };
	u8 typed[1000];

	memset(typed, 'x', sizeof typed);
	seed += (u64)_i;
	for (unsigned step = 0; step < 400; step++) {
		unsigned from = (unsigned)(rnd() % PAIRS), to = (unsigned)(rnd() % PAIRS);
		u64 at = 0x100000 + rnd() % 0x200000, n = rnd() % 2000;
		size_t len;
		void *data;

		if (!pair[from].v)
			continue;
		switch (rnd() % 5) {
		case 0:
			if (to == from)
				break;
			vcpu_free(pair[to].v);
			pair[to].v = clone_of(pair[from].v);
			if (!pair[to].twin)
				pair[to].twin = machine();
			ck_assert(vcpu_save(pair[from].twin, &data, &len, NULL));
			ck_assert(vcpu_load(pair[to].twin, data, len, NULL));
			free(data);
			break;
		case 1:
			put(pair[from].v, at, (u8)n);
			put(pair[from].twin, at, (u8)n);
			break;
		case 2:
			vcpu_run(pair[from].v, n);
			vcpu_run(pair[from].twin, n);
			break;
		case 3:
			ck_assert_uint_eq(vcpu_state_hash(pair[from].v), vcpu_state_hash(pair[from].twin));
			break;
		case 4: /* into a queue of 64 KiB, which is filled in the end */
			ck_assert_int_eq(vcpu_input(pair[from].v, VCPU_COM1, typed, sizeof typed),
					 vcpu_input(pair[from].twin, VCPU_COM1, typed, sizeof typed));
			break;
		}
	}
	for (unsigned i = 0; i < PAIRS; i++) {
		vcpu_free(pair[i].v);
		vcpu_free(pair[i].twin);
	}
}
END_TEST

/* ---- threads ---- */

static void *use(void *machine)
{
	vcpu *v = machine;

	for (unsigned i = 0; i < 50; i++) {
		vcpu *a = clone_of(v), *b = clone_of(a);

		vcpu_run(a, 500);
		vcpu_run(b, 500);
		put(b, MiB + i * 0x8000, (u8)i);
		vcpu_free(i & 1 ? a : b);
		vcpu_free(i & 1 ? b : a);
	}
	vcpu_run(v, 500);
	return NULL;
}

START_TEST(threads)
{
	vcpu *v = machine(), *c[4];
	pthread_t t[4];
	u64 later;

	vcpu_run(v, STEP);
	for (unsigned i = 0; i < 4; i++)
		c[i] = clone_of(v);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, use, c[i]), 0);
	use(v);
	later = vcpu_state_hash(v);
	vcpu_free(v);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		ck_assert_uint_eq(vcpu_state_hash(c[i]), later);
		vcpu_free(c[i]);
	}
}
END_TEST

/* ---- bare machines ---- */

/* 1: add eax, ecx; mov [rdi], eax; jmp 1b */
static const u8 loop[] = { 0x01, 0xc8, 0x89, 0x07, 0xeb, 0xfa };

START_TEST(bare)
{
	struct vcpu_config c = { .bare = true };
	vcpu *v = vcpu_new(&c, NULL), *a;
	struct vcpu_stop stop;
	u64 eax;

	ck_assert(v && !vcpu_map(v, 0, 0x10000) && !vcpu_map_buffer(v, 0x20000, 0x2000, VCPU_READ, NULL));
	ck_assert_int_eq(vcpu_set_mode(v, 64), 0);
	vcpu_write_physical(v, CODE, loop, sizeof loop);
	vcpu_set(v, VCPU_RIP, CODE);
	vcpu_set(v, VCPU_RDI, DATA);
	vcpu_set(v, VCPU_RCX, 3);
	vcpu_run(v, 300);
	for (unsigned i = 0; i < 3; i++) {
		a = clone_of(v);
		ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(v));
		ck_assert_int_eq(vcpu_run(a, 300).reason, VCPU_STOP_LIMIT);
		eax = vcpu_get(a, VCPU_RAX);
		ck_assert_uint_eq(eax, 600);
		ck_assert_uint_eq(get(a, DATA), 600 & 255);
		ck_assert_uint_eq(get(v, DATA), 300 & 255);
		vcpu_set(a, VCPU_RDI, 0x20000); /* may not be written */
		stop = vcpu_run(a, 3);
		ck_assert_int_eq(stop.reason, VCPU_STOP_MISSING);
		ck_assert_uint_eq(stop.address, 0x20000);
		if (i == 1)
			ck_assert_int_eq(vcpu_protect(a, 0x20000, 0x1000, VCPU_RIGHTS), 0); /* is not kept */
		vcpu_free(a);
	}
	ck_assert_int_eq(vcpu_map(v, 0x40000, 0x1000), 0);
	put(v, 0x40000, 0x77);
	a = clone_of(v);
	ck_assert_uint_eq(get(a, 0x40000), 0x77);
	vcpu_free(a);
	ck_assert_int_eq(vcpu_unmap(v, 0x40000, 0x1000), 0);
	a = clone_of(v);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(v));
	vcpu_free(a);
	vcpu_free(v);
}
END_TEST

/* ---- what cannot be cloned ---- */

static void refused(vcpu *v, const char *why)
{
	char *error = NULL;

	ck_assert_ptr_null(vcpu_clone(v, NULL, &error));
	ck_assert_ptr_nonnull(error);
	ck_assert_msg(strstr(error, why) != NULL, "%s", error);
	free(error);
	ck_assert_ptr_null(vcpu_clone(v, NULL, NULL));
}

static u64 read_nothing(void *user, u64 offset, unsigned size)
{
	refused(user, "from a callback");
	return offset + size;
}

START_TEST(refusals)
{
	static u8 buffer[PAGE_SIZE] __attribute__((aligned(4096)));
	static const u8 in[] = { 0xe4, 0x99 }; /* in al, 99h */
	struct vcpu_device device = { .read = read_nothing };
	struct vcpu_config c = { .bare = true };
	vcpu *v = vcpu_new(&c, NULL), *pc = machine();

	ck_assert(!vcpu_map(v, 0, 0x10000) && !vcpu_map_buffer(v, 0x20000, PAGE_SIZE, VCPU_RIGHTS, buffer));
	refused(v, "memory of the caller's");
	refused(NULL, "no machine");
	device.user = pc;
	ck_assert_int_eq(vcpu_map_ports(pc, "own", 0x99, 1, &device), 0);
	refused(pc, "devices of the caller's");
	vcpu_write_physical(pc, 0x7c00, in, sizeof in);
	vcpu_run(pc, 1);
	vcpu_free(pc);
	vcpu_free(v);
}
END_TEST

START_TEST(drives)
{
	static const char path[] = "test_clone.img";
	char image[64];
	struct vcpu_drive drive = { .image = path, .bus = VCPU_BUS_IDE };
	struct vcpu_config c = config;
	FILE *f = fopen(path, "wb");
	vcpu *v, *a;

	ck_assert(f && !fseek(f, 1023 * 1024, SEEK_SET) && fwrite(sector, 512, 1, f) == 1 && !fclose(f));
	c.drives = &drive;
	c.drives_count = 1;
	v = vcpu_new(&c, NULL);
	ck_assert_ptr_nonnull(v);
	refused(v, "a drive writes to its file");
	vcpu_free(v);
	snprintf(image, sizeof image, "%s,snapshot", path);
	drive.image = image;
	v = vcpu_new(&c, NULL);
	ck_assert_ptr_nonnull(v);
	a = clone_of(v);
	ck_assert_uint_eq(vcpu_state_hash(a), vcpu_state_hash(v));
	vcpu_free(v);
	vcpu_free(a);
	remove(path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clones");
	TCase *t = tcase_create("clones");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, apart);
	tcase_add_test(t, kept);
	tcase_add_test(t, changed);
	tcase_add_loop_test(t, twins, 0, 4);
	tcase_add_test(t, threads);
	tcase_add_test(t, bare);
	tcase_add_test(t, refusals);
	tcase_add_test(t, drives);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
