/* SPDX-License-Identifier: MIT */
/* Linux's table of its own symbols, found in the guest's memory: it is right for the kernel that runs, at its address.
 *
 *   kallsyms_offsets        s32 each: below 0, the address is relative_base - 1 - offset; else it is the address (a per-CPU variable)
 *   kallsyms_relative_base  an address [these two to 6.3 here, since 6.4 at the end]
 *   kallsyms_num_syms       u32
 *   kallsyms_names          for each symbol, sorted by address: length, then so many tokens; the first character is the type, as in nm.
 *                           A length with bit 7 set goes on in a second byte (since 6.1).
 *   kallsyms_markers        u32: where in names every 256th symbol is
 *   kallsyms_seqs_of_names  [since 6.2; not needed here]
 *   kallsyms_token_table    256 strings
 *   kallsyms_token_index    u16: where in the table each is
 *
 * All are aligned to a pointer. The token table is found by its known part: the tokens of the digits are the digits.
 * The names are found by a number, after which there are as many names, with markers that fit them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "mem/base/compat/text.h"
#include "debugger.h"

enum { KERNEL_MAX = 128 << 20, BLOCK = 4096, COUNT_MIN = 500, COUNT_MAX = 1 << 20, NAME_MAX_LINUX = 512,
	LOOKED_AT_MAX = 1 << 28 };

/* ---- where the kernel is ---- */

struct asked { const char *part, *field; unsigned index; uint64_t value; bool found; };

static void look(void *user, const char *part, const char *field, unsigned index, uint64_t value)
{
	struct asked *a = user;

	if (index == a->index && !strcmp(field, a->field) && !strcmp(part, a->part)) {
		a->value = value;
		a->found = true;
	}
}

bool field_value(struct session *s, const char *part, const char *field, unsigned index, uint64_t *value)
{
	struct asked a = { part, field, index, 0, false };

	vcpu_debug_fields(s->debug, look, &a);
	*value = a.value;
	return a.found;
}

uint64_t processor_field(struct session *s, const char *field)
{
	char part[16];
	uint64_t value;

	snprintf(part, sizeof part, "cpu%u", vcpu_running(s->machine));
	field_value(s, part, field, 0, &value);
	return value;
}

uint64_t kernel_entry(struct session *s, const char *const **names)
{
	static const char *const calls[] = { "entry_SYSCALL_64", "system_call", NULL },
		*const faults[] = { "asm_exc_page_fault", "page_fault",
		NULL };
	bool wide = vcpu_get(s->machine, VCPU_EFER) & 0x400;
	unsigned size = wide ? 16 : 8;
	uint64_t lstar = wide ? processor_field(s, "lstar") : 0, gate[2] = { 0 };

	if (names)
		*names = lstar ? calls : faults;
	if (lstar)
		return lstar;
	if (!(vcpu_get(s->machine, VCPU_CR0) >> 31) ||
		vcpu_read_linear(s->machine, vcpu_get(s->machine, VCPU_IDTR_BASE) + 14 * size, gate,
		size) != size)
		return 0;
	return (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
}

/* The kernel's image, with zeros where nothing is mapped; *BASE is its address. NULL: there is none. */
static unsigned char *read_image(struct session *s, uint64_t *base, size_t *size)
{
	const uint64_t large = 2 << 20;
	uint64_t at = kernel_entry(s, NULL) & ~(large - 1), end, holes = 0;
	unsigned char byte, *image = malloc(KERNEL_MAX);

	if (!image || !at || !vcpu_read_linear(s->machine, at, &byte, 1)) {
		free(image);
		return NULL;
	}
	for (*base = at; at - *base < KERNEL_MAX && vcpu_read_linear(s->machine, *base - large, &byte, 1);
	     *base -= large)
		;
	for (end = *base; end - *base < KERNEL_MAX && holes < 8 * large; end += BLOCK) {
		size_t n = vcpu_read_linear(s->machine, end, image + (end - *base), BLOCK);

		memset(image + (end - *base) + n, 0, BLOCK - n);
		holes = n ? 0 : holes + BLOCK;
	}
	*size = end - *base;
	return image;
}

/* ---- the tables ---- */

struct tables {
	const unsigned char *image;
	size_t size, names, tokens, index, offsets;
	uint64_t relative;
	unsigned count;
	uint64_t looked_at;          /* limit for names, as a guest can make a table without end */
};

static uint32_t u32(const struct tables *t, size_t at)
{
	uint32_t v = 0;

	if (at < t->size && t->size - at >= sizeof v)
		memcpy(&v, t->image + at, 4);
	return v;
}

static unsigned u16(const struct tables *t, size_t at) { return u32(t, at) & 0xffff; }

/* The address after the string at AT and its zero; at most the image's end. */
static size_t behind_string(const struct tables *t, size_t at)
{
	at += at < t->size ? strnlen((const char *)t->image + at, t->size - at) + 1 : 0;
	return at < t->size ? at : t->size;
}

static bool find_tokens(struct session *s, struct tables *t)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	const unsigned char *from = t->image, *last = t->image + t->size, *p;

	while (!enough(s) && (p = memmem(from, (size_t)(last - from), digits, sizeof digits)) != NULL) {
		size_t at = (size_t)(p - t->image), end;
		unsigned back = '0', n;

		from = p + 1;
		/* The beginning of the table, going back over the strings before "0". */
		while (back && at > 1 && (size_t)(p - t->image) - at < 4096) {
			at--;
			while (at && t->image[at - 1])
				at--;
			back--;
		}
		t->tokens = at;
		for (n = 0, end = at; n < 256; n++)
			end = behind_string(t, end);
		for (t->index = (end + 3) & ~(size_t)3; t->index < end + 12; t->index += 4) {
			for (n = 0, at = t->tokens; n < 256 && u16(t, t->index + 2 * n) == at - t->tokens; n++)
				at = behind_string(t, at);
			if (n == 256 && at < t->size) /* the zero of the last string is in the image */
				return true;
		}
	}
	return false;
}

/* The length of the symbol at AT in the names; *TOKENS is the address of its tokens. */
static unsigned name_length(const struct tables *t, size_t at, size_t *tokens)
{
	unsigned n = t->image[at++];

	if (n & 0x80)
		n = (n & 0x7f) | (unsigned)t->image[at++] << 7;
	*tokens = at;
	return n;
}

/* Are there COUNT names at AT, and then markers that fit them? */
static bool names_fit(struct tables *t, size_t names, unsigned count, unsigned pointer)
{
	uint32_t *marks = malloc((count / 256 + 1) * sizeof *marks);
	size_t at = names;
	unsigned i, tokens;

	for (i = 0; marks && i < count; i++) {
		size_t from = at;

		if (i % 256 == 0)
			marks[i / 256] = (uint32_t)(at - names);
		if (at + 2 >= t->size || !t->image[at])
			break;
		tokens = name_length(t, at, &at);
		at += tokens;
		if (at - from > 600 || at >= t->size)
			break;
	}
	t->looked_at += i;
	at = (at + pointer - 1) & ~(size_t)(pointer - 1);
	if (marks && i == count)
		for (i = 0; i <= (count - 1) / 256 && u32(t, at + 4 * i) == marks[i]; i++)
			;
	else
		i = 0;
	free(marks);
	return i > (count - 1) / 256;
}

static bool find_names(struct session *s, struct tables *t, unsigned pointer)
{
	for (size_t at = 0; at + 2 * pointer < t->size && t->looked_at < LOOKED_AT_MAX && !enough(s); at += pointer) {
		t->count = u32(t, at);
		if (t->count >= COUNT_MIN && t->count <= COUNT_MAX && (pointer == 4 || !u32(t, at + 4)) &&
			names_fit(t, at + pointer, t->count,
			pointer)) {
			t->names = at + pointer;
			return true;
		}
	}
	return false;
}

static uint64_t read_pointer(const struct tables *t, size_t at, unsigned pointer)
{
	return u32(t, at) | (pointer == 8 ? (uint64_t)u32(t, at + 4) << 32 : 0);
}

static bool find_offsets(struct tables *t, unsigned pointer, uint64_t base)
{
	size_t bytes = (4 * (size_t)t->count + pointer - 1) & ~(size_t)(pointer - 1),
		behind = (t->index + 512 + pointer - 1) & ~(size_t)(pointer - 1);

	if (t->names >= bytes + 2 * pointer) {
		t->offsets = t->names - 2 * pointer - bytes;
		t->relative = read_pointer(t, t->names - 2 * pointer, pointer);
		if (t->relative - base < t->size)
			return true;
	}
	t->offsets = behind;
	t->relative = read_pointer(t, behind + bytes, pointer);
	return t->relative - base < t->size;
}

static bool add_all(struct session *s, const struct tables *t, uint64_t base)
{
	size_t at = t->names;

	for (unsigned i = 0; i < t->count; i++) {
		int32_t offset = (int32_t)u32(t, t->offsets + 4 * i);
		uint64_t address = offset < 0 ? t->relative - 1 - (int64_t)offset : (uint64_t)offset;
		char name[NAME_MAX_LINUX];
		size_t len = 0;

		if (at + 2 >= t->size)
			return false;
		for (unsigned n = name_length(t, at, &at); n && at < t->size; n--, at++) {
			const char *token = (const char *)t->image + t->tokens + u16(t, t->index + 2 * t->image[at]);

			while (*token && len + 1 < sizeof name)
				name[len++] = *token++;
		}
		if (at >= t->size)
			return false;
		if (len > 1 && address >= base &&
		    !symbol_add(s, address, 0, 0, strchr("tTwW", name[0]), name + 1, len - 1))
			return complaint(s, "out of memory");
	}
	return true;
}

bool kallsyms_read(struct session *s)
{
	unsigned pointer = vcpu_get(s->machine, VCPU_EFER) & 0x400 ? 8 : 4;
	size_t before = s->nsymbols;
	struct tables t = { 0 };
	uint64_t base;
	unsigned char *image = read_image(s, &base, &t.size);
	bool ok;

	if (!image)
		return complaint(s, "no kernel is mapped here: stop in the guest's kernel, after it has set up system calls or its IDT");
	t.image = image;
	s->interrupted = false;
	ok = find_tokens(s, &t) && find_names(s, &t, pointer) && find_offsets(&t, pointer, base);
	if (!ok)
		complaint(s,
			  "no symbol table in the %zu MiB from %" PRIx64
			  " (a Linux kernel has one with CONFIG_KALLSYMS)",
			  t.size >> 20, base);
	else if (add_all(s, &t, base)) {
		SHOW_NUMBER(s, "symbols", "%" PRIu64 " symbols", s->nsymbols - before);
		SHOW_HEX(s, "kernel", " from the guest's kernel at %" PRIx64 "\n", base);
	}
	symbols_sort(s);
	free(image);
	return ok;
}
