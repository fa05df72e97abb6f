/* SPDX-License-Identifier: MIT */
/* Dumps and registers of other programs: what is written is read again; headers as winnt.h, wdbgexts.h and QEMU have
 * them; a regs.json as bdump writes it; and what is refused. tests/cli/dump shows dumps to gdb and to Debian's crash.
 * */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "lib/dump.h"
#include "lib/machine.h"
#include "lib/vcpu_dump.h"
#include "tests/unit/packed.h"

enum { RAM = 0x40000, CODE = 0x1000, TABLES = 0x10000, WIN = 0x2000 };

static vcpu *bare(const char *cpu)
{
	struct vcpu_config c = { .bare = true, .cpu = cpu };
	vcpu *v = vcpu_new(&c, NULL);

	ck_assert_ptr_nonnull(v);
	return v;
}

struct file { u8 *data; size_t len; };

static bool put(void *user, const void *data, size_t len)
{
	struct file *f = user;

	f->data = realloc(f->data, f->len + len);
	memcpy(f->data + f->len, data, len);
	f->len += len;
	return true;
}

static bool refuse(void *user, const void *data, size_t len)
{
	(void)data;
	*(size_t *)user += len;
	return false;
}

/* A guest in 64-bit mode with page tables of its own: 1: inc rax; mov [rdi], rax; jmp 1b */
static vcpu *guest(void)
{
	static const u8 code[] = { 0x48, 0xff, 0xc0, 0x48, 0x89, 0x07, 0xeb, 0xf8 };
	const u64 entries[] = { TABLES, TABLES + 0x1000, TABLES + 0x2000, 0 };
	vcpu *v = bare("max");
	u64 word;

	ck_assert(!vcpu_map(v, 0, RAM) && !vcpu_map(v, 0x100000, 0x1000) && !vcpu_set_mode(v, 64));
	vcpu_write_physical(v, CODE, code, sizeof code);
	vcpu_write_physical(v, 0x100000, "above", 5);
	for (unsigned i = 0; i < 3; i++) {
		word = i < 2 ? entries[i + 1] | 0x63 : 0xe3; /* 2 MiB at 0 */
		vcpu_write_physical(v, entries[i], &word, 8);
	}
	word |= (u64)1 << 63; /* the same at 2 MiB, not to be executed */
	vcpu_write_physical(v, TABLES + 0x2008, &word, 8);
	ck_assert(!vcpu_set(v, VCPU_CR3, TABLES) && !vcpu_set(v, VCPU_RIP, CODE) && !vcpu_set(v, VCPU_RDI, 0x8000));
	ck_assert(!vcpu_set(v, VCPU_GDTR_BASE, 0x1234) && !vcpu_set(v, VCPU_IDTR_LIMIT, 0x77));
	ck_assert(!vcpu_set_msr(v, 0xc0000102, 0xffff800000001000) && !vcpu_set_vector(v, 3, "0123456789abcdef"));
	ck_assert(!vcpu_set(v, VCPU_GS_BASE, 0xffff888000000000) && !vcpu_set_st(v, 1, "\1\2\3\4\5\6\7\x80\xff\x3f"));
	vcpu_run(v, 301);
	return v;
}

static struct file saved(vcpu *v)
{
	struct file f = { 0 };

	ck_assert_msg(!vcpu_dump_save(v, put, &f), "%s", vcpu_error(v));
	return f;
}

static void same_registers(const vcpu *a, const vcpu *b)
{
	static const int regs[] = { VCPU_RIP, VCPU_RFLAGS, VCPU_CR0, VCPU_CR3, VCPU_CR4, VCPU_CS, VCPU_SS, VCPU_GS_BASE,
		VCPU_GDTR_BASE, VCPU_IDTR_LIMIT };

	for (int reg = VCPU_RAX; reg <= VCPU_R15; reg++)
		ck_assert_uint_eq(vcpu_get(a, reg), vcpu_get(b, reg));
	for (unsigned i = 0; i < ARRAY_LEN(regs); i++)
		ck_assert_msg(vcpu_get(a, regs[i]) == vcpu_get(b, regs[i]), "%s", vcpu_register_name(regs[i]));
}

START_TEST(round_trip)
{
	vcpu *v = guest(), *w = bare("max");
	struct file f = saved(v), again;
	char *error = NULL, text[8] = { 0 };
	struct vcpu_stop stop;
	u64 word = 0, seen;

	ck_assert_msg(vcpu_dump_load(w, f.data, f.len, &error), "%s", error);
	same_registers(v, w);
	ck_assert(!vcpu_get_msr(w, 0xc0000102, &word));
	ck_assert_uint_eq(word, 0xffff800000001000);
	ck_assert_uint_eq(vcpu_read_physical(w, 0x100000, text, 5), 5);
	ck_assert_str_eq(text, "above");
	ck_assert_uint_eq(vcpu_read_linear(w, 0x301000, text, 1), 0); /* no memory */
	ck_assert_uint_eq(vcpu_read_linear(w, 0x300001, text, 4), 4);
	ck_assert_int_eq(memcmp(text, "bove", 4), 0);
	vcpu_run(v, 300);
	ck_assert_int_eq(vcpu_run(w, 300).reason, VCPU_STOP_LIMIT);
	vcpu_read_physical(v, 0x8000, &word, 8);
	vcpu_read_physical(w, 0x8000, &seen, 8);
	ck_assert_uint_eq(word, seen);
	ck_assert(!vcpu_set(w, VCPU_RDI, 0x50000)); /* which the dump does not have */
	stop = vcpu_run(w, 10);
	ck_assert_int_eq(stop.reason, VCPU_STOP_MISSING);
	ck_assert_uint_eq(stop.address, 0x50000);
	again = saved(w);
	ck_assert_uint_ge(again.len, f.len);
	free(again.data);
	free(f.data);
	vcpu_free(w);
	vcpu_free(v);
}
END_TEST

/* The notes, at the places of QEMU's struct QEMUCPUState and of Linux's struct elf_prstatus. */
START_TEST(notes)
{
	vcpu *v = guest();
	struct file f = saved(v);
	const u8 *note = f.data + get64(f.data + 64 + 8);
	size_t none = 0;

	ck_assert_uint_eq(get32(note + 4), 336);
	ck_assert_uint_eq(get64(note + 20 + 112 + 8 * 16), vcpu_get(v, VCPU_RIP));
	ck_assert_uint_eq(get64(note + 20 + 112 + 8 * 10), vcpu_get(v, VCPU_RAX));
	ck_assert_uint_eq(get64(note + 20 + 112 + 8 * 19), vcpu_get(v, VCPU_RSP));
	note += 20 + 336;
	ck_assert_str_eq((const char *)note + 12, "QEMU");
	ck_assert_uint_eq(get32(note + 20 + 4), 440);
	ck_assert_uint_eq(get64(note + 20 + 8), vcpu_get(v, VCPU_RAX));
	ck_assert_uint_eq(get64(note + 20 + 8 + 8 * 5), vcpu_get(v, VCPU_RDI));
	ck_assert_uint_eq(get64(note + 20 + 392 + 24), TABLES);
	ck_assert_uint_eq(get32(note + 20 + 152 + 8), 0xa09b00); /* CS: P, S, code, L, G */
	ck_assert_int_eq(vcpu_dump_save(v, refuse, &none), -1);
	ck_assert_int_eq(vcpu_dump_save(v, NULL, NULL), -1);
	free(f.data);
	vcpu_free(v);
}
END_TEST

/* ---- Windows ---- */

/* Two runs: pages 1 and 2, and 16. */
static struct file windows(u32 type)
{
	struct file f = { calloc(1, 8 * PAGE_SIZE + WIN), WIN + 3 * PAGE_SIZE };
	u8 *h = f.data, *pages = h + WIN, *c = h + 0x348;

	memcpy(h, "PAGEDU64", 8);
	put64(h + 0x10, TABLES);
	put32(h + 0x30, 0x8664);
	put32(h + 0x88, 2);
	put64(h + 0x90, 3);
	put64(h + 0x98, 1), put64(h + 0xa0, 2);
	put64(h + 0xa8, 16), put64(h + 0xb0, 1);
	put32(h + 0xf98, type);
	put16(c + 0x38, 0x33), put16(c + 0x42, 0x2b), put32(c + 0x44, 0x246);
	put64(c + 0x78, 0x1111), put64(c + 0x98, 0x2ff8), put64(c + 0xf0, 0xf00f), put64(c + 0xf8, 0x1000);
	put16(c + 0x100, 0x27f), put32(c + 0x118, 0x1f80);
	memcpy(c + 0x1a0, "0123456789abcdef", 16);
	if (type == 5) {
		memcpy(pages, "FDMPDUMP", 8);
		put64(pages + 0x20, WIN + PAGE_SIZE);
		put64(pages + 0x28, 3);
		put64(pages + 0x30, 24);
		memcpy(pages + 0x38, "\x06\x00\x01", 3);
		pages += PAGE_SIZE;
		f.len += PAGE_SIZE;
	}
	memcpy(pages, "\x90\xf4", 2); /* nop; hlt */
	memcpy(pages + PAGE_SIZE, "stack", 5);
	memcpy(pages + 2 * PAGE_SIZE, "sixteen", 7);
	return f;
}

START_TEST(crash_dumps)
{
	struct file f = windows(_i ? 5 : 1);
	vcpu *v = bare("max");
	char *error = NULL, text[17] = { 0 };

	ck_assert_msg(vcpu_dump_load(v, f.data, f.len, &error), "%s", error);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR3), TABLES);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RAX), 0x1111);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RSP), 0x2ff8);
	ck_assert_uint_eq(vcpu_get(v, VCPU_R15), 0xf00f);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x1000);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CS), 0x33);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CPL), 3);
	ck_assert_uint_eq(vcpu_get(v, VCPU_FCW), 0x27f);
	ck_assert(!vcpu_get_vector(v, 0, text));
	ck_assert_str_eq(text, "0123456789abcdef");
	memset(text, 0, sizeof text);
	vcpu_read_physical(v, 0x10000, text, 7);
	ck_assert_str_eq(text, "sixteen");
	vcpu_read_physical(v, 0x2000, text, 5);
	ck_assert_int_eq(memcmp(text, "stack", 5), 0);
	free(f.data);
	vcpu_free(v);
}
END_TEST

/* ---- makedumpfile ---- */

enum { KDUMP_PAGES = 5, SUB = PAGE_SIZE, MAPS = 2 * PAGE_SIZE, DESCS = 4 * PAGE_SIZE, KDUMP_BODY = 6 * PAGE_SIZE };

/* Pages 1 (as it is), 2 and 16 (compressed) of 24, with the notes of CORE: struct disk_dump_header,
 * kdump_sub_header and page_desc as makedumpfile 1.7.2 has them. tests/cli/dump reads one of its own. */
static struct file kdump(unsigned version, struct file core)
{
	static const struct { unsigned page; const char *text; } pages[] = { { 1, "\x90\xf4" }, { 2, "stack" }, { 16, "sixteen" } };
	u64 at = get64(core.data + 64 + 8), size = get64(core.data + 64 + 32), end = KDUMP_BODY + size;
	struct file f = { calloc(1, KDUMP_BODY + size + KDUMP_PAGES * PAGE_SIZE), 0 };
	u8 *h = f.data, *sub = h + SUB;

	memcpy(h, "KDUMP   ", 8);
	put32(h + 8, version);
	put32(h + 428, PAGE_SIZE), put32(h + 432, 1), put32(h + 436, 2);
	put32(h + 440, version < 6 ? 24 : 0xffffffff);
	put64(sub + 96, version < 6 ? 0 : 24);
	put64(sub + 48, KDUMP_BODY), put64(sub + 56, size);
	memcpy(h + KDUMP_BODY, core.data + at, size);
	memcpy(h + MAPS, "\xff\xff\xff", 3);
	memcpy(h + MAPS + PAGE_SIZE, "\x06\x00\x01", 3);
	for (unsigned i = 0; i < 3; i++) {
		u8 page[PAGE_SIZE] = { 0 }, *desc = h + DESCS + 24 * i;
		uLongf len = 2 * PAGE_SIZE;

		memcpy(page, pages[i].text, strlen(pages[i].text));
		if (i)
			compress(h + end, &len, page, sizeof page);
		else
			memcpy(h + end, page, len = sizeof page);
		put64(desc, end), put32(desc + 8, (u32)len), put32(desc + 12, i != 0);
		end += len;
	}
	f.len = end;
	return f;
}

static void put_piece(struct file *to, struct file from, u64 at, u64 size)
{
	u64 head[2] = { __builtin_bswap64(at), __builtin_bswap64(size) };

	put(to, head, 16);
	put(to, from.data + at, size);
}

/* In two pieces, the second one first. */
static struct file flattened(struct file f)
{
	static const u8 head[PAGE_SIZE] = "makedumpfile";
	struct file out = { 0 };

	put(&out, head, sizeof head);
	put_piece(&out, f, 1000, f.len - 1000);
	put_piece(&out, f, 0, 1000);
	put(&out, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
	return out;
}

START_TEST(compressed)
{
	vcpu *of = guest(), *v = bare("max");
	struct file core = saved(of), k = kdump(_i & 1 ? 6 : 4, core), f = _i & 2 ? flattened(k) : k;
	char *error = NULL, text[8] = { 0 };

	ck_assert_msg(vcpu_dump_load(v, f.data, f.len, &error), "%s", error);
	same_registers(of, v);
	ck_assert_uint_eq(vcpu_read_physical(v, 0x1000, text, 3), 3);
	ck_assert_str_eq(text, "\x90\xf4");
	vcpu_read_physical(v, 0x2000, text, 6);
	ck_assert_str_eq(text, "stack");
	vcpu_read_physical(v, 0x10000, text, 8);
	ck_assert_str_eq(text, "sixteen");
	if (f.data != k.data)
		free(f.data);
	free(k.data);
	free(core.data);
	vcpu_free(of);
	vcpu_free(v);
}
END_TEST

/* ---- what is refused ---- */

static void refused(const void *data, size_t len, const char *why)
{
	vcpu *v = bare("max");
	char *error = NULL;
	u64 hash = vcpu_state_hash(v);

	ck_assert(!vcpu_dump_load(v, data, len, &error));
	ck_assert_msg(error && strstr(error, why) && !strchr(error, '\n'), "%s, not %s", error, why);
	ck_assert_uint_eq(vcpu_state_hash(v), hash);
	free(error);
	vcpu_free(v);
}

/* A page of literals, runs, and copies from near and far. */
static u8 packed_byte(unsigned i)
{
	if (i % 1000 < 40 || i % 128 < 3 || i % 700 < 20)
		return (u8)(i * i * 7);
	return i > 600 && i < 900 && i % 16 < 9 ? (u8)(i >> 4) : 0;
}

static const struct { u32 how; const u8 *data; size_t len; } packed[] = {
	{ DUMP_LZO, by_lzo, sizeof by_lzo }, { DUMP_SNAPPY, by_snappy, sizeof by_snappy },
	{ DUMP_ZSTD, by_zstd, sizeof by_zstd },
};

static bool built_in(u32 how)
{
#if HAVE_LIBZSTD
	return how;
#else
	return how != DUMP_ZSTD;
#endif
}

/* The last page of a dump, by each method. */
START_TEST(unpacked)
{
	vcpu *of = guest(), *v = bare("max");
	struct file core = saved(of), k = kdump(6, core);
	u8 *desc = k.data + DESCS + 24 * 2, page[PAGE_SIZE];
	char *error = NULL;

	put64(desc, k.len), put32(desc + 8, (u32)packed[_i].len), put32(desc + 12, packed[_i].how | 0x18);
	put(&k, packed[_i].data, packed[_i].len);
	if (!built_in(packed[_i].how)) {
		refused(k.data, k.len, "without libzstd");
	} else {
		ck_assert_msg(vcpu_dump_load(v, k.data, k.len, &error), "%s", error);
		ck_assert_uint_eq(vcpu_read_physical(v, 0x10000, page, sizeof page), sizeof page);
		for (unsigned i = 0; i < sizeof page; i++)
			ck_assert_uint_eq(page[i], packed_byte(i));
	}
	free(k.data);
	free(core.data);
	vcpu_free(of);
	vcpu_free(v);
}
END_TEST

/* Cut off anywhere, or with any byte changed: nothing beyond the data or the page is touched. */
START_TEST(damaged_pages)
{
	for (size_t len = 0; len < packed[_i].len; len++) {
		u8 *cut = malloc(len + 1), *page = malloc(PAGE_SIZE);

		memcpy(cut, packed[_i].data, len);
		cut = realloc(cut, len ? len : 1);
		ck_assert_ptr_nonnull(dump_unpack(packed[_i].how, cut, len, page));
		free(cut);
		cut = malloc(packed[_i].len);
		memcpy(cut, packed[_i].data, packed[_i].len);
		for (unsigned value = 0; value < 256; value += 5) {
			cut[len] = (u8)value;
			dump_unpack(packed[_i].how, cut, packed[_i].len, page);
		}
		free(cut);
		free(page);
	}
	ck_assert_str_eq(dump_unpack(0x40, packed[_i].data, packed[_i].len, NULL),
			 "its pages are compressed by a method that is not known");
}
END_TEST

static void changed(struct file f, size_t at, u64 value, unsigned size, const char *why)
{
	u8 *copy = malloc(f.len);

	memcpy(copy, f.data, f.len);
	memcpy(copy + at, &value, size);
	refused(copy, f.len, why);
	free(copy);
}

START_TEST(compressed_refusals)
{
	vcpu *v = guest();
	struct file core = saved(v), k = kdump(6, core), f = flattened(k);

	refused(k.data, PAGE_SIZE, "cut off");
	refused(k.data, k.len - 1, "cut off");
	changed(k, 8, 7, 4, "version");
	changed(k, 428, 8192, 4, "size of its pages");
	changed(k, 432, 0xffffffff, 4, "the map");
	changed(k, 436, 0xfffffffe, 4, "the map");
	changed(k, SUB + 96, 1 << 20, 8, "the map");
	changed(k, SUB + 96, ~(u64)0, 8, "the map");
	changed(k, SUB + 12, 1, 4, "split");
	changed(k, SUB + 48, ~(u64)0, 8, "notes");
	changed(k, SUB + 40, ~(u64)0, 8, "VMCOREINFO");
	changed(k, MAPS + PAGE_SIZE, 0, 8, "no memory");
	changed(k, DESCS + 12, 2, 4, "damaged");
	changed(k, DESCS + 12, 0x40, 4, "not known");
	changed(k, DESCS + 8, 5, 4, "damaged");
	changed(k, DESCS + 24, 0, 8, "damaged");
	changed(k, DESCS + 24, ~(u64)0, 8, "cut off");
	refused(f.data, f.len - 16, "cut off");
	changed(f, PAGE_SIZE, 0xff, 1, "piece");
	changed(f, PAGE_SIZE + 8, 0xff, 1, "piece");
	free(f.data);
	free(k.data);
	free(core.data);
	vcpu_free(v);
}
END_TEST

START_TEST(refusals)
{
	struct file f = windows(1), b = windows(5), e;
	vcpu *v = guest();
	char *error = NULL;

	e = saved(v);
	ck_assert(!vcpu_dump_load(v, f.data, f.len, &error));
	ck_assert_ptr_nonnull(strstr(error, "without memory"));
	free(error);
	ck_assert(!vcpu_dump_load(NULL, f.data, f.len, NULL));
	refused(NULL, 0, "neither");
	refused("PAGEDU64", 8, "neither");
	refused("KDUMP   ", 8, "cut off");
	refused(f.data, f.len - 1, "cut off");
	refused(b.data, b.len - 1, "cut off");
	changed(f, 0x30, 0x14c, 4, "another processor");
	changed(f, 0xf98, 4, 4, "another type");
	changed(f, 0x88, 0x45474150, 4, "no runs");
	changed(f, 0x98, ~(u64)0, 8, "beyond");
	changed(f, 0xa0, ~(u64)0 >> 12, 8, "beyond");
	changed(b, WIN, 0, 4, "no map");
	changed(b, WIN + 0x20, ~(u64)0, 8, "cut off");
	changed(b, WIN + 0x30, 1 << 24, 8, "not in the file");
	changed(e, 4, 1, 1, "no core");
	changed(e, 16, 2, 2, "no core");
	changed(e, 32, ~(u64)0, 8, "program headers");
	changed(e, 56, 0xffff, 2, "program headers");
	changed(e, 64 + 56 + 8, ~(u64)0, 8, "not in the file");
	changed(e, 64 + 56 + 24, ~(u64)0 << 12, 8, "beyond");
	changed(e, 64 + 56 + 40, ~(u64)0, 8, "beyond");
	changed(e, get64(e.data + 64 + 8) + 4, 0xfffffff0, 4, "a note is cut off");
	free(f.data);
	free(b.data);
	free(e.data);
	vcpu_free(v);
}
END_TEST

/* ---- registers ---- */

START_TEST(json_round_trip)
{
	vcpu *v = guest(), *w = bare("max");
	char *text, *again, *error = NULL;
	u8 a[10], b[10];

	text = vcpu_registers_json(v);
	ck_assert_msg(vcpu_registers_load(w, text, strlen(text), &error), "%s", error);
	same_registers(v, w);
	again = vcpu_registers_json(w);
	ck_assert_str_eq(text, again);
	ck_assert(!vcpu_get_st(v, 1, a) && !vcpu_get_st(w, 1, b));
	ck_assert_int_eq(memcmp(a, b, 10), 0);
	free(text);
	free(again);
	vcpu_free(v);
	vcpu_free(w);
}
END_TEST

/* As bdump writes it for a thread of Windows in user mode, less what repeats. */
static const char bdump[] =
	"{\n  \"rax\": \"0x4d\",\n  \"rip\": \"0x7ff600001000\",\n  \"rsp\": \"0x2b1c5ff8f8\", \"rflags\": \"0x246\",\n"
	"  \"tsc\": \"0x5ad1c0ffee\", \"apic_base\": \"0xfee00900\", \"efer\": \"0xd01\", \"star\": \"0x23001000000000\",\n"
	"  \"lstar\": \"0xfffff80000001000\", \"cr0\": \"0x80050033\", \"cr3\": \"0x1aa002\", \"cr4\": \"0x370678\",\n"
	"  \"cr8\": \"0x0\", \"xcr0\": \"0x7\", \"dr7\": \"0x400\", \"fpcw\": \"0x27f\", \"fptw\": \"0x80\",\n"
	"  \"cs\": {\"present\": true, \"selector\": \"0x33\", \"base\": \"0x0\", \"limit\": \"0x0\", \"attr\": \"0x22fb\"},\n"
	"  \"ss\": {\"present\": true, \"selector\": \"0x2b\", \"base\": \"0x0\", \"limit\": \"0xffffffff\",\n"
	"          \"attr\": \"0xcff3\"},\n"
	"  \"gs\": {\"present\": true, \"selector\": \"0x2b\", \"base\": \"0x2b1c3f0000\", \"limit\": \"0xffffffff\",\n"
	"          \"attr\": \"0xcff3\"}, \"gdtr\": {\"base\": \"0xfffff80000fb0\", \"limit\": \"0x57\"},\n"
	"  \"fpst\": [\"0xInfinity\", \"0x-Infinity\", null, 0, 1, 2, 3, 4], \"unknown\": [[{}], true, -1.5e3, \"x\"]}\n";

START_TEST(json_of_bdump)
{
	vcpu *v = bare("max");
	struct vcpu_segment s;
	char *error = NULL;
	u64 lstar = 0;
	char *text = strdup(bdump), *at = strstr(text, "0xfffff80000fb0");

	memcpy(at, "0x7ffff80000fb0", 15); /* no canonical address */
	ck_assert(!vcpu_registers_load(v, text, strlen(text), &error));
	ck_assert_ptr_nonnull(strstr(error, "gdtr_base cannot hold"));
	free(error);
	memcpy(at, "0x0000000000fb0", 15);
	ck_assert_msg(vcpu_registers_load(v, text, strlen(text), &error), "%s", error);
	ck_assert_uint_eq(vcpu_get(v, VCPU_RIP), 0x7ff600001000);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CR4), 0x370678);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CPL), 3);
	ck_assert_uint_eq(vcpu_get(v, VCPU_GS_BASE), 0x2b1c3f0000);
	ck_assert_uint_eq(vcpu_get(v, VCPU_CODE_BITS), 64);
	ck_assert_uint_eq(vcpu_get(v, VCPU_FTW), 0x7fff); /* of FXSAVE: physical register 7 is in use, and 0 */
	ck_assert(!vcpu_get_segment(v, VCPU_CS, &s));
	ck_assert_uint_eq(s.attributes, 0x20fb);
	ck_assert(!vcpu_get_msr(v, 0xc0000082, &lstar));
	ck_assert_uint_eq(lstar, 0xfffff80000001000);
	free(text);
	vcpu_free(v);
}
END_TEST

START_TEST(json_refused)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "", "begin with" }, { "[]", "begin with" }, { "{", "missing" }, { "{\"rax\"", "no value" },
		{ "{\"rax\":", "missing" }, { "{\"rax\":1", "cut off" }, { "{\"rax\":1 \"rbx\":2}", "comma" },
		{ "{\"rax\":1}x", "behind" }, { "{\"r\\u0041\":1}", "escape" }, { "{\"a\":[[[[[[[[[]]]]]]]]]}", "deeply" },
		{ "{\"efer\":\"0x1\"}", "not in 64-bit mode" }, { "{\"cr8\":\"0x77\"}", "cr8 cannot hold" },
		{ "{\"xcr0\":\"0x2\"}", "xcr0 cannot hold" },
		{ "{\"es\":{\"attr\":\"0x93\",\"limit\":\"0x1000000\"}}", "no segment" },
		{ "{\"ds\":{\"attr\":\"0xc093\",\"limit\":\"0xfffff\"}}", NULL },
	};
	vcpu *v = bare("max");

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		char *error = NULL;
		bool ok = vcpu_registers_load(v, bad[i].text, strlen(bad[i].text), &error);

		ck_assert_msg(ok == !bad[i].why, "%s", bad[i].text);
		ck_assert_msg(ok || (strstr(error, bad[i].why) && !strchr(error, '\n')), "%s: %s", bad[i].text, error);
		free(error);
	}
	for (size_t n = 0; n < sizeof bdump - 2; n++)
		ck_assert(!vcpu_registers_load(v, bdump, n, NULL));
	vcpu_free(v);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dumps");
	TCase *t = tcase_create("dumps");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, round_trip);
	tcase_add_test(t, notes);
	tcase_add_loop_test(t, crash_dumps, 0, 2);
	tcase_add_loop_test(t, compressed, 0, 4);
	tcase_add_loop_test(t, unpacked, 0, 3);
	tcase_add_loop_test(t, damaged_pages, 0, 3);
	tcase_add_test(t, compressed_refusals);
	tcase_add_test(t, refusals);
	tcase_add_test(t, json_round_trip);
	tcase_add_test(t, json_of_bdump);
	tcase_add_test(t, json_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
