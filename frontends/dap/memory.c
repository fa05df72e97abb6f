/* SPDX-License-Identifier: MIT */
/* Memory by linear address, in base64 (RFC 4648), and its disassembly. */
#include <inttypes.h>
#include <string.h>

#include "dap.h"

enum { READ_MAX = 1 << 20, INSTRUCTION_MAX = 15, ROWS_MAX = 4096 };
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *base64(const uint8_t *data, size_t len)
{
	char *text = needed(malloc((len + 2) / 3 * 4 + 1)), *to = text;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)data[i] << 16 | (i + 1 < len ? data[i + 1] << 8 : 0) |
			     (i + 2 < len ? data[i + 2] : 0);

		for (unsigned k = 0; k < 4; k++)
			*to++ = i + k > len ? '=' : digits[v >> (18 - 6 * k) & 63];
	}
	*to = 0;
	return text;
}

/* The number of bytes in DATA, which has room for three quarters of TEXT; -1: it is no base64. */
static ssize_t unbase64(const char *text, uint8_t *data)
{
	size_t len = strcspn(text, "="), out = 0;
	uint32_t v = 0;

	for (size_t i = 0; i < len; i++) {
		const char *digit = strchr(digits, text[i]);

		if (!digit)
			return -1;
		v = v << 6 | (uint32_t)(digit - digits);
		if (i % 4)
			data[out++] = (uint8_t)(v >> (6 - 2 * (i % 4)));
	}
	return (ssize_t)out;
}

static uint64_t address_of(json_t *arguments)
{
	return dap_address(arguments, "memoryReference") + (uint64_t)dap_number(arguments, "offset", 0);
}

json_t *on_read_memory(struct dap *d, json_t *arguments)
{
	json_int_t count = dap_number(arguments, "count", 0);
	uint64_t at = address_of(arguments);
	char address[32], *text;
	uint8_t *data;
	json_t *body;
	size_t n;

	if (count < 0 || count > READ_MAX)
		return dap_fail(d, "count is not from 0 to %d", READ_MAX);
	data = needed(malloc((size_t)count + 1));
	n = vcpu_read_linear(d->session.machine, at, data, (size_t)count);
	text = base64(data, n);
	snprintf(address, sizeof address, "0x%" PRIx64, at);
	body = json_pack("{s:s, s:s, s:I}", "address", address, "data", text, "unreadableBytes", count - (json_int_t)n);
	free(text);
	free(data);
	return body;
}

json_t *on_write_memory(struct dap *d, json_t *arguments)
{
	const char *text = dap_string(arguments, "data", "");
	uint8_t *data = needed(malloc(strlen(text) + 1));
	ssize_t len = unbase64(text, data);
	size_t n = len > 0 ? vcpu_write_linear(d->session.machine, address_of(arguments), data, (size_t)len) : 0;

	free(data);
	if (len < 0)
		return dap_fail(d, "data is no base64");
	if (n < (size_t)len)
		return dap_fail(d, "no memory at address 0x%" PRIx64, address_of(arguments) + n);
	return json_pack("{s:I}", "bytesWritten", (json_int_t)n);
}

static json_t *row(json_t *instruction)
{
	const char *symbol = dap_string(instruction, "symbol", NULL), *file = dap_string(instruction, "file", NULL);
	json_t *out = json_pack("{s:O, s:O}", "address", json_object_get(instruction, "address"), "instruction",
				json_object_get(instruction, "text"));

	if (symbol && !dap_number(instruction, "offset", 1))
		json_object_set_new(out, "symbol", json_string(symbol));
	if (file) {
		const char *name = strrchr(file, '/');

		json_object_set_new(out, "location",
				    json_pack("{s:s, s:s}", "name", name ? name + 1 : file, "path", file));
		json_object_set(out, "line", json_object_get(instruction, "line"));
	}
	return out;
}

/* The COUNT instructions before AT, as far as a disassembly from the beginning of its function finds AT, or one from
 * somewhere before; then the address falls on the boundary of an instruction. */
static json_t *rows_before(struct dap *d, uint64_t at, size_t count)
{
	json_t *out = json_array(), *named = dap_command(d, "info symbol 0x%" PRIx64, at), *list, *answer = NULL;
	json_int_t offset = dap_number(json_object_get(named, "named"), "offset", 0);
	uint64_t begin = offset > 0 && offset <= ROWS_MAX * INSTRUCTION_MAX / 4 ? at - (uint64_t)offset : at;

	if (at - begin < count * 2)
		begin = at - (at < count * INSTRUCTION_MAX ? at : count * INSTRUCTION_MAX);
	for (unsigned shift = 0; shift < INSTRUCTION_MAX && begin < at; shift++, begin++) {
		size_t i, here;

		answer = dap_command(d, "x /%" PRIu64 "i 0x%" PRIx64, at - begin < ROWS_MAX ? at - begin : ROWS_MAX,
				     begin);
		list = json_object_get(answer, "instructions");
		for (here = 0; here < json_array_size(list) && dap_address(json_array_get(list, here), "address") < at;
		     here++)
			;
		if (here < json_array_size(list) && dap_address(json_array_get(list, here), "address") == at) {
			for (i = here > count ? here - count : 0; i < here; i++)
				json_array_append_new(out, row(json_array_get(list, i)));
			json_decref(answer);
			break;
		}
		json_decref(answer);
	}
	json_decref(named);
	return out;
}

json_t *on_disassemble(struct dap *d, json_t *arguments)
{
	json_int_t count = dap_number(arguments, "instructionCount", 0),
		   first = dap_number(arguments, "instructionOffset", 0);
	uint64_t at = address_of(arguments);
	json_t *out = json_array(), *answer, *one;
	size_t i;

	if (count < 0 || count > ROWS_MAX || first < -ROWS_MAX || first > ROWS_MAX) {
		json_decref(out);
		return dap_fail(d, "more than %d instructions", ROWS_MAX);
	}
	if (first < 0) {
		json_t *before = rows_before(d, at, (size_t)-first);

		for (i = json_array_size(before); (json_int_t)i < -first; i++)
			json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "address", "0x0", "instruction", "??",
							     "presentationHint", "invalid"));
		json_array_extend(out, before);
		json_decref(before);
	}
	if (first + count > 0) {
		answer = dap_command(d, "x /%" JSON_INTEGER_FORMAT "i 0x%" PRIx64, first + count, at);
		json_array_foreach(json_object_get(answer, "instructions"), i, one)
			if ((json_int_t)i >= first)
				json_array_append_new(out, row(one));
		json_decref(answer);
	}
	while ((json_int_t)json_array_size(out) > count)
		json_array_remove(out, json_array_size(out) - 1);
	while ((json_int_t)json_array_size(out) < count)
		json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "address", "0x0", "instruction", "??",
						     "presentationHint", "invalid"));
	return json_pack("{s:o}", "instructions", out);
}
