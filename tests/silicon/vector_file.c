/* SPDX-License-Identifier: MIT */
/* Three formats, told apart by how they begin:
 *
 *     JSON   [{"name": ..., "bytes": [...], "initial": {"regs": {...}, "ram": [[address, byte], ...]}, "final": {...}, "exception": {"number": n}}, ...]
 *     lines  {"name": ..., "bytes": "hex", "regs": {...}, "ram": [...], "fregs": {...}, "fram": [...], "exc": n}     one a line, with a HLT
 *     MOO    chunks of a four-letter name, a 32-bit length and so many bytes; little-endian:
 *
 *            MOO    version 2 | 2 | count 4 | processor 4
 *            RMSK, RM32     masks, as REGS and RG32; for all, or in FINA for one
 *            TEST   index 4, then chunks:
 *                   NAME, BYTS   length 4, bytes        EXCP   vector 1
 *                   INIT, FINA   chunks: RAM count 4, (address 4, byte 1)...
 *                                REGS bits 2, a word for each    RG32 bits 4, a doubleword for each
 *
 * The final state has what differs from the initial one. What is not listed here is skipped. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "tests/silicon/vector_file.h"

const char *const vector_reg_names[NREGS] = { "ax", "bx", "cx", "dx", "cs", "ss", "ds", "es", "sp", "bp", "si", "di",
	"ip", "flags", "fs", "gs" };

static void masks_reset(u32 *mask)
{
	for (unsigned i = 0; i < NREGS; i++)
		mask[i] = 0xffffffff;
}

/* ---- JSON: enough for these files ---- */

struct json { const char *at; bool bad; };

static void space(struct json *j)
{
	while (*j->at == ' ' || *j->at == '\n' || *j->at == '\r' || *j->at == '\t')
		j->at++;
}

static bool next_is(struct json *j, char c)
{
	space(j);
	if (*j->at != c)
		return false;
	j->at++;
	return true;
}

static void expect(struct json *j, char c)
{
	if (!next_is(j, c))
		j->bad = true;
}

static u32 number(struct json *j)
{
	char *end;
	long long v;

	space(j);
	v = strtoll(j->at, &end, 10);
	if (end == j->at)
		j->bad = true;
	j->at = end;
	return (u32)v;
}

static void string(struct json *j, char *out, size_t room)
{
	size_t n = 0;

	expect(j, '"');
	while (!j->bad && *j->at && *j->at != '"') {
		if (*j->at == '\\' && j->at[1])
			j->at++;
		if (n + 1 < room)
			out[n++] = *j->at;
		j->at++;
	}
	if (room)
		out[n] = 0;
	expect(j, '"');
}

/* Another member of the object, whose key goes to KEY? */
static bool member(struct json *j, char *key, size_t room)
{
	if (j->bad || next_is(j, '}'))
		return false;
	next_is(j, ',');
	string(j, key, room);
	expect(j, ':');
	return !j->bad;
}

static bool element(struct json *j)
{
	if (j->bad || next_is(j, ']'))
		return false;
	next_is(j, ',');
	return true;
}

static void skip(struct json *j)
{
	unsigned depth = 0;

	do {
		space(j);
		if (*j->at == '"') {
			string(j, NULL, 0);
			continue;
		}
		if (*j->at == '[' || *j->at == '{')
			depth++;
		else if (*j->at == ']' || *j->at == '}')
			depth--;
		else if (!*j->at)
			j->bad = true;
		else if (*j->at != ',' && *j->at != ':') {
			j->at += strcspn(j->at, ",]}: \n");
			continue;
		}
		j->at++;
	} while (depth && !j->bad);
}

static void registers(struct json *j, u32 *out)
{
	char key[16];

	expect(j, '{');
	while (member(j, key, sizeof key)) {
		const char *name = key[0] == 'e' && key[2] ? key + 1 : key; /* eax, eflags, but es */
		unsigned r = 0;

		while (r < NREGS && strcmp(vector_reg_names[r], name))
			r++;
		if (r < NREGS)
			out[r] = number(j);
		else
			skip(j);
	}
}

static unsigned memory(struct json *j, struct byte *out)
{
	unsigned n = 0;

	expect(j, '[');
	while (element(j)) {
		if (n == MAX_BYTES) {
			j->bad = true;
			break;
		}
		expect(j, '[');
		out[n].addr = number(j);
		expect(j, ',');
		out[n++].value = (u8)number(j);
		expect(j, ']');
	}
	return n;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' +
	10 : -1; }

static void code(struct json *j, struct test *v)
{
	char text[2 * sizeof v->code + 1];

	v->len = 0;
	space(j);
	if (*j->at == '"') {
		string(j, text, sizeof text);
		for (const char *p = text; hex(p[0]) >= 0 && hex(p[1]) >= 0; p += 2)
			v->code[v->len++] = (u8)(hex(p[0]) << 4 | hex(p[1]));
		return;
	}
	expect(j, '[');
	while (element(j)) {
		u8 byte = (u8)number(j);

		if (v->len < sizeof v->code)
			v->code[v->len++] = byte;
	}
}

static void state(struct json *j, u32 *regs, struct byte *ram, unsigned *n)
{
	char key[16];

	expect(j, '{');
	while (member(j, key, sizeof key)) {
		if (!strcmp(key, "regs"))
			registers(j, regs);
		else if (!strcmp(key, "ram"))
			*n = memory(j, ram);
		else
			skip(j);
	}
}

static void exception(struct json *j, struct test *v)
{
	char key[16];

	space(j);
	if (*j->at != '{') {
		skip(j);
		return;
	}
	expect(j, '{');
	while (member(j, key, sizeof key)) {
		if (!strcmp(key, "number"))
			v->exc = (int)number(j);
		else
			skip(j);
	}
}

static enum next json_next(struct vector_file *f, struct test *v)
{
	struct json j = { (const char *)f->bytes + f->at, false };
	char key[16];

	while (next_is(&j, '[') || next_is(&j, ',') || next_is(&j, ']'))
		;
	if (!*j.at)
		return VECTORS_END;
	expect(&j, '{');
	while (member(&j, key, sizeof key)) {
		if (!strcmp(key, "name"))
			string(&j, v->name, sizeof v->name);
		else if (!strcmp(key, "bytes"))
			code(&j, v);
		else if (!strcmp(key, "regs"))
			registers(&j, v->before), memcpy(v->after, v->before, sizeof v->after), v->halts = true;
		else if (!strcmp(key, "ram"))
			v->nram = memory(&j, v->ram);
		else if (!strcmp(key, "fregs"))
			registers(&j, v->after);
		else if (!strcmp(key, "fram"))
			v->nfram = memory(&j, v->fram);
		else if (!strcmp(key, "initial"))
			state(&j, v->before, v->ram, &v->nram), memcpy(v->after, v->before, sizeof v->after);
		else if (!strcmp(key, "final"))
			state(&j, v->after, v->fram, &v->nfram);
		else if (!strcmp(key, "exc"))
			v->exc = (int)number(&j);
		else if (!strcmp(key, "exception"))
			exception(&j, v);
		else
			skip(&j);
	}
	f->at = (size_t)(j.at - (const char *)f->bytes);
	return j.bad ? VECTORS_BAD : VECTOR;
}

/* ---- MOO ---- */

struct chunk { const u8 *at, *end; };

/* The next chunk of *IN goes to *OUT, its name to NAME. False: there is none, or it is longer than what it is in
 * (*bad). */
static bool chunk_next(struct chunk *in, struct chunk *out, char name[5], bool *bad)
{
	u32 len;

	if (in->at == in->end)
		return false;
	if (in->end - in->at < 8 || (len = get32(in->at + 4)) > (size_t)(in->end - in->at - 8)) {
		*bad = true;
		return false;
	}
	memcpy(name, in->at, 4);
	name[4] = 0;
	*out = (struct chunk){ in->at + 8, in->at + 8 + len };
	in->at = out->end;
	return true;
}

static u32 take(struct chunk *c, unsigned size, bool *bad)
{
	u32 v;

	if ((size_t)(c->end - c->at) < size) {
		*bad = true;
		return 0;
	}
	v = (u32)get_size(c->at, size);
	c->at += size;
	return v;
}

/* REGS and RMSK (WIDE: RG32 and RM32): registers by the bits of the first number. */
static void moo_registers(struct chunk c, bool wide, u32 *out, bool *bad)
{
	enum { NONE = NREGS };
	static const u8 words[16] = { AX, BX, CX, DX, R_CS, R_SS, R_DS, R_ES, SP, BP, SI, DI, IP, FLAGS, NONE, NONE };
	static const u8 doublewords[32] = { NONE, NONE, AX, BX, CX, DX, SI, DI, BP, SP, R_CS, R_DS, R_ES, R_FS, R_GS,
		R_SS, IP, FLAGS, NONE, NONE,
		NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE };
	const unsigned size = wide ? 4 : 2;
	u32 present = take(&c, size, bad);

	for (unsigned i = 0; i < 8 * size && !*bad; i++) {
		u8 r = wide ? doublewords[i] : words[i];
		u32 v;

		if (!(present >> i & 1))
			continue;
		v = take(&c, size, bad);
		if (r != NONE)
			out[r] = v;
	}
}

static unsigned moo_memory(struct chunk c, struct byte *out, bool *bad)
{
	u32 n = take(&c, 4, bad);

	if (n > MAX_BYTES) {
		*bad = true;
		return 0;
	}
	for (u32 i = 0; i < n; i++) {
		out[i].addr = take(&c, 4, bad);
		out[i].value = (u8)take(&c, 1, bad);
	}
	return n;
}

static void moo_state(struct chunk c, struct test *v, u32 *regs, struct byte *ram, unsigned *n, bool *bad)
{
	struct chunk in;
	char name[5];

	while (chunk_next(&c, &in, name, bad)) {
		if (!strcmp(name, "REGS") || !strcmp(name, "RG32"))
			moo_registers(in, name[3] == '2', regs, bad);
		else if (!strcmp(name, "RMSK") || !strcmp(name, "RM32"))
			moo_registers(in, name[3] == '2', v->mask, bad);
		else if (!strcmp(name, "RAM "))
			*n = moo_memory(in, ram, bad);
	}
}

/* NAME and BYTS: a length, and so much. */
static unsigned moo_bytes(struct chunk c, void *out, unsigned room, bool *bad)
{
	u32 len = take(&c, 4, bad);

	if (len > (size_t)(c.end - c.at))
		*bad = true;
	if (*bad)
		return 0;
	if (len > room)
		len = room;
	memcpy(out, c.at, len);
	return len;
}

static bool moo_test(struct chunk c, struct test *v)
{
	struct chunk in;
	bool bad = false;
	char name[5];

	take(&c, 4, &bad);
	while (chunk_next(&c, &in, name, &bad)) {
		if (!strcmp(name, "NAME")) {
			v->name[moo_bytes(in, v->name, sizeof v->name - 1, &bad)] = 0;
		} else if (!strcmp(name, "BYTS")) {
			v->len = moo_bytes(in, v->code, sizeof v->code, &bad);
		} else if (!strcmp(name, "INIT")) {
			moo_state(in, v, v->before, v->ram, &v->nram, &bad);
			memcpy(v->after, v->before, sizeof v->after);
		} else if (!strcmp(name, "FINA")) {
			moo_state(in, v, v->after, v->fram, &v->nfram, &bad);
		} else if (!strcmp(name, "EXCP")) {
			v->exc = (int)take(&in, 1, &bad);
		}
	}
	return !bad;
}

static enum next moo_next(struct vector_file *f, struct test *v)
{
	struct chunk all = { f->bytes + f->at, f->bytes + f->len }, in;
	bool bad = false;
	char name[5];

	while (chunk_next(&all, &in, name, &bad)) {
		f->at = (size_t)(all.at - f->bytes);
		if (!strcmp(name, "RMSK") || !strcmp(name, "RM32"))
			moo_registers(in, name[3] == '2', f->mask, &bad);
		if (!strcmp(name, "TEST")) {
			memcpy(v->mask, f->mask, sizeof v->mask);
			return moo_test(in, v) ? VECTOR : VECTORS_BAD;
		}
	}
	return bad ? VECTORS_BAD : VECTORS_END;
}

/* ---- all ---- */

bool vector_file_open(struct vector_file *f, const char *path, const char **why)
{
	gzFile in = gzopen(path, "rb");
	size_t room = 1 << 20;
	int n = 0;

	*f = (struct vector_file){ .bytes = malloc(room) };
	masks_reset(f->mask);
	*why = "cannot be read";
	while (in && f->bytes && (n = gzread(in, f->bytes + f->len, (unsigned)(room - 1 - f->len))) > 0) {
		f->len += (size_t)n;
		if (f->len == room - 1) {
			u8 *more = realloc(f->bytes, room *= 2);

			if (!more)
				break;
			f->bytes = more;
		}
	}
	if (in)
		gzclose(in);
	if (!in || !f->bytes || n) {
		vector_file_close(f);
		return false;
	}
	f->bytes[f->len] = 0;
	if (f->len >= 20 && !memcmp(f->bytes, "MOO ", 4)) {
		memcpy(f->cpu, f->bytes + 16, 4);
		f->cpu[strcspn(f->cpu, " ")] = 0;
	}
	return true;
}

void vector_file_close(struct vector_file *f)
{
	free(f->bytes);
	f->bytes = NULL;
}

enum next vector_file_next(struct vector_file *f, struct test *v)
{
	memset(v, 0, offsetof(struct test, ram));
	masks_reset(v->mask);
	v->nram = v->nfram = 0;
	v->exc = -1;
	v->halts = false;
	return f->cpu[0] ? moo_next(f, v) : json_next(f, v);
}
