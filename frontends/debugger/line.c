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

#else

bool dwarf_begins(struct session *s, uint64_t address) { (void)s, (void)address; return false; }
bool dwarf_first_line(struct session *s, struct line *line) { (void)s, (void)line; return false; }
bool dwarf_line(struct session *s, uint64_t address, struct line *line) 
{
	(void)s, (void)address, (void)line;
	return false;
}
bool dwarf_line_address(struct session *s, const char *file, int line, uint64_t *address)
{
	(void)s, (void)file, (void)line, (void)address;
	return false;
}
uint64_t dwarf_line_end(struct session *s, uint64_t address) { (void)s; return address; }
uint64_t dwarf_behind_prologue(struct session *s, uint64_t address) { (void)s; return address; }
const char *dwarf_function(struct session *s, uint64_t address, uint64_t *low, uint64_t *high)
{
	(void)s, (void)address, (void)low, (void)high;
	return NULL;
}
const struct type *dwarf_returned(struct session *s, uint64_t address) { (void)s, (void)address; return NULL; }
bool dwarf_unit(struct session *s, uint64_t address, struct unit *u) { (void)s, (void)address, (void)u; return false; }

#endif
