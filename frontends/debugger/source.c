/* SPDX-License-Identifier: MIT */
/* Source: places that are named as in gdb, lines, list. */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debugger.h"

/* ---- files ---- */

/* Open a source file. An untrusted symbol file can name any file: pipes and devices are refused, as opening or reading
 * them can block or act. */
static FILE *open_regular(const char *path)
{
	enum { LARGEST = 64 << 20 };
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size <= LARGEST))
		return fd < 0 ? NULL : fdopen(fd, "r");
	close(fd);
	return NULL;
}

static FILE *open_source(const struct line *line)
{
	FILE *file = open_regular(line->file);
	char path[1024];

	if (!file && line->directory && (size_t)snprintf(path, sizeof path, "%s/%s", line->directory,
		line->file) < sizeof path)
		file = open_regular(path);
	return file ? file : open_regular(line->name);
}

/* Call EACH with lines FIRST to LAST. Returns the number of lines up to LAST or the file's end; -1: the file cannot be
 * read. */
static int each_line(struct session *s, const struct line *line, int first, int last, void (*each)(struct session *s,
	int n, const char *text))
{
	FILE *source = s->no_files ? NULL : open_source(line);
	char *text = NULL;
	size_t room = 0;
	int n = 0;

	if (!source)
		return -1;
	while (n < last && !enough(s) && getline(&text, &room, source) >= 0)
		if (++n >= first) {
			text[strcspn(text, "\n")] = 0;
			each(s, n, text);
		}
	free(text);
	fclose(source);
	return n;
}

static void print_line(struct session *s, int n, const char *text)
{
	fprintf(s->out, "%d\t%s\n", n, text);
	json_open(s, NULL, '{');
	json_number(s, "line", n);
	json_cstring(s, "text", text);
	json_close(s);
}

static void print_alone(struct session *s, int n, const char *text) { fprintf(s->out, "%d\t%s\n", n, text); }

bool source_print_line(struct session *s, const struct line *line)
{
	return each_line(s, line, line->line, line->line, print_alone) == line->line;
}

/* ---- places ---- */

/* The current line, for list and relative line numbers: the one listed last, or the selected frame's. False: it is not
 * known. */
static bool current_line(struct session *s, struct line *line)
{
	struct frame f;

	if (s->listed.file) {
		*line = s->listed;
		return true;
	}
	f = frame_selected(s);
	return dwarf_line(s, f.pc - f.called, line) || dwarf_first_line(s, line);
}

/* N, +N, -N: a line of the current file. */
static bool bare_line(struct session *s, const char **args, struct line *line)
{
	const char *at = *args;
	char sign = *at == '+' || *at == '-' ? *at++ : 0;
	size_t digits = strspn(at, "0123456789");
	struct line from;

	if (!digits || isalnum((unsigned char)at[digits]) || (*at == '0' && digits > 1) || !current_line(s, &from))
		return false;
	*line = from;
	line->line = sign == '+' ? from.line + atoi(at) : sign ? from.line - atoi(at) : atoi(at);
	*args = at + digits;
	return true;
}

/* The text after the colon of FILE:N or FILE:FUNCTION; NULL: TEXT is neither. */
static const char *behind_file(const char *args)
{
	size_t n = strcspn(args, ": \t,\"'(*");

	return n && args[n] == ':' && args[n + 1] != ':' && (isalnum((unsigned char)args[n + 1]) || args[n + 1] == '_')
		       ? args + n + 1
		       : NULL;
}

/* Parse "N" or "FILE:N": sets LINE, and *AT to the first address of its code. */
static bool line_place(struct session *s, const char **args, struct line *line, uint64_t *at)
{
	const char *behind = behind_file(*args);
	char file[512];
	int n;

	if (behind && (!isdigit((unsigned char)*behind) || (size_t)(behind - *args) > sizeof file))
		return false;
	if (behind) {
		snprintf(file, sizeof file, "%.*s", (int)(behind - *args - 1), *args);
		n = atoi(behind);
		*args = behind + strspn(behind, "0123456789");
	} else {
		if (!bare_line(s, args, line))
			return false;
		snprintf(file, sizeof file, "%s", line->file);
		n = line->line;
	}
	if (!dwarf_line_address(s, file, n, at) || !dwarf_line(s, *at, line))
		line->file = behind ? NULL : line->file, *at = 0;
	line->line = n;
	return true;
}

bool place(struct session *s, const char **args, bool behind_prologue, uint64_t *at)
{
	const char *start = *args, *behind = behind_file(start);
	struct line line;

	if (*start == '*') {
		(*args)++;
		return address(s, args, at);
	}
	if (line_place(s, args, &line, at))
		return *at || complaint(s, "no code for this line: %.*s", (int)(*args - start), start);
	if (behind)
		*args = behind;
	if (!address(s, args, at))
		return false;
	if (behind_prologue && symbol_at(s, *at) && symbol_at(s, *at)->address == *at && dwarf_line(s, *at, &line))
		*at = dwarf_behind_prologue(s, *at);
	return true;
}

/* ---- list ---- */

enum { TEN = 10 };

/* Parse any place, and find its line. */
static bool listed_place(struct session *s, const char **args, struct line *line)
{
	uint64_t at;

	if (line_place(s, args, line, &at))
		return line->file || complaint(s, "no source file of this name is known");
	if (!place(s, args, false, &at))
		return false;
	return dwarf_line(s, at, line) || complaint(s, "no source line is known for 0x%" PRIx64, at);
}

static bool print_lines(struct session *s, struct line line, int first, int last)
{
	int n;

	if (!files_allowed(s))
		return false;
	first = first < 1 ? 1 : first;
	json_open(s, "source", '{');
	json_cstring(s, "file", line.file);
	json_open(s, "lines", '[');
	n = each_line(s, &line, first, last, print_line);
	json_close(s);
	json_close(s);
	if (n < 0)
		return complaint(s, "%s: the file cannot be read", line.file);
	if (n < first)
		return complaint(s, "line number %d is out of range: %s has %d lines", first, line.name, n);
	s->listed = line;
	s->listed.line = (first + n) / 2;
	s->listed_first = first;
	s->listed_last = n;
	return true;
}

static bool list_range(struct session *s, const char *args)
{
	const char *comma = strchr(args, ',');
	struct line first = { 0 }, last;
	bool from = args != comma;

	if (from && !listed_place(s, &args, &first))
		return false;
	args = comma + 1 + strspn(comma + 1, " ");
	if (!*args)
		return from ? print_lines(s, first, first.line, first.line + TEN - 1)
			    : complaint(s, "list: the end of the range is missing");
	if (from && !s->listed.file)
		s->listed = first;
	if (!listed_place(s, &args, &last))
		return false;
	return print_lines(s, last, from ? first.line : last.line - TEN + 1, last.line);
}

/* Without arguments: the lines around the current one, or the lines after the last listing; -: the lines before it;
 * PLACE: the lines around it; [PLACE],[PLACE]: from one to the other. */
bool do_list(struct session *s, const char *args)
{
	struct line line;

	if (strchr(args, ','))
		return list_range(s, args);
	if (*args && strcmp(args, "-")) {
		if (!listed_place(s, &args, &line))
			return false;
		return print_lines(s, line, line.line - TEN / 2,
				   (line.line > TEN / 2 ? line.line : TEN / 2 + 1) + TEN / 2 - 1);
	}
	if (!current_line(s, &line))
		return complaint(s, "no source line is known here");
	if (!s->listed.file)
		return print_lines(s, line, line.line - TEN / 2,
				   (line.line > TEN / 2 ? line.line : TEN / 2 + 1) + TEN / 2 - 1);
	if (!*args)
		return print_lines(s, line, s->listed_last + 1, s->listed_last + TEN);
	return s->listed_first > 1 ? print_lines(s, line, s->listed_first - TEN, s->listed_first - 1) :
		complaint(s, "the file has no lines before these");
}

/* ---- info ---- */

bool info_line(struct session *s, const char *args)
{
	char from[160], to[160];
	struct line line;
	uint64_t at = linear_rip(s), end;

	if (*args && !line_place(s, &args, &line, &at) && !place(s, &args, false, &at))
		return false;
	if (!at || !dwarf_line(s, at, &line))
		return complaint(s, "no source line is known for this place");
	end = dwarf_line_end(s, at);
	fprintf(s->out, "Line %d of \"%s\" starts at address 0x%" PRIx64 "%s and ends at 0x%" PRIx64 "%s.\n", line.line,
		line.file, line.begin,
		symbol_text(s, line.begin, from, sizeof from), end, symbol_text(s, end, to, sizeof to));
	json_open(s, "source", '{');
	json_cstring(s, "file", line.file);
	json_number(s, "line", line.line);
	json_hex(s, "begin", line.begin);
	json_hex(s, "end", end);
	json_close(s);
	return true;
}

static void count_nothing(struct session *s, int n, const char *text) { (void)s, (void)n, (void)text; }

bool info_source(struct session *s, const char *args)
{
	struct unit unit = { NULL, NULL, 0 };
	struct line line;
	int lines;

	(void)args;
	if (!current_line(s, &line))
		return complaint(s, "no source line is known here");
	lines = each_line(s, &line, 1, INT32_MAX, count_nothing);
	dwarf_unit(s, frame_selected(s).pc, &unit);
	fprintf(s->out, "Current source file is %s\n", line.file);
	if (line.directory)
		fprintf(s->out, "Compilation directory is %s\n", line.directory);
	if (lines >= 0)
		fprintf(s->out, "Contains %d lines.\n", lines);
	if (unit.language)
		fprintf(s->out, "Source language is %s.\n", unit.language);
	if (unit.producer)
		fprintf(s->out, "Producer is %s.\n", unit.producer);
	if (unit.version)
		fprintf(s->out, "Compiled with DWARF %d debugging format.\n", unit.version);
	json_open(s, "source", '{');
	json_cstring(s, "file", line.file);
	json_cstring(s, "directory", line.directory ? line.directory : "");
	json_cstring(s, "language", unit.language ? unit.language : "");
	json_cstring(s, "producer", unit.producer ? unit.producer : "");
	json_close(s);
	return true;
}
