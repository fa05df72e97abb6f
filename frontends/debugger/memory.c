/* SPDX-License-Identifier: MIT */
/* Memory: x, as gdb has it, and find. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "debugger.h"

static size_t read_at(struct session *s, bool physical, uint64_t at, void *bytes, size_t size)
{
	return physical ? vcpu_read_physical(s->machine, at, bytes, size)
			: vcpu_read_linear(s->machine, at, bytes, size);
}

/* ---- x ---- */

static void print_label(struct session *s, uint64_t at, bool physical)
{
	char text[160];

	fprintf(s->out, "0x%0*" PRIx64 "%s:", address_digits(s), at,
		physical ? "" : symbol_text(s, at, text, sizeof text));
}

static bool print_element(struct session *s, uint64_t at, const struct examined *e)
{
	static const char *const types[] = { "u8", "u16", NULL, "u32", NULL, NULL, NULL, "u64" };
	struct value v = { 0 };
	uint64_t n = 0;

	if (read_at(s, e->physical, at, &n, e->size) != e->size) {
		fputc('\n', s->out);
		return complaint(s, "no memory at address 0x%" PRIx64, at);
	}
	v = (struct value){ .type = type_basic(s, e->format == 'f' ? e->size == 4 ? "float" : "double"
								   : types[e->size - 1]),
			    .bits = n };
	fputc('\t', s->out);
	if (e->format == 'x' || e->format == 'z')
		fprintf(s->out, "0x%0*" PRIx64, (int)(2 * e->size), n);
	else if (e->format == 't')
		for (unsigned bit = 8 * e->size; bit-- > 0;)
			fputc('0' + (int)(n >> bit & 1), s->out);
	else
		value_print_as(s, &v, e->format == 'f' ? 0 : e->format);
	json_open(s, NULL, '{');
	json_hex(s, "address", at);
	json_hex(s, "value", n);
	json_close(s);
	return true;
}

static bool print_elements(struct session *s, struct examined *e)
{
	uint64_t line = e->format == 'c' || e->size < 4 ? 8 : 16 / e->size;
	bool ok = true;

	for (uint64_t i = 0; ok && i < e->count && !enough(s); i++, e->next += e->size) {
		if (i % line == 0) {
			fputs(i ? "\n" : "", s->out);
			print_label(s, e->next, e->physical);
		}
		ok = print_element(s, e->next, e);
	}
	if (ok)
		fputc('\n', s->out);
	return ok;
}

static bool print_strings(struct session *s, struct examined *e)
{
	for (uint64_t i = 0; i < e->count && !enough(s); i++) {
		unsigned char text[4096];
		size_t n = 0;

		while (n < sizeof text && read_at(s, e->physical, e->next + n, text + n, 1) == 1 && text[n])
			n++;
		if (!n && read_at(s, e->physical, e->next, text, 1) != 1)
			return complaint(s, "no memory at address 0x%" PRIx64, e->next);
		print_label(s, e->next, e->physical);
		fputc('\t', s->out);
		text_print(s, text, n);
		json_open(s, NULL, '{');
		json_hex(s, "address", e->next);
		json_text(s, "value", text, n);
		json_close(s);
		fputc('\n', s->out);
		e->next += n + 1;
	}
	return true;
}

/* Parse /NFU at the beginning of *ARGS, which is then the text after it. */
static bool read_format(struct session *s, const char **args, struct examined *e)
{
	const char *at = *args;
	bool sized = false;
	char *end;

	if (*at != '/')
		return true;
	at++;
	if (isdigit((unsigned char)*at)) {
		e->count = strtoull(at, &end, 10);
		at = end;
	}
	for (; isalpha((unsigned char)*at); at++) {
		if (strchr("bhwg", *at)) {
			e->size = *at == 'b' ? 1 : *at == 'h' ? 2 : *at == 'w' ? 4 : 8;
			sized = true;
		} else if (strchr("xzducotfsia", *at)) {
			e->format = *at;
		} else {
			return complaint(s, "x/NFU: F is x z d u o t c f s i a, U is b h w g");
		}
	}
	if (e->format == 'a')
		e->size = (unsigned)address_digits(s) / 2;
	if (e->format == 'c' && !sized)
		e->size = 1;
	if (e->format == 'f' && e->size < 4)
		e->size = 8;
	*args = at + strspn(at, " ");
	return true;
}

bool examine(struct session *s, const char *args, bool physical)
{
	struct examined e = s->examined;
	bool ok = true;

	if (!e.format)
		e = (struct examined){ .format = 'x', .size = 4 };
	if (*args || !e.count)
		e.count = 1;
	e.physical = physical;
	if (!read_format(s, &args, &e) || (*args && !address(s, &args, &e.next)))
		return false;
	if (*args)
		return complaint(s, "text after the address: %s", args);
	s->examined = e;
	s->interrupted = false;
	if (e.format == 'i') {
		s->examined.next = disassemble(s, e.next, (unsigned)e.count);
		return true;
	}
	json_open(s, "memory", '[');
	ok = e.format == 's' ? print_strings(s, &s->examined) : print_elements(s, &s->examined);
	json_close(s);
	return ok;
}

bool do_x(struct session *s, const char *args) { return examine(s, args, false); }
bool do_xp(struct session *s, const char *args) { return examine(s, args, true); }

/* ---- find ---- */

enum { PATTERN_MAX = 4096, CHUNK = 65536 };
struct pattern { unsigned char bytes[PATTERN_MAX]; size_t len; };

static bool add_bytes(struct session *s, struct pattern *p, const void *bytes, size_t len)
{
	if (len > sizeof p->bytes - p->len)
		return complaint(s, "find: a pattern has at most %d bytes", PATTERN_MAX);
	memcpy(p->bytes + p->len, bytes, len);
	p->len += len;
	return true;
}

/* Parse a pattern: "TEXT", or an expression with SIZE bytes. If SIZE is 0, its type has the size; a plain number has 4
 * bytes, or 8 if it needs them. */
static bool add_value(struct session *s, const char **args, unsigned size, struct pattern *p)
{
	const char *end = **args == '"' ? strchr(*args + 1, '"') : NULL;
	struct value v;
	uint64_t n;

	if (end) {
		bool ok = add_bytes(s, p, *args + 1, (size_t)(end - *args - 1));

		*args = end + 1 + strspn(end + 1, " ");
		return ok;
	}
	if (!evaluate(s, args, &v))
		return false;
	if (v.type->kind == TYPE_STRUCT || v.type->kind == TYPE_ARRAY) {
		size_t len = v.type->size;

		if (len > sizeof p->bytes - p->len || value_read(s, &v, v.address, p->bytes + p->len, len) != len)
			return complaint(s, "find: a value is too large, or its memory is not mapped");
		p->len += len;
		return true;
	}
	if (!value_number(s, &v, &n))
		return false;
	if (!size)
		size = v.in_memory || v.type->size < 8                   ? (unsigned)v.type->size
		       : n + 0x80000000 <= UINT32_MAX || n <= UINT32_MAX ? 4
									 : 8;
	return add_bytes(s, p, &n, size);
}

/* Find P in [AT, END). False: it is not there. If the search met an unmapped page, that was printed. */
static bool find_next(struct session *s, const struct pattern *p, uint64_t *at, uint64_t end)
{
	static unsigned char chunk[CHUNK];

	while (*at < end && end - *at >= p->len && !enough(s)) {
		size_t want = end - *at < sizeof chunk ? (size_t)(end - *at) : sizeof chunk,
			n = vcpu_read_linear(s->machine, *at,
			chunk, want);
		unsigned char *found = memmem(chunk, n, p->bytes, p->len);

		if (found) {
			*at += (size_t)(found - chunk);
			return true;
		}
		if (n < want) {
			fprintf(s->out, "no memory at address 0x%" PRIx64 ": the search ends there\n", *at + n);
			break;
		}
		*at += n - p->len + 1;
	}
	return false;
}

static bool comma(struct session *s, const char **args)
{
	if (**args != ',')
		return complaint(s, "find [/SIZE COUNT] FROM, TO or +LENGTH, VALUE...: a comma is missing before: %s", *args);
	*args += 1 + strspn(*args + 1, " ");
	return true;
}

static bool read_range(struct session *s, const char **args, uint64_t *from, uint64_t *end)
{
	bool length;

	if (!address(s, args, from) || !comma(s, args))
		return false;
	length = **args == '+';
	*args += length;
	if (!address(s, args, end))
		return false;
	*end = length ? *from + *end : *end + 1;
	return *end > *from || complaint(s, "find: the range is empty");
}

bool do_find(struct session *s, const char *args)
{
	uint64_t most = UINT64_MAX, at, end, count = 0;
	struct pattern p = { .len = 0 };
	unsigned size = 0;
	char text[160];

	if (*args == '/')
		for (args++; *args && *args != ' '; args++) {
			if (isdigit((unsigned char)*args))
				most = (most == UINT64_MAX ? 0 : 10 * most) + (uint64_t)(*args - '0');
			else if (strchr("bhwg", *args))
				size = *args == 'b' ? 1 : *args == 'h' ? 2 : *args == 'w' ? 4 : 8;
			else
				return complaint(s, "find/SIZE COUNT: SIZE is b h w g");
		}
	args += strspn(args, " ");
	if (!read_range(s, &args, &at, &end))
		return false;
	do
		if (!comma(s, &args) || !add_value(s, &args, size, &p))
			return false;
	while (*args);
	s->interrupted = false;
	json_open(s, "found", '[');
	for (; p.len && count < most && find_next(s, &p, &at, end); at++, count++) {
		struct value found = { .type = type_address(s, type_basic(s, "void")), .bits = at };

		fprintf(s->out, "0x%" PRIx64 "%s\n", at, symbol_text(s, at, text, sizeof text));
		json_hex(s, NULL, at);
		variable_by_name(s, "_", true)->value = found;
	}
	json_close(s);
	variable_by_name(s, "numfound", true)->value = (struct value){ .type = type_basic(s, "int"), .bits = count };
	if (count)
		fprintf(s->out, "%" PRIu64 " pattern%s found.\n", count, count == 1 ? "" : "s");
	else
		fprintf(s->out, "Pattern not found.\n");
	return true;
}
