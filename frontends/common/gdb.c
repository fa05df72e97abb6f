/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "mem/base/compat/text.h"
#include "ending.h"
#include "gdb.h"
#include "gdb_registers.h"
#include "gdb_wire.h"
#include "monitor.h"

enum { POINTS = 1024, DUE = 16, VALUE_MAX = 64 };

/* What vCont or c, s, bc, bs asked for. */
enum going { STANDING, CONTINUE, STEP, BACK, STEP_BACK };

/* Zn packets that are set. */
struct point {
	int id;           /* the debugger's */
	char kind;        /* '0' to '4' */
	uint64_t address, size;
	bool known;       /* VALUE is what was there when gdb went on */
	unsigned char value[VALUE_MAX];
};

struct gdb {
	struct gdb_wire wire;
	struct gdb_options options;
	struct gdb_arch arch;   /* what gdb was told */
	bool arch_fixed;        /* by the user */
	bool moved;             /* the machine, since then */
	bool hinted;            /* gdb's user knows what to do when that changes */
	vcpu *machine;
	vcpu_debug *debug;
	struct session *monitor; /* vcpu-dbg's commands; NULL: not asked for yet */
	bool killed, detached;
	bool replay;            /* the known run is a recording, whose end is one */
	bool in_monitor, interrupted; /* a command runs; gdb has sent a break */
	bool branched;                /* it has changed the machine in the past, and shall be told so when it listens */
	time_t said;                  /* when the last sign of life was sent, in seconds */
	enum going going;
	unsigned thread;        /* the one that registers are asked of, from 0 */
	struct point points[POINTS];
	unsigned count;
	uint64_t due[DUE];      /* where watched values have changed, and gdb has not been told */
	unsigned due_count;
	char stopped[256];      /* the last stop reply */
	char reply[2 * GDB_PACKET + 64];
};

static bool put_text(struct gdb *g, const char *text) { return gdb_wire_put(&g->wire, text, strlen(text)); }

static uint64_t number(const char **text)
{
	char *end;
	uint64_t n = strtoull(*text, &end, 16);

	*text = end;
	return n;
}

/* Text for gdb's user: allowed while the guest runs, and in the answer to a monitor command. */
static void console(struct gdb *g, const char *text, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < GDB_PACKET / 2 - 8 ? len - at : GDB_PACKET / 2 - 8;
		g->reply[0] = 'O';
		gdb_put_hex(g->reply + 1, text + at, n);
		put_text(g, g->reply);
	}
}

/* ---- memory ---- */

/* Through the page tables; without paging, and where gdb asks for what is not mapped, there is nothing. */
static void read_memory(struct gdb *g, const char *text)
{
	uint64_t address = number(&text), len = *text == ',' ? (text++, number(&text)) : 0;
	static unsigned char bytes[GDB_PACKET / 2];
	size_t n = vcpu_read_linear(g->machine, address, bytes, len < sizeof bytes ? (size_t)len : sizeof bytes);

	if (!n && len) {
		put_text(g, "E14");
		return;
	}
	gdb_put_hex(g->reply, bytes, n);
	put_text(g, g->reply);
}

static void write_memory(struct gdb *g, const char *text, const char *end, bool binary)
{
	uint64_t address = number(&text), len = *text == ',' ? (text++, number(&text)) : 0;
	static unsigned char bytes[GDB_PACKET];
	size_t n = 0;

	if (*text++ == ':' && len <= sizeof bytes) {
		if (binary)
			memcpy(bytes, text, n = (size_t)(end - text) < len ? (size_t)(end - text) : (size_t)len);
		else
			n = gdb_get_hex(text, bytes, (size_t)len);
	}
	put_text(g, n == len && vcpu_write_linear(g->machine, address, bytes, n) == n ? "OK" : "E14");
}

/* ---- stops ---- */

static void select_thread(struct gdb *g, unsigned n)
{
	if (n < vcpu_processors(g->machine) && !vcpu_select(g->machine, n))
		g->thread = n;
}

/* gdb asks for the description once, and then disassembles all code alike. */
static void hint_mode(struct gdb *g)
{
	unsigned bits = (unsigned)vcpu_get(g->machine, VCPU_CODE_BITS);
	char text[256];

	g->moved = true;
	if (bits == g->arch.bits || g->hinted || g->arch_fixed)
		return;
	g->hinted = true;
	console(g, text,
		(size_t)snprintf(
			text, sizeof text,
			"This is %u-bit code, and gdb was told of a processor for %u-bit "
			"code. unset tdesc filename\nmakes gdb ask again; monitor x/5i $rip shows the instructions in any case.\n",
			bits, g->arch.bits));
}

/* What gdb is told when it connects: a kernel's file is what gdb is likely to have loaded, too. When it asks again,
 * elsewhere in the run: the mode there. */
static struct gdb_arch arch_here(const struct gdb *g, bool first)
{
	unsigned widest = vcpu_widest_mode(g->machine), kernel = vcpu_kernel_bits(g->machine);
	unsigned bits = (unsigned)vcpu_get(g->machine, VCPU_CODE_BITS);

	if (first && (kernel == 64 || (bits == 32 && kernel != 32)))
		bits = widest;
	return (struct gdb_arch){ bits, widest == 64, !vcpu_get_register(g->machine, VCPU_R16, (uint64_t[1]){ 0 }) };
}

/* Say why it stands: with the thread, and the instruction pointer, which gdb always wants next. */
static void report(struct gdb *g, unsigned signal, const char *why)
{
	unsigned pc = gdb_reg_pc(g->arch);
	char value[64];

	gdb_reg_put(g->machine, gdb_reg(g->arch, pc), value);
	if (g->going != STANDING)
		hint_mode(g);
	snprintf(g->stopped, sizeof g->stopped, "T%02x%sthread:%x;%x:%s;", signal, why, g->thread + 1, pc, value);
	if (g->going != STANDING)
		put_text(g, g->stopped);
	g->going = STANDING;
}

/* One instruction, a device or a repeated string instruction may have changed what several watchpoints watch, and a
 * stop reply has room for one of them. The others follow as soon as gdb goes on. It removes its points while it
 * stands, and sets them again. */
static bool value(const struct gdb *g, const struct point *p, unsigned char out[VALUE_MAX])
{
	return vcpu_read_linear(g->machine, p->address, out, (size_t)p->size) == p->size;
}

static void remember_values(struct gdb *g)
{
	for (unsigned i = 0; i < g->count; i++) {
		struct point *p = &g->points[i];

		p->known = p->kind == '2' && p->size <= VALUE_MAX && value(g, p, p->value);
	}
}

static void find_others(struct gdb *g, const struct point *told)
{
	unsigned char now[VALUE_MAX];

	g->due_count = 0;
	for (unsigned i = 0; i < g->count && g->due_count < DUE; i++) {
		const struct point *p = &g->points[i];

		if (p != told && p->known && value(g, p, now) && memcmp(now, p->value, (size_t)p->size))
			g->due[g->due_count++] = p->address;
	}
}

/* True: gdb was told of one of them, and the machine has not moved. */
static bool tell_others(struct gdb *g)
{
	char why[64];

	while (g->due_count) {
		uint64_t address = g->due[--g->due_count];

		for (unsigned i = 0; i < g->count; i++)
			if (g->points[i].kind == '2' && g->points[i].address == address) {
				snprintf(why, sizeof why, "watch:%" PRIx64 ";", address);
				report(g, 5, why);
				return true;
			}
	}
	return false;
}

static void report_stop(struct gdb *g, const struct vcpu_debug_stop *s)
{
	const struct point *p = NULL;
	char why[64] = "";

	for (unsigned i = 0; i < g->count; i++)
		if (g->points[i].id == s->id)
			p = &g->points[i];
	switch (s->what) {
	case VCPU_DEBUG_BREAK:
		if (p)
			strcpy(why, p->kind == '0' ? "swbreak:;" : "hwbreak:;");
		break;
	case VCPU_DEBUG_WATCH:
		if (p) /* an access may begin before what is watched, and gdb wants to hear of an address in that */
			snprintf(why, sizeof why, "%s:%" PRIx64 ";",
				 p->kind == '2' ? "watch" : p->kind == '3' ? "rwatch" : "awatch",
				 s->address > p->address ? s->address : p->address);
		find_others(g, p);
		break;
	case VCPU_DEBUG_START:
		strcpy(why, "replaylog:begin;");
		break;
	case VCPU_DEBUG_END:
		strcpy(why, "replaylog:end;");
		break;
	default:
		break;
	}
	report(g, s->what == VCPU_DEBUG_ERROR ? 6 : 5, why);
}

/* Asked while the machine goes through its run. gdb gives up on whoever says nothing for a while in a command: so
 * say nothing in so many words. */
static bool may_go_on(void *gdb)
{
	struct gdb *g = gdb;
	time_t now = time(NULL);

	if (g->in_monitor && now != g->said) {
		g->said = now;
		put_text(g, "O");
	}
	g->interrupted |= gdb_wire_interrupted(&g->wire);
	return !g->interrupted && !ending_signal();
}

struct vcpu_stop gdb_run(struct gdb *g, uint64_t instructions)
{
	struct vcpu_stop on = { VCPU_STOP_LIMIT, 0 };
	struct vcpu_debug_stop s;

	g->interrupted = false;
	if (tell_others(g))
		return on;
	remember_values(g);
	switch (g->going) {
	case STEP: s = vcpu_debug_step(g->debug); break;
	case STEP_BACK: s = vcpu_debug_step_back(g->debug); break;
	case BACK: s = vcpu_debug_run_back(g->debug); break;
	default: s = vcpu_debug_run(g->debug, instructions); break;
	}
	if (s.what == VCPU_DEBUG_MACHINE) {
		switch (s.machine.reason) {
		case VCPU_STOP_LIMIT:
		case VCPU_STOP_IDLE:
		case VCPU_STOP_REQUEST:
			if (g->going == STEP || g->interrupted || gdb_wire_interrupted(&g->wire))
				report(g, g->going == STEP ? 5 : 2, "");
			return s.machine;
		case VCPU_STOP_TRIPLE_FAULT:
			report(g, 11, "");
			return on;
		default:
			return s.machine;
		}
	}
	if (s.what == VCPU_DEBUG_END && g->going == CONTINUE && !g->replay)
		return on; /* it only becomes longer */
	report_stop(g, &s);
	return on;
}

void gdb_ended(struct gdb *g, int status)
{
	char text[16];

	if (g->wire.gone || g->going == STANDING)
		return;
	snprintf(text, sizeof text, "W%02x", status & 0xff);
	put_text(g, text);
}

/* ---- break- and watchpoints ---- */

/* Z0, Z1: break; Z2 write, Z3 read, Z4 either. gdb's `kind' of a breakpoint is a length that we need not know. */
static bool point_add(struct gdb *g, char kind, uint64_t address, uint64_t size)
{
	int id;

	if (g->count == POINTS)
		return false;
	id = kind <= '1' ? vcpu_debug_break(g->debug, address, false)
			 : vcpu_debug_watch(g->debug, address, size, false, kind != '2', kind != '3');
	if (id < 0)
		return false;
	g->points[g->count++] = (struct point){ .id = id, .kind = kind, .address = address, .size = size };
	return true;
}

static void point_remove(struct gdb *g, char kind, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < g->count; i++) {
		struct point *p = &g->points[i];

		if (p->kind != kind || p->address != address || p->size != size)
			continue;
		vcpu_debug_delete(g->debug, p->id);
		*p = g->points[--g->count];
		return;
	}
}

static void points(struct gdb *g, const char *text, bool add)
{
	char kind = *text++;
	uint64_t address, size;

	if (kind < '0' || kind > '4' || *text++ != ',') {
		put_text(g, "");
		return;
	}
	address = number(&text);
	size = *text == ',' ? (text++, number(&text)) : 1;
	if (!add)
		point_remove(g, kind, address, size);
	put_text(g, !add || point_add(g, kind, address, size) ? "OK" : "E22");
}

/* ---- monitor commands ---- */

static bool stop_wanted(void *gdb) { return !may_go_on(gdb); }

/* Any command of vcpu-dbg. gdb's console takes replies of any length in pieces, `O' packets, before the last. */
static void monitor(struct gdb *g, const char *line)
{
	const struct vcpu_debug_stop *moved = NULL;
	char *text;

	if (!g->monitor)
		g->monitor = monitor_new(g->machine, g->debug, g->options.files, stop_wanted, g);
	g->in_monitor = true;
	g->interrupted = false;
	text = g->monitor ? monitor_command(g->monitor, line, &moved) : NULL;
	g->in_monitor = false;
	if (!text) {
		put_text(g, "E0c");
		return;
	}
	console(g, text, strlen(text));
	free(text);
	if (moved) {
		static const char hint[] =
			"gdb does not know of it: flushregs (maintenance flush register-cache) shows it the place\n";

		report_stop(g, moved);
		console(g, hint, sizeof hint - 1);
	}
	put_text(g, "OK");
}

/* ---- packets ---- */

/* Is this query NAME, alone or with arguments? */
static const char *query(const char *packet, const char *name)
{
	size_t len = strlen(name);

	return strncmp(packet, name, len) ? NULL : packet + len;
}

static void features_read(struct gdb *g, const char *range)
{
	static char xml[32768];
	uint64_t offset = number(&range), len = *range == ',' ? (range++, number(&range)) : 0;
	size_t all;

	if (!offset && g->moved && !g->arch_fixed) {
		g->arch = arch_here(g, false);
		g->moved = false;
	}
	gdb_target_xml(g->arch, xml, sizeof xml);
	all = strlen(xml);
	if (offset > all)
		offset = all;
	if (len > GDB_PACKET)
		len = GDB_PACKET;
	if (len > all - offset)
		len = all - offset;
	g->reply[0] = offset + len < all ? 'm' : 'l';
	memcpy(g->reply + 1, xml + offset, (size_t)len);
	gdb_wire_put(&g->wire, g->reply, (size_t)len + 1);
}

static void queries(struct gdb *g, const char *p)
{
	const char *rest;

	if (query(p, "qSupported")) {
		snprintf(g->reply, sizeof g->reply,
			 "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;"
			 "ReverseStep+;ReverseContinue+",
			 GDB_PACKET);
		put_text(g, g->reply);
	} else if (query(p, "QStartNoAckMode")) {
		if (put_text(g, "OK"))
			gdb_wire_end_acks(&g->wire);
	} else if ((rest = query(p, "qXfer:features:read:target.xml:"))) {
		features_read(g, rest);
	} else if (query(p, "qfThreadInfo")) {
		char *out = g->reply;

		for (unsigned i = 0; i < vcpu_processors(g->machine); i++)
			out += sprintf(out, "%c%x", i ? ',' : 'm', i + 1);
		put_text(g, g->reply);
	} else if (query(p, "qsThreadInfo")) {
		put_text(g, "l");
	} else if ((rest = query(p, "qThreadExtraInfo,"))) {
		char text[32];
		unsigned n = (unsigned)number(&rest);

		gdb_put_hex(g->reply, text, (size_t)snprintf(text, sizeof text, "processor %u", n - 1));
		put_text(g, g->reply);
	} else if (query(p, "qC")) {
		snprintf(g->reply, sizeof g->reply, "QC%x", g->thread + 1);
		put_text(g, g->reply);
	} else if (query(p, "qAttached")) {
		put_text(g, "1");
	} else if ((rest = query(p, "qRcmd,"))) {
		char line[1024];
		size_t n = gdb_get_hex(rest, line, sizeof line - 1);

		line[n] = 0;
		monitor(g, line);
	} else {
		put_text(g, "");
	}
}

static void threads(struct gdb *g, const char *p)
{
	if (*p == 'g' && p[1] != '-') { /* 0: any */
		const char *rest = p + 1;
		uint64_t n = number(&rest);

		if (n)
			select_thread(g, (unsigned)n - 1);
	}
	put_text(g, "OK");
}

static void registers(struct gdb *g, const char *p)
{
	const struct gdb_reg *r;
	unsigned char bytes[16];
	char *out = g->reply;
	const char *rest = p + 1;

	switch (*p) {
	case 'g':
		*out = 0;
		for (unsigned i = 0; (r = gdb_reg(g->arch, i)); i++)
			out = gdb_reg_put(g->machine, r, out);
		put_text(g, g->reply);
		break;
	case 'G':
		for (unsigned i = 0; (r = gdb_reg(g->arch, i)) && strlen(rest) >= 2 * r->bytes;
		     i++, rest += 2 * r->bytes)
			if (gdb_get_hex(rest, bytes, r->bytes) == r->bytes)
				gdb_reg_write(g->machine, r, bytes);
		put_text(g, "OK");
		break;
	default:
		r = gdb_reg(g->arch, number(&rest));
		if (!r) {
			put_text(g, "E00");
		} else if (*p == 'p') {
			gdb_reg_put(g->machine, r, out);
			put_text(g, g->reply);
		} else {
			put_text(g, *rest == '=' && gdb_get_hex(rest + 1, bytes, r->bytes) == r->bytes &&
						    gdb_reg_write(g->machine, r, bytes)
					    ? "OK"
					    : "E00");
		}
	}
}

/* vCont;ACTION[:THREAD]...: all processors go together, so the first action that is no plain `c' counts. */
static enum going wish_of(const char *p)
{
	for (; *p; p++)
		if (p[0] == ';' && (p[1] == 's' || p[1] == 'S'))
			return STEP;
	return CONTINUE;
}

static void one_packet(struct gdb *g, const char *p, size_t len)
{
	switch (*p) {
	case '?':
		put_text(g, g->stopped);
		break;
	case 'g':
	case 'G':
	case 'p':
	case 'P':
		registers(g, p);
		break;
	case 'm':
		read_memory(g, p + 1);
		break;
	case 'M':
	case 'X':
		write_memory(g, p + 1, p + len, *p == 'X');
		break;
	case 'Z':
	case 'z':
		points(g, p + 1, *p == 'Z');
		break;
	case 'c':
	case 's':
		g->going = *p == 'c' ? CONTINUE : STEP;
		break;
	case 'b':
		if (p[1] == 'c' || p[1] == 's')
			g->going = p[1] == 'c' ? BACK : STEP_BACK;
		else
			put_text(g, "");
		break;
	case 'v':
		if (!strcmp(p, "vCont?"))
			put_text(g, "vCont;c;C;s;S");
		else if (query(p, "vCont"))
			g->going = wish_of(p + 5);
		else if (query(p, "vKill"))
			g->killed = true, put_text(g, "OK");
		else
			put_text(g, "");
		break;
	case 'H':
		threads(g, p + 1);
		break;
	case 'T':
		p++;
		put_text(g, number(&p) - 1 < vcpu_processors(g->machine) ? "OK" : "E01");
		break;
	case 'q':
	case 'Q':
		queries(g, p);
		break;
	case 'D':
		put_text(g, "OK");
		g->detached = true;
		gdb_wire_hang_up(&g->wire);
		break;
	case 'k':
		g->killed = true;
		break;
	default: /* not known: an empty reply (appendix E.1) */
		put_text(g, "");
	}
}

/* A change in the past begins another run: that must not go unsaid. */
static void packet(struct gdb *g, const char *p, size_t len)
{
	static const char lost[] = "The machine was changed in the past: what was known of its run after that is "
				   "forgotten.\n";
	struct vcpu_place end = vcpu_debug_end(g->debug), now;

	one_packet(g, p, len);
	now = vcpu_debug_end(g->debug);
	if (now.instructions < end.instructions || (now.instructions == end.instructions && now.steps < end.steps)) {
		g->branched = true;
		if (g->options.tell)
			g->options.tell("gdb changed the machine at instruction %" PRIu64
					": what was known of the run after it is forgotten", now.instructions);
	}
	if (g->branched && g->going != STANDING) { /* now it takes texts */
		g->branched = false;
		console(g, lost, sizeof lost - 1);
	}
}

/* ---- sessions ---- */

struct gdb *gdb_open(const char *where, const struct gdb_options *options, char **error)
{
	struct gdb *g = calloc(1, sizeof *g);
	char place[256], *comma;
	bool ok;

	*error = NULL;
	if (!g)
		return NULL;
	g->options = *options;
	ok = (size_t)snprintf(place, sizeof place, "%s", where) < sizeof place;
	comma = strstr(place, ",arch=");
	if (comma) {
		*comma = 0;
		comma += strlen(",arch=");
		g->arch.bits = !strcmp(comma, "x86-64")  ? 64
			       : !strcmp(comma, "i386")  ? 32
			       : !strcmp(comma, "i8086") ? 16
							 : 0;
		g->arch_fixed = true;
		ok = ok && g->arch.bits;
	}
	errno = EINVAL;
	if (gdb_wire_open(&g->wire, place) && ok)
		return g;
	if (asprintf(error, errno == EINVAL ? "%s: that is neither unix:PATH, [HOST]:PORT nor stdio, perhaps with ,arch=i8086, ,arch=i386 or ,arch=x86-64"
		     : "%s: cannot listen there: %s", where, strerror(errno)) < 0)
		*error = NULL;
	gdb_close(g);
	return NULL;
}

void gdb_close(struct gdb *g)
{
	if (!g)
		return;
	gdb_wire_close(&g->wire);
	monitor_free(g->monitor);
	vcpu_debug_free(g->debug);
	free(g);
}

bool gdb_attach(struct gdb *g, vcpu *machine, const vcpu_replay *replay, char **error)
{
	g->machine = machine;
	g->replay = replay;
	if (g->arch_fixed)
		g->arch.extended = vcpu_widest_mode(machine) == 64;
	else
		g->arch = arch_here(g, true);
	if (g->arch.bits < vcpu_widest_mode(machine) && !g->arch_fixed && g->options.tell)
		g->options.tell("gdb is told of a processor for %u-bit code; ,arch=x86-64 or ,arch=i386 behind WHERE says "
				"otherwise", g->arch.bits);
	while (!gdb_wire_accept(&g->wire)) {
		if (errno == EPROTO) {
			if (g->options.tell && g->wire.stranger >= 0)
				g->options.tell("gdb: hung up on a client that is no gdb: its first byte is %02xh",
						(unsigned)g->wire.stranger);
			else if (g->options.tell)
				g->options.tell("gdb: hung up on a client that is no gdb: it said nothing");
			continue;
		}
		if (asprintf(error, "gdb: %s", strerror(errno)) < 0)
			*error = NULL;
		return false;
	}
	g->debug = vcpu_debug_new(machine, replay, error);
	if (!g->debug || (g->options.magic && vcpu_debug_magic(g->debug) < 0))
		return false;
	vcpu_debug_progress(g->debug, may_go_on, g);
	report(g, 5, "");
	return true;
}

enum gdb_wish gdb_serve(struct gdb *g)
{
	while (g->going == STANDING && !g->wire.gone && !g->killed) {
		ptrdiff_t len = gdb_wire_get(&g->wire);

		if (len < 0 && !g->wire.gone)
			return GDB_SIGNAL;
		if (len >= 0)
			packet(g, g->wire.packet, (size_t)len);
	}
	if (g->killed)
		return GDB_KILL;
	if (!g->wire.gone)
		return GDB_RUN;
	if (g->wire.listener < 0 && !g->detached) /* a gdb that died on our stdio: nobody else could stop this run */
		return GDB_KILL;
	while (g->count) /* nobody is there to hear of them */
		vcpu_debug_delete(g->debug, g->points[--g->count].id);
	return GDB_GONE;
}
