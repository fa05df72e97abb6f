/* SPDX-License-Identifier: MIT */
/* The lines of source of an ELF file, from its section .debug_line (DWARF 2 to 5, "Line Number Information"): for
 * builds without elfutils' libdw, as in a browser. */
#ifndef LINE_TABLE_H
#define LINE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From ADDRESS to that of the next row the code is of LINE in FILE, an index; 0: of none. */
struct line_row { uint64_t address; uint32_t line, file : 30, statement : 1 /* one begins there */, loop : 1; };
enum { NO_FILE = (1 << 30) - 1 };
/* The code of the rows from FIRST on: [LOW, HIGH). */
struct line_sequence { uint64_t low, high; size_t first, count; };
/* PATH is made when it is asked for. */
struct line_file { const char *directory, *name; char *path; };

struct line_table {
	struct line_row *rows;
	struct line_sequence *sequences; /* by address */
	struct line_file *files;
	size_t nrows, nsequences, nfiles;
	size_t room_rows, room_sequences, room_files;
	char *lines, *line_strings, *strings; /* copies of sections, each with a zero behind it */
	size_t lines_size, line_strings_size, strings_size;
};

/* Read the table of the file of SIZE bytes at ELF, which need not stay. False: it has none, or no memory is left.
 * What is wrong in the table is left out. */
bool line_table_read(struct line_table *t, const void *elf, size_t size);
void line_table_free(struct line_table *t);

/* The sequence that ADDRESS is in, and the index of the row for it, the last one at or before it. NULL: there is
 * none. */
const struct line_sequence *line_table_find(const struct line_table *t, uint64_t address, size_t *row);
/* The file's name with its directory; "": there is none, or no memory is left. */
const char *line_table_path(struct line_table *t, unsigned file);

#endif
