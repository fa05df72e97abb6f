/* SPDX-License-Identifier: MIT */
/* The reader of vectors: each format says the same; what is cut short or damaged is refused. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/silicon/vector_file.h"

static char path[] = "test_vectors.XXXXXX";

static void file(const void *bytes, size_t len)
{
	FILE *f = fopen(path, "wb");

	ck_assert(f && fwrite(bytes, 1, len, f) == len);
	fclose(f);
}

static enum next first(struct vector_file *f, struct test *v)
{
	const char *why;

	ck_assert(vector_file_open(f, path, &why));
	return vector_file_next(f, v);
}

static void is_expected(const struct test *v, bool halts)
{
	ck_assert_str_eq(v->name, "inc ax");
	ck_assert_uint_eq(v->len, 2);
	ck_assert(v->code[0] == 0x40 && v->code[1] == 0xf4);
	ck_assert(v->before[AX] == 7 && v->before[FLAGS] == 2 && v->before[R_CS] == 0x1000 && v->before[DI] == 0x55);
	ck_assert(v->after[AX] == 8 && v->after[IP] == 1 && v->after[DI] == 0x55);
	ck_assert(v->nram == 2 && v->ram[1].addr == 0x10001 && v->ram[1].value == 0xf4 && v->nfram == 0);
	ck_assert(v->exc == 5 && v->halts == halts);
}

START_TEST(json)
{
	static const char set[] = "[\n{ \"name\": \"inc ax\", \"bytes\": [64, 244], \"initial\": {\"regs\": {\"ax\": 7, \"cs\": 4096, \"di\": 85, \"flags\": 2, \"dr6\": 1},\n"
		"\"ram\": [[65536, 64], [65537, 244]], \"queue\": []},\n\"final\": {\"regs\": {\"ax\": 8, \"ip\": 1}, \"ram\": []}, \"cycles\": [[1, \"a]\", {\"b\": [2]}]],\n"
		"\"exception\": {\"number\": 5, \"flag_addr\": 9}, \"hash\": \"\\\"\"},\n{}\n]\n";
	static const char line[] = "{\"name\":\"inc ax\",\"bytes\":\"40f4\",\"regs\":{\"ax\":7,\"cs\":4096,\"di\":85,\"flags\":2},\"ram\":[[65536,64],[65537,244]],"
		"\"fregs\":{\"ax\":8,\"ip\":1},\"fram\":[],\"exc\":5}\n";
	struct vector_file f;
	static struct test v;

	file(set, sizeof set - 1);
	ck_assert_int_eq(first(&f, &v), VECTOR);
	is_expected(&v, false);
	ck_assert_int_eq(vector_file_next(&f, &v), VECTOR);
	ck_assert_int_eq(vector_file_next(&f, &v), VECTORS_END);
	vector_file_close(&f);
	file(line, sizeof line - 1);
	ck_assert_int_eq(first(&f, &v), VECTOR);
	is_expected(&v, true);
	vector_file_close(&f);
	for (size_t len = 1; len < sizeof set - 6; len++) {
		file(set, len);
		if (first(&f, &v) == VECTOR)
			ck_assert_int_ne(vector_file_next(&f, &v), VECTOR);
		vector_file_close(&f);
	}
}
END_TEST

/* ---- MOO ---- */

static u8 moo[1024];
static size_t moo_len;

static void add(u32 v, unsigned size)
{
	put_size(moo + moo_len, size, v);
	moo_len += size;
}

static size_t open_chunk(const char *name)
{
	memcpy(moo + moo_len, name, 4);
	moo_len += 8;
	return moo_len;
}

static void close_chunk(size_t start) { put32(moo + start - 4, (u32)(moo_len - start)); }

static void text(const char *name, const char *bytes, u32 len)
{
	size_t at = open_chunk(name);

	add(len, 4);
	memcpy(moo + moo_len, bytes, len);
	moo_len += len;
	close_chunk(at);
}

/* Registers: of the set's order, with their bits. */
static void registers(const char *name, unsigned size, u32 bits, const u32 *values)
{
	size_t at = open_chunk(name);

	add(bits, size);
	for (unsigned i = 0; i < 8 * size; i++)
		if (bits >> i & 1)
			add(*values++, size);
	close_chunk(at);
}

static void make_moo(bool wide)
{
	const u32 before16[14] = { 7, 0, 0, 0, 0x1000, 0, 0, 0, 0, 0, 0, 0x55, 0, 2 }, after16[2] = { 8, 1 };
	const u32 before32[20] = { 0, 0, 7, 0, 0, 0, 0, 0x55, 0, 0, 0x1000, 0, 0, 0x11, 0x12, 0, 0, 2, 0, 0 },
		  after32[2] = { 8, 1 };
	const u32 mask[1] = { 0xff };
	size_t at, test, state;

	moo_len = 0;
	at = open_chunk("MOO ");
	add(1, 4);
	add(1, 4);
	memcpy(moo + moo_len, wide ? "386E" : "8086", 4);
	moo_len += 4;
	close_chunk(at);
	close_chunk(open_chunk("META"));
	test = open_chunk("TEST");
	add(0, 4);
	text("NAME", "inc ax", 6);
	text("BYTS", "\x40\xf4", 2);
	state = open_chunk("INIT");
	if (wide)
		registers("RG32", 4, 0xfffff, before32);
	else
		registers("REGS", 2, 0x3fff, before16);
	at = open_chunk("RAM ");
	add(2, 4);
	add(0x10000, 4);
	add(0x40, 1);
	add(0x10001, 4);
	add(0xf4, 1);
	close_chunk(at);
	close_chunk(state);
	state = open_chunk("FINA");
	if (wide)
		registers("RG32", 4, 1 << 2 | 1 << 16, after32);
	else
		registers("REGS", 2, 1 | 1 << 12, after16);
	registers(wide ? "RM32" : "RMSK", wide ? 4 : 2, wide ? 1 << 17 : 1 << 13, mask);
	close_chunk(state);
	at = open_chunk("EXCP");
	add(5, 1);
	add(9, 4);
	close_chunk(at);
	close_chunk(test);
}

START_TEST(binary)
{
	struct vector_file f;
	static struct test v;

	make_moo(_i);
	file(moo, moo_len);
	ck_assert_int_eq(first(&f, &v), VECTOR);
	ck_assert_str_eq(f.cpu, _i ? "386E" : "8086");
	is_expected(&v, false);
	ck_assert(v.mask[FLAGS] == 0xff && v.mask[AX] == 0xffffffff);
	ck_assert(!_i || (v.before[R_FS] == 0x11 && v.before[R_GS] == 0x12));
	ck_assert_int_eq(vector_file_next(&f, &v), VECTORS_END);
	vector_file_close(&f);
	/* Cut short; then a byte changed to 255, of which lengths come out too long. */
	for (size_t len = 29; len < moo_len; len++) {
		file(moo, len);
		ck_assert_int_eq(first(&f, &v), VECTORS_BAD);
		vector_file_close(&f);
	}
	for (size_t i = 20; i < moo_len; i++) {
		u8 was = moo[i];

		moo[i] = 0xff;
		file(moo, moo_len);
		while (first(&f, &v) == VECTOR && vector_file_next(&f, &v) == VECTOR)
			vector_file_close(&f);
		vector_file_close(&f);
		moo[i] = was;
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vectors");
	TCase *t = tcase_create("vectors");
	SRunner *runner;
	int failed, fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	suite_add_tcase(s, t);
	tcase_add_test(t, json);
	tcase_add_loop_test(t, binary, 0, 2);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	unlink(path);
	return failed != 0;
}
