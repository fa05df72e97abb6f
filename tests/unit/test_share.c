/* SPDX-License-Identifier: MIT */
/* The 9P server of the shared folder, as a hostile guest sees it: nothing leads out of the folder, nothing is written
 * without "rw", no message does harm. Messages are made by hand from the protocol's description. */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "frontends/common/share.h"

enum { TLOPEN = 12, TLCREATE = 14, TSYMLINK = 16, TREADLINK = 22, TGETATTR = 24, TSETATTR = 26, TREADDIR = 40,
	TLINK = 70, TMKDIR = 72,
	TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100, TATTACH = 104, TWALK = 110, TREAD = 116, TWRITE = 118,
	TCLUNK = 120, RLERROR = 7 };

static char folder[] = "/tmp/test_share.XXXXXX";
static struct share *share;
static unsigned char m[1 << 16], answer[1 << 20];
static size_t len, answer_len;
static unsigned answers;

/* The machine's end. */
int vcpu_input(vcpu *v, enum vcpu_channel channel, const void *data, size_t n)
{
	(void)v;
	ck_assert_int_eq(channel, VCPU_SHARE);
	memcpy(answer, data, n);
	answer_len = n;
	answers++;
	return 0;
}

static void begin(unsigned type)
{
	memset(m, 0, 7);
	m[4] = (unsigned char)type;
	m[5] = 0x34;
	m[6] = 0x12;
	len = 7;
}

static void number(uint64_t value, unsigned size)
{
	memcpy(m + len, &value, size);
	len += size;
}

static void text(const char *s)
{
	number(strlen(s), 2);
	memcpy(m + len, s, strlen(s));
	len += strlen(s);
}

/* 0: it worked; else the errno of the answer. */
static int ask(void)
{
	unsigned before = answers;
	uint32_t error, size;

	memcpy(m, &(uint32_t){ (uint32_t)len }, 4);
	share_request(share, m, len);
	share_deliver(share, (vcpu *)m);
	ck_assert_uint_eq(answers, before + 1);
	memcpy(&size, answer, 4);
	ck_assert_uint_eq(size, answer_len);
	ck_assert_uint_eq(answer[5] | answer[6] << 8, 0x1234);
	if (answer[4] != RLERROR) {
		ck_assert_uint_eq(answer[4], m[4] + 1u);
		return 0;
	}
	ck_assert_uint_eq(answer_len, 11);
	memcpy(&error, answer + 7, 4);
	return (int)error;
}

static int version(void) { begin(TVERSION); number(65536, 4); text("9P2000.L"); return ask(); }
static int attach(unsigned fid) { begin(TATTACH); number(fid, 4); number(~0u, 4); text("root"); text(""); number(0, 4);
	return ask(); }
static int clunk(unsigned fid) { begin(TCLUNK); number(fid, 4); return ask(); }
static int lopen(unsigned fid, unsigned flags) { begin(TLOPEN); number(fid, 4); number(flags, 4); return ask(); }

static int walk(unsigned fid, unsigned newfid, const char *a, const char *b)
{
	int error;

	begin(TWALK);
	number(fid, 4);
	number(newfid, 4);
	number(!!a + !!b, 2);
	if (a)
		text(a);
	if (b)
		text(b);
	error = ask();
	/* Half a walk makes no fid. */
	return error ? error : (answer[7] | answer[8] << 8) == !!a + !!b ? 0 : ENOENT;
}

static void make(const char *name, const char *contents)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(contents, f);
	fclose(f);
}

static void shell(const char *command)
{
	char line[300];

	snprintf(line, sizeof line, "cd %s && %s", folder, command);
	ck_assert_int_eq(system(line), 0);
}

static void start(const char *options)
{
	char spec[100], *error = NULL;

	snprintf(spec, sizeof spec, "%s/in%s", folder, options);
	share = share_open(spec, &error);
	ck_assert_ptr_nonnull(share);
	ck_assert_int_eq(version(), 0);
	ck_assert_int_eq(attach(1), 0);
}

static void setup(void)
{
	strcpy(folder, "/tmp/test_share.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	shell("mkdir -p in/dir");
	make("secret", "secret");
	make("in/file", "contents");
	make("in/dir/below", "below");
	shell("ln -s ../secret in/link; ln -s .. in/up; ln -s /etc in/etc; mkfifo in/fifo");
	start("");
}

static void teardown(void)
{
	share_close(share);
	shell("chmod -R u+rwx . && rm -rf in secret");
	rmdir(folder);
}

START_TEST(reads)
{
	uint32_t n;

	ck_assert_str_eq(share_tag(share), "share");
	ck_assert_int_eq(walk(1, 2, "dir", "below"), 0);
	ck_assert_int_eq(lopen(2, O_RDONLY), 0);
	begin(TREAD), number(2, 4), number(1, 8), number(100, 4);
	ck_assert_int_eq(ask(), 0);
	memcpy(&n, answer + 7, 4);
	ck_assert_uint_eq(n, 4);
	ck_assert_mem_eq(answer + 11, "elow", 4);
	/* More than a message holds is cut. */
	begin(TREAD), number(2, 4), number(0, 8), number(~0u, 4);
	ck_assert_int_eq(ask(), 0);
	ck_assert_uint_eq(answer_len, 16);
	ck_assert_int_eq(clunk(2), 0);
	ck_assert_int_eq(clunk(2), EBADF);
	ck_assert_int_eq(walk(1, 3, "link", NULL), 0);
	begin(TREADLINK), number(3, 4);
	ck_assert_int_eq(ask(), 0);
	ck_assert_mem_eq(answer + 9, "../secret", 9);
}
END_TEST

/* Sorted, in pieces as small as asked for. */
START_TEST(lists)
{
	static const char *const names[] = { ".", "..", "dir", "etc", "fifo", "file", "link", "up" };
	uint64_t offset = 0;

	ck_assert_int_eq(walk(1, 2, NULL, NULL), 0);
	ck_assert_int_eq(lopen(2, O_RDONLY | O_DIRECTORY), 0);
	for (unsigned i = 0; i < 8; i++) {
		begin(TREADDIR), number(2, 4), number(offset, 8), number(32, 4); /* room for one */
		ck_assert_int_eq(ask(), 0);
		memcpy(&offset, answer + 11 + 13, 8);
		ck_assert_uint_eq(answer[11 + 22] | answer[11 + 23] << 8, strlen(names[i]));
		ck_assert_mem_eq(answer + 11 + 24, names[i], strlen(names[i]));
	}
	begin(TREADDIR), number(2, 4), number(offset, 8), number(1000, 4);
	ck_assert_int_eq(ask(), 0);
	ck_assert_uint_eq(answer_len, 11);
	begin(TREADDIR), number(2, 4), number(~(uint64_t)0, 8), number(1000, 4);
	ck_assert_int_eq(ask(), 0);
}
END_TEST

START_TEST(no_way_out)
{
	static const char *const bad[] = { "..", ".", "", "dir/below", "../secret", "/etc", "dir/../../secret" };

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_ne(walk(1, 2, bad[i], NULL), 0);
	ck_assert_int_ne(walk(1, 2, "dir", ".."), 0);
	ck_assert_int_ne(walk(1, 2, "up", "secret"), 0); /* not through links */
	ck_assert_int_ne(walk(1, 2, "etc", "passwd"), 0);
	ck_assert_int_eq(walk(1, 2, "link", NULL), 0);
	ck_assert_int_eq(lopen(2, O_RDONLY), ELOOP);
	ck_assert_int_eq(walk(1, 3, "up", NULL), 0);
	ck_assert_int_ne(lopen(3, O_RDONLY | O_DIRECTORY), 0);
	begin(TREADDIR), number(3, 4), number(0, 8), number(1000, 4);
	ck_assert_int_ne(ask(), 0);
	/* A FIFO would block for ever. */
	ck_assert_int_eq(walk(1, 4, "fifo", NULL), 0);
	ck_assert_int_eq(lopen(4, O_RDONLY), EACCES);
}
END_TEST

START_TEST(only_for_reading)
{
	ck_assert_int_eq(walk(1, 2, "file", NULL), 0);
	ck_assert_int_eq(lopen(2, O_RDWR), EROFS);
	ck_assert_int_eq(lopen(2, O_WRONLY), EROFS);
	ck_assert_int_eq(lopen(2, O_RDONLY | 01000), EROFS);
	ck_assert_int_eq(lopen(2, O_RDONLY), 0);
	begin(TWRITE), number(2, 4), number(0, 8), number(1, 4), number('x', 1);
	ck_assert_int_eq(ask(), EROFS);
	begin(TLCREATE), number(1, 4), text("new"), number(O_RDONLY, 4), number(0644, 4), number(0, 4);
	ck_assert_int_eq(ask(), EROFS);
	begin(TMKDIR), number(1, 4), text("new"), number(0755, 4), number(0, 4);
	ck_assert_int_eq(ask(), EROFS);
	begin(TUNLINKAT), number(1, 4), text("file"), number(0, 4);
	ck_assert_int_eq(ask(), EROFS);
	begin(TSETATTR), number(2, 4), number(8, 4), number(0, 4), number(0, 8), number(0, 8), number(0, 8),
		number(0, 8), number(0, 8), number(0, 8);
	ck_assert_int_eq(ask(), EROFS);
	shell("test \"$(cat in/file)\" = contents && test ! -e in/new");
}
END_TEST

START_TEST(writes)
{
	share_close(share);
	start(",rw,tag=stuff");
	ck_assert_str_eq(share_tag(share), "stuff");
	ck_assert_int_eq(walk(1, 2, "dir", NULL), 0);
	begin(TLCREATE), number(2, 4), text("new"), number(O_RDWR, 4), number(04755, 4), number(0, 4);
	ck_assert_int_eq(ask(), 0);
	begin(TWRITE), number(2, 4), number(0, 8), number(3, 4), number('a' | 'b' << 8 | 'c' << 16, 3);
	ck_assert_int_eq(ask(), 0);
	begin(TWRITE), number(2, 4), number(0, 8), number(1000, 4), number('x', 1); /* less than it says */
	ck_assert_int_ne(ask(), 0);
	shell("test \"$(cat in/dir/new)\" = abc && test ! -u in/dir/new");
	/* What is there is not created; not through a link either. */
	ck_assert_int_eq(walk(1, 3, NULL, NULL), 0);
	begin(TLCREATE), number(3, 4), text("link"), number(O_RDWR, 4), number(0644, 4), number(0, 4);
	ck_assert_int_eq(ask(), EEXIST);
	begin(TLCREATE), number(3, 4), text("../out"), number(O_RDWR, 4), number(0644, 4), number(0, 4);
	ck_assert_int_ne(ask(), 0);
	begin(TMKDIR), number(3, 4), text(".."), number(0755, 4), number(0, 4);
	ck_assert_int_ne(ask(), 0);
	begin(TRENAMEAT), number(3, 4), text("file"), number(3, 4), text("../file");
	ck_assert_int_ne(ask(), 0);
	begin(TRENAMEAT), number(3, 4), text("../secret"), number(3, 4), text("file2");
	ck_assert_int_ne(ask(), 0);
	begin(TRENAMEAT), number(3, 4), text("file"), number(3, 4), text("file2");
	ck_assert_int_eq(ask(), 0);
	begin(TUNLINKAT), number(3, 4), text("link"), number(0, 4); /* the link, not what it points to */
	ck_assert_int_eq(ask(), 0);
	/* A link to a link's target would be a way out: only files are linked. */
	ck_assert_int_eq(walk(1, 4, "up", NULL), 0);
	begin(TLINK), number(3, 4), number(4, 4), text("hard");
	ck_assert_int_ne(ask(), 0);
	begin(TSETATTR), number(4, 4), number(1, 4), number(0, 4), number(0, 8), number(0, 8), number(0, 8),
		number(0, 8), number(0, 8), number(0, 8);
	ck_assert_int_ne(ask(), 0);
	shell("test \"$(cat secret)\" = secret && test -f in/file2 && test ! -e in/link && test -x .");
}
END_TEST

/* Fids are bounded; messages of any length and content get one answer or, if they have no head, none. */
START_TEST(hostile)
{
	uint64_t seed = 1;
	unsigned n = 2, before;

	while (!walk(1, n, NULL, NULL) && n < 10000)
		n++;
	ck_assert_uint_ge(n, 256);
	ck_assert_uint_lt(n, 10000);
	ck_assert_int_eq(version(), 0); /* forgets them all */
	ck_assert_int_eq(attach(1), 0);
	for (unsigned i = 0; i < 7; i++) {
		before = answers;
		share_request(share, m, i);
		share_deliver(share, (vcpu *)m);
		ck_assert_uint_eq(answers, before);
	}
	share_close(share);
	start(",rw");
	for (unsigned i = 0; i < 100000; i++) {
		static const unsigned char types[] = { 8,  12, 14, 16, 22, 24,  26,  30,  40,  50,  52,
						       54, 70, 72, 74, 76, 104, 108, 110, 116, 118, 120 };

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		begin(seed >> 60 ? types[(seed >> 40) % sizeof types] : (seed >> 32) & 0xff);
		len += (seed >> 20) % 80;
		for (unsigned k = 7; k < len; k++)
			m[k] = (unsigned char)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 62
						       ? (seed >> 50) % 3
						       : (seed >> 40));
		ask();
	}
	shell("test \"$(cat secret)\" = secret");
}
END_TEST

static long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert_int_eq(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* A large directory, read through many fids at a time, a little from each: every name once through each of them, in
 * order, and bounded memory. */
START_TEST(large_directory)
{
	enum { FILES = 3000, FIDS = 40, LONG = 240 };
	static unsigned seen[FIDS];
	static uint64_t offset[FIDS];
	static char last[FIDS][256];
	unsigned open_ones = FIDS;
	long before;
	char name[300];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "in/dir/%05u%0*d", i * 7919 % FILES, LONG, 0);
		make(name, "");
	}
	before = resident();
	for (unsigned i = 0; i < FIDS; i++) {
		seen[i] = 0;
		offset[i] = 0;
		*last[i] = 0;
		ck_assert_int_eq(walk(1, 100 + i, "dir", NULL), 0);
		ck_assert_int_eq(lopen(100 + i, O_RDONLY), 0);
	}
	while (open_ones) {
		for (unsigned i = 0; i < FIDS; i++) {
			size_t at = 11;

			if (offset[i] == ~(uint64_t)0)
				continue;
			begin(TREADDIR), number(100 + i, 4), number(offset[i], 8), number(i % 2 ? 60000 : 15000, 4);
			ck_assert_int_eq(ask(), 0);
			for (unsigned n; at < answer_len; at += 24 + n, seen[i]++) {
				n = answer[at + 22] | answer[at + 23] << 8;
				memcpy(name, answer + at + 24, n);
				name[n] = 0;
				ck_assert_str_gt(name, last[i]);
				strcpy(last[i], name);
				memcpy(&offset[i], answer + at + 13, 8);
			}
			if (answer_len == 11) {
				offset[i] = ~(uint64_t)0;
				open_ones--;
			}
		}
	}
	for (unsigned i = 0; i < FIDS; i++)
		ck_assert_uint_eq(seen[i], FILES + 3); /* ".", ".." and "below" */
	ck_assert_int_lt(resident() - before, 16 << 20);
	/* A place in the middle, and the first one again. */
	begin(TREADDIR), number(100, 4), number(2000, 8), number(300, 4);
	ck_assert_int_eq(ask(), 0);
	snprintf(name, sizeof name, "%05u", 2000 - 2);
	ck_assert_mem_eq(answer + 11 + 24, name, 5);
	begin(TREADDIR), number(100, 4), number(0, 8), number(30, 4);
	ck_assert_int_eq(ask(), 0);
	ck_assert_uint_eq(answer[11 + 22], 1);
}
END_TEST

static void whole_messages(unsigned i)
{
	switch (i) {
	case 0: begin(TLCREATE), number(5, 4), text("new"), number(O_RDWR, 4), number(0644, 4), number(0, 4); break;
	case 1: begin(TMKDIR), number(1, 4), text("new"), number(0755, 4), number(0, 4); break;
	case 2: begin(TSYMLINK), number(1, 4), text("new"), text("target"), number(0, 4); break;
	case 3: begin(TLINK), number(1, 4), number(6, 4), text("new"); break;
	case 4: begin(TRENAMEAT), number(1, 4), text("file"), number(1, 4), text("new"); break;
	case 5: begin(TUNLINKAT), number(1, 4), text("file"), number(0, 4); break;
	case 6: begin(TSETATTR), number(6, 4), number(8, 4), number(0, 4), number(0, 8), number(0, 8), number(0, 8),
		number(0, 8), number(0, 8), number(0, 8); break;
	case 7: begin(TWRITE), number(6, 4), number(0, 8), number(3, 4), number(0x787878, 3); break;
	case 8: begin(TLOPEN), number(7, 4), number(01001, 4); break; /* truncates */
	case 9: begin(TWALK), number(1, 4), number(8, 4), number(1, 2), text("dir"); break;
	case 10: begin(TATTACH), number(8, 4), number(~0u, 4), text("root"), text(""), number(0, 4); break;
	case 11: begin(TCLUNK), number(6, 4); break;
	case 12: begin(TVERSION), number(65536, 4), text("9P2000.L"); break;
	}
}

/* A message that is cut short anywhere, that has a byte too many, or whose size is not its own, is an error and
 * changes nothing. */
START_TEST(cut_short)
{
	share_close(share);
	start(",rw");
	ck_assert_int_eq(walk(1, 5, NULL, NULL), 0);
	ck_assert_int_eq(walk(1, 6, "file", NULL), 0);
	ck_assert_int_eq(lopen(6, O_RDWR), 0);
	ck_assert_int_eq(walk(1, 7, "file", NULL), 0);
	for (unsigned i = 0; i <= 12; i++) {
		size_t all;

		whole_messages(i);
		all = len;
		for (len = 7; len <= all + 1; len++)
			if (len != all)
				ck_assert_msg(ask() == EINVAL, "message %u with %zu of %zu bytes", i, len, all);
		for (int d = -1; d <= 1; d += 2) {
			uint32_t error;

			memcpy(m, &(uint32_t){ (uint32_t)(all + (unsigned)d) }, 4);
			share_request(share, m, all);
			share_deliver(share, (vcpu *)m);
			memcpy(&error, answer + 7, 4);
			ck_assert_msg(answer[4] == RLERROR && error == EINVAL, "message %u of size %+d", i, d);
		}
		shell("test \"$(cat in/file)\" = contents && test ! -e in/new && test ! -L in/new");
		ck_assert_int_eq(clunk(8), EBADF);
		begin(TGETATTR), number(6, 4), number(0, 8);
		ck_assert_int_eq(ask(), 0);
	}
	for (unsigned i = 0; i <= 12; i++) { /* and whole they all do something */
		whole_messages(i);
		ck_assert_msg(!ask(), "message %u", i);
		if (i < 4 || i == 4)
			shell(i == 4 ? "mv in/new in/file" : "test -e in/new -o -L in/new && rm -rf in/new");
		if (i == 5)
			make("in/file", "contents");
		if (i == 9)
			ck_assert_int_eq(clunk(8), 0);
	}
}
END_TEST

/* Names that are none; a rename over a file, a file that is gone and still open; what is neither file nor directory
 * is left alone. */
START_TEST(names_and_files)
{
	struct stat st;
	char path[100];

	share_close(share);
	start(",rw");
	ck_assert_int_eq(walk(1, 2, NULL, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		begin(TMKDIR), number(1, 4), number(3, 2), number('a' | (i ? '/' : 0) << 8 | 'b' << 16, 3),
			number(0755, 4), number(0, 4);
		ck_assert_int_eq(ask(), EINVAL);
		begin(TSYMLINK), number(1, 4), text("sym"), number(3, 2),
			number('a' | (i ? 'x' : 0) << 8 | 'b' << 16, 3), number(0, 4);
		ck_assert_int_eq(ask(), i ? 0 : ENAMETOOLONG);
	}
	make("in/other", "other");
	ck_assert_int_eq(walk(1, 3, "file", NULL), 0);
	ck_assert_int_eq(lopen(3, O_RDWR), 0);
	begin(TRENAMEAT), number(1, 4), text("other"), number(1, 4), text("file");
	ck_assert_int_eq(ask(), 0);
	shell("test \"$(cat in/file)\" = other");
	begin(TREAD), number(3, 4), number(0, 8), number(100, 4); /* the old one is still there for who has it open */
	ck_assert_int_eq(ask(), 0);
	ck_assert_mem_eq(answer + 11, "contents", 8);
	begin(TSETATTR), number(3, 4), number(8, 4), number(0, 4), number(0, 8), number(2, 8), number(0, 8),
		number(0, 8), number(0, 8), number(0, 8);
	ck_assert_int_eq(ask(), 0);
	shell("test \"$(cat in/file)\" = other");
	ck_assert_int_eq(walk(1, 4, "fifo", NULL), 0);
	for (unsigned flags = 0; flags < 3; flags++)
		ck_assert_int_eq(lopen(4, flags), EACCES);
	begin(TSETATTR), number(4, 4), number(1, 4), number(0777, 4), number(0, 8), number(0, 8), number(0, 8),
		number(0, 8), number(0, 8), number(0, 8);
	ck_assert_int_eq(ask(), EOPNOTSUPP);
	snprintf(path, sizeof path, "%s/in/fifo", folder);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_ne(st.st_mode & 0777, 0777);
	/* A dialect that is not spoken: no session. */
	begin(TVERSION), number(65536, 4), text("9P2000.u");
	ck_assert_int_eq(ask(), 0);
	ck_assert_mem_eq(answer + 13, "unknown", 7);
	ck_assert_int_eq(attach(1), EINVAL);
	begin(TVERSION), number(4095, 4), text("9P2000.L"); /* too small for anything */
	ck_assert_int_eq(ask(), EINVAL);
}
END_TEST

START_TEST(options)
{
	static const char *const wrong[] = { "/nonexistent", "/tmp,ro",
					     "/tmp,tag=", "/tmp,tag=a-tag-that-is-longer-than-32-bytes-are",
					     "/dev/null" };

	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char *error = NULL;

		ck_assert_ptr_null(share_open(wrong[i], &error));
		ck_assert_ptr_nonnull(error);
		free(error);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("share");
	TCase *tc = tcase_create("share");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, reads);
	tcase_add_test(tc, lists);
	tcase_add_test(tc, no_way_out);
	tcase_add_test(tc, only_for_reading);
	tcase_add_test(tc, writes);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, large_directory);
	tcase_add_test(tc, cut_short);
	tcase_add_test(tc, names_and_files);
	tcase_add_test(tc, options);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
