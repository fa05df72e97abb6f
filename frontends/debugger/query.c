/* SPDX-License-Identifier: MIT */
/* query: one pass over the known run, and a row for each thing that is asked for. Each row has its place, for goto. The
 * machine stands where it stood when the pass is over. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

#include "mem/base/compat/text.h"
#include "debugger.h"

enum { ROWS_MAX = 1000000, PRINTED_MAX = 1000 };

/* Numbers that a kind does not have are left out. */
struct row {
	struct vcpu_place place;
	unsigned processor;
	uint64_t rip, address, size, value;
	bool has_address, has_value;
	char *symbol, *text;         /* of RIP; for people */
};

struct query {
	const struct kind *kind;
	int id;                      /* the library's, of the stop */
	struct hooked *hooked;       /* of STALE and IRQS_OFF (query_hooks.c) */
	struct locks *locks;         /* of LOCKS (query_locks.c) */
	struct value watched;        /* of writes and reads */
	const char *condition;       /* NULL: none */
	struct row *rows;
	size_t count, room;
	bool full;
};

static const struct kind {
	const char *name, *args;
	enum { CODE, CALLS, SYSCALLS, DATA, EVENT, STALE, IRQS_OFF, LOCKS } what;
	bool read, write;            /* of DATA */
	unsigned event;              /* of EVENT */
} kinds[] = {
	{ "calls", "FUNCTION", CALLS },
	{ "executes", "PLACE", CODE },
	{ "writes", "EXPRESSION [SIZE]", DATA, .write = true },
	{ "reads", "EXPRESSION [SIZE]", DATA, .read = true },
	{ "accesses", "EXPRESSION [SIZE]", DATA, .read = true, .write = true },
	{ "exceptions", "[VECTOR[-VECTOR]]", EVENT, .event = VCPU_EVENT_EXCEPTION },
	{ "interrupts", "[VECTOR[-VECTOR]]", EVENT, .event = VCPU_EVENT_INTERRUPT },
	{ "syscalls", "", SYSCALLS },
	{ "switches", "[CR3[-CR3]]", EVENT, .event = VCPU_EVENT_CR3 },
	{ "modes", "", EVENT, .event = VCPU_EVENT_MODE },
	{ "ports", "[PORT[-PORT]]", EVENT, .event = VCPU_EVENT_PORT },
	{ "msrs", "[NUMBER[-NUMBER]]", EVENT, .event = VCPU_EVENT_MSR },
	{ "stale", "", STALE },
	{ "irqsoff", "[NANOSECONDS]", IRQS_OFF },
	{ "locks", "[NANOSECONDS]", LOCKS },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- the pass ---- */

/* What PRINT writes, malloc'd. */
static char *printed(struct session *s, void (*print)(struct session *s, const void *of), const void *of)
{
	FILE *out = s->out, *json = s->json.to;
	char *text = NULL;
	size_t len;

	s->out = needed(open_memstream(&text, &len));
	s->json.to = NULL;
	print(s, of);
	fclose(s->out);
	s->out = out;
	s->json.to = json;
	text[strcspn(text, "\n")] = 0;
	return text;
}

static void print_frame(struct session *s, const void *of)
{
	struct frame f = frame_here(s);

	(void)of;
	frame_print(s, &f, true);
}

static void print_value(struct session *s, const void *of) { value_print_plain(s, of); }

static void print_syscall(struct session *s, const void *of)
{
	static const int arguments[] = { VCPU_RDI, VCPU_RSI, VCPU_RDX, VCPU_R10, VCPU_R8, VCPU_R9 };

	(void)of;
	fprintf(s->out, "%" PRIu64 "(", vcpu_get(s->machine, VCPU_RAX));
	for (unsigned i = 0; i < 6; i++)
		fprintf(s->out, "%s0x%" PRIx64, i ? ", " : "", vcpu_get(s->machine, arguments[i]));
	fprintf(s->out, ") from 0x%" PRIx64, vcpu_get(s->machine, VCPU_RCX));
}

static void print_event(struct session *s, const void *of)
{
	const struct vcpu_debug_stop *hit = of;

	switch (hit->event) {
	case VCPU_EVENT_EXCEPTION:
		fprintf(s->out, "vector %" PRIu64 ", error code 0x%" PRIx64, hit->address, hit->value);
		break;
	case VCPU_EVENT_INTERRUPT: fprintf(s->out, "vector %" PRIu64, hit->address); break;
	case VCPU_EVENT_CR3: fprintf(s->out, "CR3 0x%" PRIx64 ", before 0x%" PRIx64, hit->address, hit->value); break;
	case VCPU_EVENT_MODE:
		fprintf(s->out, "%d bits", 16 << (hit->address & 3));
		fputs(hit->address & VCPU_MODE_PROTECTED ? ", protected" : ", real", s->out);
		break;
	default:
		fprintf(s->out, "%s 0x%" PRIx64 " of 0x%" PRIx64, hit->write ? "write" : "read", hit->value,
			hit->address);
	}
}

static bool wanted(struct session *s, const struct query *q, const struct vcpu_debug_stop *hit)
{
	bool yes;

	s->quiet = true;
	yes = hit->id == q->id && condition_holds(s, q->condition, hit);
	s->quiet = false;
	return yes;
}

bool query_hit(struct session *s, const struct vcpu_debug_stop *hit)
{
	struct query *q = s->query;
	char symbol[160];
	struct row *r;

	if (enough(s))
		return true;
	vcpu_select(s->machine, vcpu_running(s->machine));
	if (!wanted(s, q, hit))
		return false;
	if (q->count == ROWS_MAX)
		return q->full = true;
	if (q->count == q->room)
		q->rows = needed(realloc(q->rows, (q->room = 2 * q->room + 64) * sizeof *q->rows));
	r = &q->rows[q->count++];
	*r = (struct row){ .place = q->kind->what == DATA ? hit->when : hit->place,
			   .processor = vcpu_running(s->machine) };
	r->rip = q->kind->what == DATA || q->kind->what == EVENT ? hit->rip : linear_rip(s);
	r->symbol = needed(strdup(symbol_text(s, r->rip, symbol, sizeof symbol)));
	if (q->kind->what == DATA) {
		r->has_address = r->has_value = true;
		r->address = hit->address;
		r->size = hit->size;
		vcpu_read_linear(s->machine, hit->address, &r->value, hit->size < 8 ? hit->size : 8);
		r->text = printed(s, print_value, &q->watched);
	} else if (q->kind->what == EVENT) {
		r->has_address = r->has_value = true;
		r->address = hit->address;
		r->size = hit->size;
		r->value = hit->value;
		r->text = printed(s, print_event, hit);
	} else {
		r->text = printed(s, q->kind->what == SYSCALLS ? print_syscall : print_frame, NULL);
	}
	return false;
}

bool query_add(struct session *s, struct query *q, struct vcpu_place at, uint64_t rip, uint64_t address, unsigned size,
	       uint64_t value, const char *text)
{
	char symbol[160];

	if (q->count == ROWS_MAX || enough(s)) {
		q->full = q->count == ROWS_MAX;
		return false;
	}
	if (q->count == q->room)
		q->rows = needed(realloc(q->rows, (q->room = 2 * q->room + 64) * sizeof *q->rows));
	q->rows[q->count++] = (struct row){ .place = at, .processor = vcpu_running(s->machine), .rip = rip,
					    .address = address, .size = size, .value = value, .has_address = true,
					    .has_value = true, .text = needed(strdup(text)),
					    .symbol = needed(strdup(symbol_text(s, rip, symbol, sizeof symbol))) };
	return true;
}

/* ---- what is asked ---- */

static bool range(struct session *s, const char **args, struct vcpu_debug_catch *c)
{
	uint64_t first;
	struct value v;

	if (!**args)
		return true;
	/* up to the hyphen of a range, which is no minus here */
	first = strtoull(*args, (char **)args, 0);
	c->first = c->last = first;
	if (**args == '-') {
		(*args)++;
		if (!evaluate(s, args, &v) || !value_number(s, &v, &c->last))
			return false;
	}
	return !**args || complaint(s, "query: a number or NUMBER-NUMBER, not %s", *args);
}

/* Set the stop of Q. False, having complained. */
static bool begin(struct session *s, struct query *q, const char *args)
{
	struct vcpu_debug_catch c = { .kinds = q->kind->event, .last = UINT64_MAX, .read = true, .write = true };
	uint64_t at = 0, size;
	const char *rest;

	switch (q->kind->what) {
	case CODE:
	case CALLS:
		if (!place(s, &args, q->kind->what == CALLS, &at))
			return false;
		if (*args)
			return complaint(s, "query: text after the place: %s", args);
		q->id = vcpu_debug_break(s->debug, at, false);
		break;
	case SYSCALLS:
		at = processor_field(s, "lstar");
		if (!at)
			return complaint(
				s, "query syscalls: IA32_LSTAR is 0 at the end of the run: the guest uses no SYSCALL");
		q->id = vcpu_debug_break(s->debug, at, false);
		break;
	case DATA:
		rest = args;
		if (!evaluate(s, &rest, &q->watched))
			return false;
		at = q->watched.address, size = q->watched.in_memory ? q->watched.type->size : 1;
		if (!q->watched.in_memory) {
			/* an address, and perhaps the size of what is there */
			rest = args + strcspn(args, " ");
			rest += strspn(rest, " ");
			size = *rest ? number(rest, 0) : 1;
			rest = args;
			if (!address(s, &rest, &at))
				return false;
			q->watched = (struct value){ .type = type_basic(s, size == 8   ? "u64"
									   : size == 4 ? "u32"
									   : size == 2 ? "u16"
										       : "u8"),
						     .in_memory = true,
						     .address = at };
		}
		if (!size || size > UINT32_MAX)
			return complaint(s, "query: a size in bytes is needed");
		q->id = vcpu_debug_watch(s->debug, at, size, false, q->kind->read, q->kind->write);
		break;
	case EVENT:
		if (!range(s, &args, &c))
			return false;
		q->id = vcpu_debug_catch(s->debug, &c);
		break;
	case STALE:
	case IRQS_OFF:
		if (q->condition || (q->kind->what == STALE && *args))
			return complaint(s, "query %s has no condition and no expression", q->kind->name);
		q->hooked = hooked_begin(s, q, q->kind->what == STALE, number(args, 0));
		return q->hooked;
	case LOCKS:
		if (q->condition)
			return complaint(s, "query locks has no condition");
		q->locks = locks_begin(s, q, number(args, 0));
		return q->locks;
	}
	vcpu_debug_condition(s->debug, stop_counts, s);
	if (q->id < 0)
		return complaint(s, "%s", error_of(s));
	return condition_parses(s, q->condition, q->kind->what == CODE || q->kind->what == CALLS ? at : 0);
}

/* Run from the start to the end of the known run, and go back to HERE. EDGE, if it is not NULL, is called at the start
 * and at the end. */
static bool pass(struct session *s, struct query *q, struct vcpu_place here, void (*edge)(void *user, bool end),
		 void *user)
{
	struct vcpu_place end = vcpu_debug_end(s->debug);
	struct vcpu_debug_stop stop = vcpu_debug_seek(s->debug, vcpu_debug_start(s->debug));
	bool ok = stop.what != VCPU_DEBUG_ERROR;

	s->query = q;
	s->interrupted = false;
	if (ok && edge)
		edge(user, false);
	while (ok && !enough(s) && !q->full && vcpu_instructions(s->machine) < end.instructions) {
		uint64_t before = vcpu_instructions(s->machine);

		stop = vcpu_debug_run(s->debug, end.instructions - before);
		ok = stop.what != VCPU_DEBUG_ERROR;
		if (stop.what == VCPU_DEBUG_END ||
		    (stop.what == VCPU_DEBUG_MACHINE && stop.machine.reason != VCPU_STOP_IDLE &&
		     stop.machine.reason != VCPU_STOP_LIMIT && stop.machine.reason != VCPU_STOP_REQUEST))
			break;
	}
	s->query = NULL;
	if (ok && edge)
		edge(user, true);
	stop = vcpu_debug_seek(s->debug, here);
	if (s->interrupted)
		return complaint(s, "interrupted; %zu rows until then", q->count);
	return (ok && stop.what != VCPU_DEBUG_ERROR) || complaint(s, "%s", error_of(s));
}

bool whole_run(struct session *s, void (*edge)(void *user, bool end), void *user)
{
	static const struct kind none = { .what = CODE };
	struct query q = { .kind = &none, .id = -1 };

	return pass(s, &q, vcpu_where(s->machine), edge, user);
}

/* ---- the table ---- */

/* A field of CSV (RFC 4180). */
static void put_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
	}
	fputc('"', out);
}

static void write_csv(FILE *out, const struct query *q)
{
	fputs("instructions,steps,ns,processor,rip,symbol,address,size,value,text\n", out);
	for (const struct row *r = q->rows; r < q->rows + q->count; r++) {
		fprintf(out, "%" PRIu64 ",%u,%" PRIu64 ",%u,0x%" PRIx64 ",", r->place.instructions, r->place.steps,
			r->place.ns, r->processor, r->rip);
		put_quoted(out, r->symbol);
		if (r->has_address)
			fprintf(out, ",0x%" PRIx64 ",%" PRIu64 ",0x%" PRIx64 ",", r->address, r->size, r->value);
		else
			fputs(",,,,", out);
		put_quoted(out, r->text);
		fputc('\n', out);
	}
}

static void json_row(struct session *s, const struct row *r)
{
	json_open(s, NULL, '{');
	json_number(s, "instructions", (int64_t)r->place.instructions);
	json_number(s, "steps", r->place.steps);
	json_number(s, "ns", (int64_t)r->place.ns);
	json_number(s, "processor", r->processor);
	json_hex(s, "rip", r->rip);
	json_cstring(s, "symbol", r->symbol);
	if (r->has_address) {
		json_hex(s, "address", r->address);
		json_number(s, "size", (int64_t)r->size);
		json_hex(s, "value", r->value);
	}
	json_cstring(s, "text", r->text);
	json_close(s);
}

static void write_json(struct session *s, FILE *out, const struct query *q)
{
	struct json kept = s->json;

	s->json = (struct json){ .to = out };
	json_open(s, NULL, '[');
	for (size_t i = 0; i < q->count; i++)
		json_row(s, &q->rows[i]);
	json_close(s);
	fputc('\n', out);
	s->json = kept;
}

#ifdef HAVE_SQLITE
/* A database of the table "rows", made in memory: the sandbox has the file open, and no other. */
static bool write_sqlite(struct session *s, FILE *out, const struct query *q)
{
	sqlite3_stmt *insert = NULL;
	unsigned char *data = NULL;
	sqlite3_int64 size = 0;
	sqlite3 *db = NULL;
	bool ok;

	ok = sqlite3_open(":memory:", &db) == SQLITE_OK &&
	     sqlite3_exec(
		     db,
		     "CREATE TABLE rows (instructions INTEGER, steps INTEGER, ns INTEGER, processor INTEGER, rip INTEGER, "
		     "symbol TEXT, address INTEGER, size INTEGER, value INTEGER, text TEXT); BEGIN",
		     NULL, NULL, NULL) == SQLITE_OK &&
	     sqlite3_prepare_v2(db, "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &insert, NULL) ==
		     SQLITE_OK;
	for (const struct row *r = q->rows; ok && r < q->rows + q->count; r++) {
		sqlite3_int64 numbers[] = { (sqlite3_int64)r->place.instructions, r->place.steps,
					    (sqlite3_int64)r->place.ns, r->processor, (sqlite3_int64)r->rip };

		for (int i = 0; i < 5; i++)
			sqlite3_bind_int64(insert, i + 1, numbers[i]);
		sqlite3_bind_text(insert, 6, r->symbol, -1, SQLITE_STATIC);
		for (int i = 7; i <= 9; i++)
			sqlite3_bind_null(insert, i);
		if (r->has_address) {
			sqlite3_bind_int64(insert, 7, (sqlite3_int64)r->address);
			sqlite3_bind_int64(insert, 8, (sqlite3_int64)r->size);
			sqlite3_bind_int64(insert, 9, (sqlite3_int64)r->value);
		}
		sqlite3_bind_text(insert, 10, r->text, -1, SQLITE_STATIC);
		ok = sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK;
	}
	sqlite3_finalize(insert);
	ok = ok && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK &&
	     (data = sqlite3_serialize(db, "main", &size, 0));
	if (ok)
		fwrite(data, 1, (size_t)size, out);
	else
		complaint(s, "query: sqlite: %s", db ? sqlite3_errmsg(db) : "no memory");
	sqlite3_free(data);
	sqlite3_close(db);
	return ok;
}
#endif

static bool is_database(const char *path) { return name_ends(path, ".sqlite") || name_ends(path, ".db"); }

static bool write_file(struct session *s, const struct query *q, const char *path)
{
	FILE *file;
	bool ok = true;

	file = create_file(s, path);
	if (!file)
		return false;
#ifdef HAVE_SQLITE
	if (is_database(path))
		ok = write_sqlite(s, file, q);
	else
#endif
	if (name_ends(path, ".json"))
		write_json(s, file, q);
	else
		write_csv(file, q);
	return close_file(s, file, path) && ok;
}

static void show(struct session *s, const struct query *q)
{
	json_open(s, "rows", '[');
	for (size_t i = 0; i < q->count && i < PRINTED_MAX; i++) {
		const struct row *r = &q->rows[i];

		fprintf(s->out, "%" PRIu64, r->place.instructions);
		if (r->place.steps)
			fprintf(s->out, "+%u", r->place.steps);
		if (vcpu_processors(s->machine) > 1)
			fprintf(s->out, " processor %u", r->processor);
		fprintf(s->out, "\t0x%0*" PRIx64 " %s\t%s\n", address_digits(s), r->rip, r->symbol, r->text);
		json_row(s, r);
	}
	json_close(s);
	if (q->count > PRINTED_MAX)
		fprintf(s->out, "and %zu more: query -o FILE writes all of them\n", q->count - PRINTED_MAX);
}

static void usage(struct session *s)
{
	json_open(s, "kinds", '[');
	for (unsigned i = 0; i < KINDS; i++) {
		json_open(s, NULL, '{');
		SHOW_STRING(s, "name", "query %s ", kinds[i].name);
		SHOW_STRING(s, "arguments", "%s\n", kinds[i].args);
		json_close(s);
	}
	json_close(s);
}

bool do_query(struct session *s, const char *args)
{
	char *line = needed(strdup(args)), *rest = line, *condition, *path = NULL;
	struct vcpu_place here = vcpu_where(s->machine);
	struct query q = { .id = -1 };
	const char *name;
	bool ok = false;

	if (!strncmp(rest, "-o ", 3)) {
		rest += 3;
		path = strsep(&rest, " ");
		rest = rest ? rest : line + strlen(args);
	}
	name = strsep(&rest, " ");
	rest = rest ? rest : line + strlen(args);
	condition = cut_condition(rest);
	for (size_t n = strlen(rest); n && rest[n - 1] == ' '; n--)
		rest[n - 1] = 0;
	q.condition = condition;
	for (unsigned i = 0; i < KINDS && !q.kind; i++)
		q.kind = !strcmp(kinds[i].name, name) ? &kinds[i] : NULL;
#ifndef HAVE_SQLITE
	if (path && is_database(path))
		complaint(s, "query: this vcpu-dbg was built without SQLite");
	else
#endif
	if (!*name)
		usage(s), ok = true;
	else if (!q.kind)
		complaint(s, "query: unknown kind %s; query alone lists the kinds", name);
	else if (q.kind->what == SYSCALLS &&
		 vcpu_debug_seek(s->debug, vcpu_debug_end(s->debug)).what == VCPU_DEBUG_ERROR)
		complaint(s, "%s", error_of(s));
	else if (begin(s, &q, rest))
		ok = pass(s, &q, here, NULL, NULL);
	if (q.id >= 0)
		vcpu_debug_delete(s->debug, q.id);
	hooked_end(q.hooked);
	locks_end(q.locks);
	if (ok && q.kind) {
		json_number(s, "count", (int64_t)q.count);
		if (path)
			ok = write_file(s, &q, path);
		else
			show(s, &q);
		fprintf(s->out, "%zu row%s%s\n", q.count, q.count == 1 ? "" : "s",
			q.full ? ", and then the table was full" : "");
	}
	for (size_t i = 0; i < q.count; i++) {
		free(q.rows[i].symbol);
		free(q.rows[i].text);
	}
	free(q.rows);
	free(condition);
	free(line);
	return ok;
}
