/* SPDX-License-Identifier: MIT */
/* Watched memory: its values before and after an access. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

/* ---- values ---- */

struct watched {
	struct value value;          /* the watched value; its format for print */
	char format;
	bool on_change;              /* accesses that leave the value as it was do not count */
	struct content *before, *after; /* value at the access that was reported last; NULL: not known */
	uint64_t before_at, after_at; /* physical: the linear address is of one address space */
};

/* The value now; NULL: it cannot be read. */
static struct content *content_now(struct session *s, const struct stop *p, uint64_t *at)
{
	const struct value *v = &p->watched->value;
	size_t size = v->type->size;
	struct content *c = size > 0 && size <= 4096 ? malloc(sizeof *c + size) : NULL;

	*at = v->address;
	if (!c)
		return NULL;
	c->address = v->address;
	c->size = size;
	if ((p->physical ? vcpu_read_physical : vcpu_read_linear)(s->machine, v->address, c->bytes, size) == size &&
	    (p->physical || vcpu_debug_translate(s->debug, v->address, at)))
		return c;
	free(c);
	return NULL;
}

static bool same(const struct watched *w)
{
	return w->before && w->after && w->before_at == w->after_at && !memcmp(w->before->bytes, w->after->bytes,
		w->before->size);
}

void watch_end(struct stop *p)
{
	if (!p->watched)
		return;
	free(p->watched->before);
	free(p->watched->after);
	free(p->watched);
	free(p->expression);
	p->watched = NULL;
}

void watches_look(struct session *s)
{
	for (unsigned i = 0; i < s->nstops; i++) {
		struct watched *w = s->stops[i].watched;

		if (!w)
			continue;
		free(w->after);
		w->after = content_now(s, &s->stops[i], &w->after_at);
	}
}

/* The library reports each access since watches_look, so the value after one access is the value before the next. On
 * the way back the library executes pieces of the run: only the value after an access is known, and the value before it
 * is in memory once the machine stands there. */
bool watch_counts(struct session *s, struct stop *p, const struct vcpu_debug_stop *hit)
{
	struct watched *w = p->watched;

	if (!w)
		return true;
	free(w->before);
	w->before = w->after;
	w->before_at = w->after_at;
	w->after = content_now(s, p, &w->after_at);
	return s->backwards || !hit->write || !w->on_change || !same(w);
}

bool watch_went_back(struct session *s, struct stop *p)
{
	struct watched *w = p->watched;

	free(w->before);
	w->before = content_now(s, p, &w->before_at);
	return !w->on_change || !same(w);
}

static void print_content(struct session *s, const struct watched *w, const struct content *c, const char *title,
	const char *name)
{
	struct value v = w->value;

	if (!c)
		return;
	v.held = c;
	fprintf(s->out, "%s = ", title);
	value_print(s, &v, w->format);
	json_open(s, name, '{');
	value_json_members(s, &v);
	json_close(s);
}

/* The name that gdb prints, at a stop and in a list. */
static const char *title(const struct stop *p)
{
	return !p->reads ? "Hardware watchpoint" : p->writes ? "Hardware access (read/write) watchpoint" :
		"Hardware read watchpoint";
}

const char *watch_kind(const struct stop *p)
{
	return !p->reads ? "hw watchpoint" : p->writes ? "acc watchpoint" : "read watchpoint";
}

void watch_print(struct session *s, struct stop *p, bool back)
{
	struct watched *w = p->watched;

	fprintf(s->out, "\n%s %d: %s\n\n", title(p), p->number, p->expression);
	if (same(w)) {
		print_content(s, w, w->after, "Value", "value");
	} else { /* in the order of the run, as in gdb */
		print_content(s, w, back ? w->after : w->before, "Old value", "old");
		print_content(s, w, back ? w->before : w->after, "New value", "new");
	}
}

/* ---- commands ---- */

/* The address and size of a variable; else a number as the address, and the size after it. */
static bool find_watched(struct session *s, const char *args, struct value *v, char *format)
{
	static const char *const types[] = { "u8", "u16", NULL, "u32", NULL, NULL, NULL, "u64" };
	const char *start = args;
	uint64_t at, size = 8;
	struct value n;

	if (!evaluate(s, &args, v))
		return false;
	*format = 0;
	if (v->in_memory && !*args && v->type->size)
		return true;
	if (!v->in_memory && v->reg && !strchr("$%(", *start))
		return complaint(s, "%s is in a register: only memory can be watched", start);
	if (v->in_memory)
		at = v->address, size = v->type->size ? v->type->size : 8;
	else if (!address(s, &start, &at))
		return false;
	if (*args && (!evaluate(s, &args, &n) || !value_number(s, &n, &size)))
		return false;
	*v = (struct value){ .in_memory = true, .address = at };
	*format = 'x';
	v->type = size - 1 < 8 && types[size - 1] ? type_basic(s, types[size - 1])
						  : type_array(s, type_basic(s, "u8"), size);
	return true;
}

static bool add_watch(struct session *s, const char *args, bool physical, bool read, bool write)
{
	char *copy = needed(strdup(args)), *condition = cut_condition(copy), text[160], name[128];
	struct watched w = { .on_change = !read && !physical };
	struct stop *p;

	if (!find_watched(s, copy, &w.value, &w.format) || !condition_parses(s, condition, linear_rip(s))) {
		free(copy);
		free(condition);
		return false;
	}
	snprintf(text, sizeof text, "on %s of %" PRIu64 " bytes at %s0x%" PRIx64 "%s",
		 !read   ? "writes"
		 : write ? "accesses"
			 : "reads",
		 w.value.type->size, physical ? "physical " : "", w.value.address,
		 physical ? "" : symbol_text(s, w.value.address, name, sizeof name));
	p = stop_add(s, (struct stop){
		.id = vcpu_debug_watch(s->debug, w.value.address, w.value.type->size, physical, read, write),
			.kind = STOP_WATCH,
		.physical = physical, .reads = read, .writes = write, .what = needed(strdup(text)),
		.condition = condition,
		.expression = copy, .watched = needed(memcpy(needed(malloc(sizeof w)), &w, sizeof w)) });
	if (!p)
		return false;
	watches_look(s);
	fprintf(s->out, "%s %d: %s\n", title(p), p->number, p->expression);
	json_number(s, "id", p->number);
	json_hex(s, "address", w.value.address);
	json_number(s, "size", (int64_t)w.value.type->size);
	return true;
}

bool do_watch(struct session *s, const char *args) { return add_watch(s, args, false, false, true); }
bool do_rwatch(struct session *s, const char *args) { return add_watch(s, args, false, true, false); }
bool do_awatch(struct session *s, const char *args) { return add_watch(s, args, false, true, true); }
bool do_pwatch(struct session *s, const char *args) { return add_watch(s, args, true, false, true); }

bool do_last_write(struct session *s, const char *args)
{
	struct vcpu_debug_stop stop;
	uint64_t physical;
	struct value v;
	char format;

	if (!find_watched(s, args, &v, &format))
		return false;
	if (!vcpu_debug_translate(s->debug, v.address, &physical))
		return complaint(s, "this address is not mapped");
	stop = vcpu_debug_last_write(s->debug, physical, v.type->size);
	if (stop.what == VCPU_DEBUG_START)
		fprintf(s->out, "nobody has written there, as far back as is known\n");
	return report(s, stop);
}
