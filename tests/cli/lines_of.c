/* SPDX-License-Identifier: MIT */
/* lines_of FILE [BROKEN]: for each address on stdin, FILE:LINE by frontends/debugger/line_table.c, as addr2line prints
 * it. With BROKEN, read the file so often with some bytes changed: nothing is to be seen but by a sanitizer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "frontends/debugger/line_table.h"

static uint64_t seed = 88172645463325252u;
static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

int main(int argc, char **argv)
{
	FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
	static unsigned char data[8 << 20], other[8 << 20];
	size_t size = file ? fread(data, 1, sizeof data, file) : 0, row;
	struct line_table t;
	uint64_t address;

	for (int i = argc > 2 ? atoi(argv[2]) : 0; i > 0; i--) {
		for (size_t k = 0; k < size; k++)
			other[k] = data[k];
		for (unsigned k = 0; k < 1 + any() % 64; k++)
			other[any() % size] = (unsigned char)any();
		if (line_table_read(&t, other, any() % 8 ? size : any() % size)) {
			for (size_t k = 0; k < t.nsequences; k++)
				if (line_table_find(&t, t.sequences[k].low + any() % 64, &row))
					line_table_path(&t, t.rows[row].file);
			line_table_free(&t);
		}
	}
	if (!line_table_read(&t, data, size))
		return 1;
	while (scanf("%" SCNx64, &address) == 1)
		if (line_table_find(&t, address, &row))
			printf("%s:%" PRIu32 "\n", line_table_path(&t, t.rows[row].file), t.rows[row].line);
		else
			puts("??:0");
	line_table_free(&t);
	return 0;
}
