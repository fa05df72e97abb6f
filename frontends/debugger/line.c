/* SPDX-License-Identifier: MIT */
/* Lines of source, and further facts of DWARF about code: the end of a prologue, the function and unit of an
 * address. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"
#include "debuginfo.h"

#if HAVE_LIBDW

static bool begins_statement(Dwfl_Line *l)
{
	Dwarf_Addr bias;
	Dwarf_Line *line = dwfl_dwarf_line(l, &bias);
	bool yes = true;

	return !line || dwarf_linebeginstatement(line, &yes) || yes;
}

bool dwarf_line(struct session *s, uint64_t address, struct line *line)
{
	Dwfl_Line *l = s->dwarf && s->dwarf->dwfl ? dwfl_getsrc(s->dwarf->dwfl, address) : NULL;
	const char *slash;

	line->file = l ? dwfl_lineinfo(l, &line->begin, &line->line, NULL, NULL, NULL) : NULL;
	if (!line->file)
		return false;
	slash = strrchr(line->file, '/');
	line->name = slash ? slash + 1 : line->file;
	line->directory = dwfl_line_comp_dir(l);
	return true;
}

struct wanted_line { const char *file; int line; Dwarf_Addr at; int best; bool statement; };

/* Is an entry better than the best one yet? The best is of the line itself, or of the next one that has code; of its
 * addresses, the first one at which a statement begins. */
static bool better(const struct wanted_line *w, int line, bool statement, Dwarf_Addr at)
{
	if (line < w->line || !w->best || line != w->best)
		return line >= w->line && (!w->best || line < w->best);
	return statement != w->statement ? statement : at < w->at;
}

static int find_line(Dwfl_Module *module, void **u, const char *n, Dwarf_Addr a, void *wanted)
{
	struct wanted_line *w = wanted;
	Dwfl_Line **lines = NULL;
	size_t count = 0;

	(void)u, (void)n, (void)a;
	if (dwfl_module_getsrc_file(module, w->file, w->line, 0, &lines, &count))
		return DWARF_CB_OK;
	for (size_t i = 0; i < count; i++) {
		Dwarf_Addr at;
		int line;

		if (dwfl_lineinfo(lines[i], &at, &line, NULL, NULL, NULL) &&
		    better(w, line, begins_statement(lines[i]), at)) {
			w->best = line;
			w->statement = begins_statement(lines[i]);
			w->at = at;
		}
	}
	free(lines);
	return DWARF_CB_OK;
}

bool dwarf_line_address(struct session *s, const char *file, int line, uint64_t *address)
{
	struct wanted_line w = { file, line, 0, 0, false };

	if (s->dwarf)
		dwfl_getmodules(s->dwarf->dwfl, find_line, &w, 0);
	*address = w.at;
	return w.best;
}

/* The first address after ADDRESS that has an entry in the line table, and the entry's line; 0: there is none. */
static uint64_t next_entry(struct session *s, uint64_t address, int *line)
{
	Dwfl_Line *l = s->dwarf && s->dwarf->dwfl ? dwfl_getsrc(s->dwarf->dwfl, address) : NULL;
	Dwarf_Die *unit = l ? dwfl_linecu(l) : NULL;
	uint64_t next = 0;
	size_t count;

	if (!unit || dwfl_getsrclines(unit, &count))
		return 0;
	for (size_t i = 0; i < count; i++) {
		Dwarf_Addr at;
		int n;

		l = dwfl_onesrcline(unit, i);
		if (l && dwfl_lineinfo(l, &at, &n, NULL, NULL, NULL) && at > address && (!next || at < next)) {
			next = at;
			*line = n;
		}
	}
	return next;
}

uint64_t dwarf_line_end(struct session *s, uint64_t address)
{
	uint64_t end = address, next;
	struct line here;
	int line = 0;

	if (!dwarf_line(s, address, &here))
		return address;
	while ((next = next_entry(s, end, &line)) != 0) {
		end = next;
		if (line != here.line)
			break;
	}
	return end;
}

static bool in_a_loop(Dwfl_Line *l)
{
	Dwarf_Addr bias;
	Dwarf_Line *line = dwfl_dwarf_line(l, &bias);
	unsigned discriminator = 0;

	return line && !dwarf_linediscriminator(line, &discriminator) && discriminator;
}

/* Facts about the entries at ADDRESS: one begins a statement, one is of a loop's line, or they are of two lines. */
static void entries_at(struct session *s, uint64_t address, bool *statement, bool *part, bool *two)
{
	Dwfl_Line *l = s->dwarf && s->dwarf->dwfl ? dwfl_getsrc(s->dwarf->dwfl, address) : NULL;
	Dwarf_Die *unit = l ? dwfl_linecu(l) : NULL;
	int first = 0;
	size_t count;

	*statement = *part = *two = false;
	if (!unit || dwfl_getsrclines(unit, &count))
		return;
	for (size_t i = 0; i < count; i++) {
		Dwarf_Addr at;
		int n;

		l = dwfl_onesrcline(unit, i);
		if (!l || !dwfl_lineinfo(l, &at, &n, NULL, NULL, NULL) || at != address)
			continue;
		*statement |= begins_statement(l);
		*part |= in_a_loop(l);
		*two |= first && n != first;
		first = n;
	}
}

/* Adjacent parts of a loop's line count as one, as in gdb. */
bool dwarf_begins(struct session *s, uint64_t address)
{
	uint64_t low, high;
	struct line line, before;
	bool statement, part, two;

	entries_at(s, address, &statement, &part, &two);
	if (!statement || !part || !dwarf_line(s, address, &line))
		return statement;
	return (dwarf_function(s, address, &low, &high) && low == address) || !dwarf_line(s, address - 1, &before) ||
		before.line != line.line;
}

bool dwarf_first_line(struct session *s, struct line *line)
{
	struct name *n = s->dwarf ? dwarf_names(s->dwarf, "main") : NULL;
	Dwarf_Die *unit = NULL, *next;
	Dwarf_Addr low, bias;
	size_t count;

	if (!s->dwarf)
		return false;
	if (n && !dwarf_lowpc(&n->die, &low))
		return dwarf_line(s, low + n->bias, line);
	unit = dwfl_nextcu(s->dwarf->dwfl, NULL, &bias);
	next = unit ? dwfl_nextcu(s->dwarf->dwfl, unit, &bias) : NULL;
	return unit && !next && !dwfl_getsrclines(unit, &count) && count &&
		dwfl_lineinfo(dwfl_onesrcline(unit, 0), &low, NULL, NULL, NULL, NULL) && dwarf_line(s, low, line);
}

/* The second entry of a function is the first behind its prologue, also if both are of one line. */
uint64_t dwarf_behind_prologue(struct session *s, uint64_t address)
{
	enum { LONGEST = 256 };
	uint64_t low = 0, high = 0, at;
	bool statement, part, two; /* of two lines, the first has no code */
	int line = 0;

	entries_at(s, address, &statement, &part, &two);
	if (!dwarf_function(s, address, &low, &high) || low != address || two)
		return address;
	at = next_entry(s, address, &line);
	if (at && !line)
		at = next_entry(s, at, &line);
	return at > address && at < high && at - address < LONGEST ? at : address;
}

/* ---- functions, units ---- */

static Dwarf_Die *function_of(struct session *s, uint64_t address, Dwarf_Die *function, uint64_t *bias)
{
	Dwarf_Die *unit = s->dwarf && s->dwarf->dwfl ? dwfl_addrdie(s->dwarf->dwfl, address, bias) : NULL,
		*scopes = NULL;
	int n = unit ? dwarf_getscopes(unit, address - *bias, &scopes) : 0;
	bool found = false;

	for (int i = 0; i < n && !found; i++)
		if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram) {
			*function = scopes[i];
			found = true;
		}
	free(scopes);
	return found ? function : NULL;
}

const char *dwarf_function(struct session *s, uint64_t address, uint64_t *low, uint64_t *high)
{
	Dwarf_Die function;
	uint64_t bias = 0;

	if (!function_of(s, address, &function, &bias) || dwarf_lowpc(&function, low) || dwarf_highpc(&function, high))
		return NULL;
	*low += bias;
	*high += bias;
	return dwarf_diename(&function);
}

const struct type *dwarf_returned(struct session *s, uint64_t address)
{
	Dwarf_Die function;
	uint64_t bias = 0;

	return function_of(s, address, &function, &bias) ? dwarf_target(s, &function) : NULL;
}

static const char *language(int n)
{
	static const struct { int n; const char *name; } names[] = {
		{ DW_LANG_C_plus_plus, "c++" }, { DW_LANG_C_plus_plus_03, "c++" }, { DW_LANG_C_plus_plus_11, "c++" },
			{ DW_LANG_C_plus_plus_14, "c++" },
		{ DW_LANG_Rust, "rust" }, { DW_LANG_Mips_Assembler, "asm" }, { DW_LANG_Go, "go" }, { DW_LANG_D, "d" },
	};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].n == n)
			return names[i].name;
	return n == DW_LANG_C || n == DW_LANG_C89 || n == DW_LANG_C99 || n == DW_LANG_C11 ? "c" : "unknown";
}

bool dwarf_unit(struct session *s, uint64_t address, struct unit *u)
{
	uint64_t bias;
	Dwarf_Die *unit = s->dwarf && s->dwarf->dwfl ? dwfl_addrdie(s->dwarf->dwfl, address, &bias) : NULL;
	Dwarf_Attribute a;
	Dwarf_Half version = 0;

	if (!unit)
		return false;
	dwarf_cu_die(unit->cu, &(Dwarf_Die){ 0 }, &version, NULL, NULL, NULL, NULL, NULL);
	*u = (struct unit){ language(dwarf_srclang(unit)), dwarf_formstring(dwarf_attr(unit, DW_AT_producer, &a)),
		version };
	return true;
}

#else /* lines alone (line_table.h) */
#include "line_table.h"

/* The lines of one file, which is BY higher in memory than it says. */
struct dwarf { struct dwarf *next; struct line_table table; uint64_t by; };

bool dwarf_open(struct session *s, const char *path, uint64_t offset)
{
	struct dwarf *d = calloc(1, sizeof *d);
	size_t size;
	char *data = file_read(path, &size);
	bool ok = d && data && line_table_read(&d->table, data, size);

	free(data);
	if (!ok) {
		free(d);
		return false;
	}
	d->by = offset;
	d->next = s->dwarf;
	s->dwarf = d;
	return true;
}

void dwarf_close(struct session *s)
{
	while (s->dwarf) {
		struct dwarf *d = s->dwarf;

		s->dwarf = d->next;
		line_table_free(&d->table);
		free(d);
	}
}

/* The sequence that ADDRESS is in, whose table it is, and the row for it. NULL: there is none. */
static const struct line_sequence *sequence_at(struct session *s, uint64_t address, struct dwarf **of, size_t *row)
{
	for (struct dwarf *d = s->dwarf; d; d = d->next) {
		const struct line_sequence *q = line_table_find(&d->table, address - d->by, row);

		if (q) {
			*of = d;
			return q;
		}
	}
	return NULL;
}

bool dwarf_line(struct session *s, uint64_t address, struct line *line)
{
	struct dwarf *d;
	size_t i;
	const struct line_row *row;
	const char *slash;

	if (!sequence_at(s, address, &d, &i))
		return false;
	row = &d->table.rows[i];
	line->file = line_table_path(&d->table, row->file);
	slash = strrchr(line->file, '/');
	line->name = slash ? slash + 1 : line->file;
	line->directory = NULL;
	line->line = (int)row->line;
	line->begin = row->address + d->by;
	return *line->file;
}

/* Does PATH end in the names that FILE has? */
static bool ends_in(const char *path, const char *file)
{
	size_t n = strlen(path), len = strlen(file);

	return n >= len && !strcmp(path + n - len, file) && (n == len || path[n - len - 1] == '/' || *file == '/');
}

/* The line itself, or the next one that has code; of its addresses, the first one at which a statement begins. */
bool dwarf_line_address(struct session *s, const char *file, int line, uint64_t *address)
{
	const struct line_row *best = NULL;
	const uint32_t least = line > 0 ? (uint32_t)line : 1;

	for (struct dwarf *d = s->dwarf; d; d = d->next)
		for (size_t i = 0; i < d->table.nrows; i++) {
			const struct line_row *row = &d->table.rows[i];
			bool nearer = row->line >= least && (!best || row->line < best->line);

			if (!nearer && (!best || row->line != best->line || row->statement < best->statement ||
					(row->statement == best->statement && row->address + d->by >= *address)))
				continue;
			if (!ends_in(line_table_path(&d->table, row->file), file))
				continue;
			best = row;
			*address = row->address + d->by;
		}
	return best;
}

uint64_t dwarf_line_end(struct session *s, uint64_t address)
{
	struct dwarf *d;
	size_t i;
	const struct line_sequence *q = sequence_at(s, address, &d, &i);

	if (!q)
		return address;
	for (size_t next = i + 1; next < q->first + q->count; next++)
		if (d->table.rows[next].line != d->table.rows[i].line)
			return d->table.rows[next].address + d->by;
	return q->high + d->by;
}

/* Adjacent parts of a loop's line count as one, as in gdb. */
bool dwarf_begins(struct session *s, uint64_t address)
{
	bool statement = false, loop = false;
	struct dwarf *d;
	size_t i;
	const struct line_sequence *q = sequence_at(s, address, &d, &i);
	const struct line_row *rows = q ? d->table.rows : NULL;
	uint32_t line;

	if (!q || rows[i].address + d->by != address)
		return false;
	line = rows[i].line;
	for (; i >= q->first && rows[i].address + d->by == address; i--) {
		statement |= rows[i].statement;
		loop |= rows[i].loop;
		if (i == q->first)
			return statement;
	}
	return statement && (!loop || rows[i].line != line);
}

bool dwarf_first_line(struct session *s, struct line *line)
{
	const struct symbol *main = symbol_by_name(s, "main");

	return main && dwarf_line(s, main->address, line);
}

/* The second entry of a function is the first behind its prologue, also if both are of one line. */
uint64_t dwarf_behind_prologue(struct session *s, uint64_t address)
{
	enum { LONGEST = 256 };
	const struct symbol *symbol = symbol_at(s, address);
	struct dwarf *d;
	size_t i;
	const struct line_sequence *q = sequence_at(s, address, &d, &i);
	const struct line_row *rows = q ? d->table.rows : NULL;
	uint64_t at;

	if (!q || !symbol || symbol->address != address || rows[i].address + d->by != address ||
	    (i > q->first && rows[i - 1].address == rows[i].address && rows[i - 1].line != rows[i].line))
		return address;
	do
		i++;
	while (i < q->first + q->count && (rows[i].address + d->by == address || !rows[i].line));
	at = i < q->first + q->count ? rows[i].address + d->by : address;
	return at > address && at - address < (symbol->size && symbol->size < LONGEST ? symbol->size : LONGEST) ? at
														: address;
}

/* By the symbol, of code that has lines. */
const char *dwarf_function(struct session *s, uint64_t address, uint64_t *low, uint64_t *high)
{
	const struct symbol *symbol = symbol_at(s, address);
	struct dwarf *d;
	size_t row;

	if (!symbol || !symbol->code || address - symbol->address >= symbol->size || !sequence_at(s, address, &d, &row))
		return NULL;
	*low = symbol->address;
	*high = symbol->address + symbol->size;
	return symbol->name;
}
const struct type *dwarf_returned(struct session *s, uint64_t address) { (void)s, (void)address; return NULL; }
bool dwarf_unit(struct session *s, uint64_t address, struct unit *u) { (void)s, (void)address, (void)u; return false; }

#endif
