/* SPDX-License-Identifier: MIT */
/* Bytes that the user puts into RAM before the start: "ADDRESS=FILE" or "ADDRESS=hex:BYTES". */
#include <errno.h>
#include <stdlib.h>
#include "lib/machine.h"

#define HEX "hex:"

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Pairs of digits, with blanks between pairs. */
static bool read_hex(struct blob *b, const char *text, char **error)
{
	const char *at = text + strlen(HEX);

	b->name = strdup(text);
	b->data = malloc(strlen(text));
	if (!b->name || !b->data)
		return error_set(error, "the host has no memory for %s", text);
	for (; *at; at++) {
		int high = digit(at[0]), low = high < 0 ? -1 : digit(at[1]);

		if (*at == ' ')
			continue;
		if (low < 0)
			return error_set(error, "%s: not bytes of two hexadecimal digits each", text);
		b->data[b->size++] = (u8)(high << 4 | low);
		at++;
	}
	return b->size || error_set(error, "%s: no bytes", text);
}

bool extra_read(struct boot *boot, const char *text, u64 limit, char **error)
{
	struct extra *extras = realloc(boot->extras, (boot->nextras + 1) * sizeof *extras), *e;
	char *end;

	if (!extras)
		return error_set(error, "the host has no memory for %s", text);
	boot->extras = extras;
	e = &extras[boot->nextras++];
	*e = (struct extra){ 0 };
	errno = 0;
	e->at = strtoull(text, &end, 0);
	if (errno || *text < '0' || *text > '9' || *end != '=' || !end[1])
		return error_set(error, "%s: not ADDRESS=FILE or ADDRESS=hex:BYTES, like 0x7000=table.bin", text);
	e->file = strncmp(end + 1, HEX, strlen(HEX));
	return e->file ? blob_read(&e->blob, end + 1, NULL, 0, limit, boot->reach, NULL, error) :
		read_hex(&e->blob, end + 1, error);
}

bool extras_load(struct vcpu *v, char **error)
{
	for (unsigned i = 0; i < v->boot.nextras; i++) {
		const struct extra *e = &v->boot.extras[i];

		if (!load_room(v, e->at, e->blob.size))
			return error_set(
				error,
				"%s: %zu bytes at %llxh: not all of that is RAM below 640 KiB, or between 1 MiB "
				"and the end of RAM below 4 GiB",
				e->blob.name, e->blob.size, (unsigned long long)e->at);
		load_bytes(v, e->at, e->blob.data, e->blob.size);
	}
	return true;
}
