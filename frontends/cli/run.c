/* SPDX-License-Identifier: MIT */
/* Run a machine to its end: its output, its input, its pace on a terminal, and how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "diagnosis.h"
#include "ending.h"
#include "gdb.h"
#include "helper.h"
#include "net.h"
#include "sandbox.h"
#include "share.h"

/* Where a channel's bytes go. Channels on stdio share one, so that their bytes stay in order. */
struct sink {
	const char *name; /* for messages */
	int fd;           /* -1: nowhere */
	int error;        /* errno of a write that failed */
	bool stuck;       /* it took nothing when the run had to end */
	size_t len;
	char buffer[8192];
};

struct session {
	vcpu *machine;
	struct sink standard, files[VCPU_CHANNELS];
	struct sink *sinks[VCPU_CHANNELS]; /* NULL: thrown away */
	const struct sink *bad;         /* one that could not be written */
	vcpu_replay *replay;            /* NULL: none, or it is over and the run goes on live */
	FILE *recording;
	struct net *net;                /* NULL: none */
	struct gdb *gdb;                /* NULL: none, or it has gone */
	struct share *share;            /* NULL: none */
	int picture;                    /* for the screenshot */
	const struct face *face;        /* NULL: none */
	bool verbose;
	bool quit;                      /* Ctrl-A X ended the run; */
	bool met;                       /* or its last --expect, */
	bool magic;                     /* or a magic breakpoint */
	bool full;                      /* the host had no room for a disk, and that was said */
	bool lost;                      /* a disk could not be flushed, and that was said */
	bool unseen;                    /* the guest wrote to a screen that there is not */
};

/* A reader that is slow makes the guest wait, but not whoever wants the run to end: for them, what does not go out is
 * lost. */
static void flush(struct sink *s)
{
	size_t done = 0;

	while (done < s->len && !s->error && terminal_wait_writable(s->fd, s->stuck)) {
		/* as much as a pipe takes at once */
		unsigned len = s->len - done < PIPE_BUF ? (unsigned)(s->len - done) : PIPE_BUF;
		ssize_t n = write(s->fd, s->buffer + done, len);

		if (n >= 0) {
			done += (size_t)n;
		} else if (errno == EAGAIN) { /* a terminal with room, but not for a newline */
			nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
			if (terminal_ending())
				break;
		} else if (errno != EINTR) {
			s->error = errno;
		}
	}
	s->stuck |= done < s->len;
	s->len = 0;
}

static void put(struct sink *s, const char *data, size_t len)
{
	while (len) {
		size_t n = sizeof s->buffer - s->len;

		if (n > len)
			n = len;
		memcpy(s->buffer + s->len, data, n);
		s->len += n;
		if (s->len == sizeof s->buffer || memchr(data, '\n', n))
			flush(s);
		data += n;
		len -= n;
	}
}

#define NO_DISPLAY "display: " /* how the line begins that tells of it */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	struct session *s = user;

	if (channel == VCPU_COM1)
		script_hear(data, len);
	if (channel == VCPU_NET && s->net)
		net_output(s->net, data, len, vcpu_virtual_ns(s->machine));
	if (channel == VCPU_SHARE && s->share)
		share_request(s->share, data, len);
	if (channel == VCPU_SOUND && s->face)
		s->face->sound(data, len);
	if (channel == VCPU_HOST_LOG)
		complain("%.*s", (int)len, (const char *)data);
	if (channel == VCPU_LOG) {
		observed_guest_error(data, len);
		s->unseen |= len >= strlen(NO_DISPLAY) && !memcmp(data, NO_DISPLAY, strlen(NO_DISPLAY));
	}
	if (channel == VCPU_LOG && s->verbose)
		fprintf(stderr, "vcpu: guest: %.*s\n", (int)len, (const char *)data);
	if (!s->sinks[channel]) {
		port_write(channel, data, len);
		return;
	}
	put(s->sinks[channel], data, len);
	if (s->sinks[channel]->error)
		s->bad = s->sinks[channel];
	if (s->sinks[channel]->error || s->sinks[channel]->stuck)
		vcpu_stop(s->machine);
}

static void flush_all(struct session *s)
{
	for (unsigned i = 0; i < VCPU_CHANNELS; i++) {
		if (!s->sinks[i])
			continue;
		flush(s->sinks[i]);
		if (s->sinks[i]->error)
			s->bad = s->sinks[i];
	}
}

/* Standard output, without blocking: the flag is of an opening of our own, other programs may have that file, too. */
static int open_standard(void)
{
	struct stat st;
	int fd = -1;

	if (!fstat(STDOUT_FILENO, &st) && (S_ISFIFO(st.st_mode) || isatty(STDOUT_FILENO)))
		fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? STDOUT_FILENO : fd;
}

/* Open the sink for a channel. False, having complained, if its file cannot be made. */
static bool open_sink(struct session *s, enum vcpu_channel channel, const char *where)
{
	struct sink *file = &s->files[channel];

	if (!where || !strcmp(where, "null"))
		return true;
	if (!strcmp(where, "stdio")) {
		if (!s->standard.name)
			s->standard.fd = open_standard();
		s->standard.name = "standard output";
		s->sinks[channel] = &s->standard;
		return true;
	}
	if (strncmp(where, "file:", strlen("file:")))
		return port_open(channel, "serial", where);
	file->name = where + strlen("file:");
	file->fd = open(file->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	s->sinks[channel] = file;
	if (file->fd < 0)
		complain("cannot write %s: %s", file->name, strerror(errno));
	return file->fd >= 0;
}

/* Each piece is given to the host at once: what was recorded when this process dies can be replayed. */
static bool append(void *user, const void *data, size_t len)
{
	FILE *file = user;

	errno = 0;
	return fwrite(data, 1, len, file) == len && !fflush(file);
}

/* Of --gdb unix:PATH[,arch=...]. */
static void remove_socket(const char *where)
{
	char *path = strndup(where, strcspn(where, ","));

	if (path)
		helper_remove(path);
	free(path);
}

static bool start_recording(struct session *s, const struct run_options *o)
{
	struct vcpu_recording recording = { .write = append, .user = s->recording, .embed = o->embed };

	if (s->recording && !ftruncate(fileno(s->recording), 0))
		errno = 0; /* a pipe cannot be cut */
	if (!s->recording || !vcpu_record(s->machine, &recording))
		return true;
	complain("--record %s: %s%s%s", o->record, vcpu_error(s->machine), ferror(s->recording) ? ": " : "",
		 ferror(s->recording) ? strerror(errno) : "");
	return false;
}

/* A recording that could not be written is worth a word, but does not change how the run ended. */
static void end_recording(struct session *s, const char *name)
{
	bool whole;

	if (!s->recording)
		return;
	whole = vcpu_record_end(s->machine, NULL) && !ferror(s->recording);
	if (fclose(s->recording) || !whole)
		complain("%s: the recording is incomplete; its first part can be replayed", name);
	s->recording = NULL;
}

uint64_t host_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void print_fault_chain(vcpu *machine)
{
	struct vcpu_fault faults[16];
	unsigned n = vcpu_fault_chain(machine, faults, 16);
	char text[DIAGNOSIS];

	if (diagnosis_triple_fault(machine, text))
		complain("triple fault: %s", text);
	complain("%s", n ? "the faults that led there, in order:" : "triple fault");
	for (unsigned i = 0; i < n && i < 16; i++) {
		const struct vcpu_fault *f = &faults[i];

		fprintf(stderr, "  %s (vector %u)", vector_name(f->vector), f->vector);
		if (f->has_error)
			fprintf(stderr, " error code %04" PRIx32, f->error);
		fprintf(stderr, " at %04x:%016" PRIx64, f->cs, f->rip);
		if (f->vector == 14)
			fprintf(stderr, " CR2 %016" PRIx64, f->cr2);
		fprintf(stderr, ": %s\n", f->text);
	}
}

/* Instructions between two looks at the terminal; and at a network, where a look late is a packet late. */
enum { SLICE = 4000000, NET_SLICE = 250000 };

/* A machine on a terminal is a companion: when it idles, its virtual time must not rush ahead of the host's, and this
 * process must not keep a processor busy. That does not change what the guest computes, only when it hears of a key. */
struct pace {
	uint64_t host, virtual, instructions; /* when the last slice began */
	int64_t owed;                         /* ns that were not worth sleeping for yet */
};

enum { FACE_NAP = 20000000 }; /* ns */
enum { NAP = 1000000 }; /* ns: below that, going to sleep and waking up is what takes the time */

/* How long to sleep after a slice, ns: what the guest slept, less what the host was slower than the guest's own time. A
 * guest that sleeps for a few microseconds between much work, as it waits for a disk, is not held up. */
static int64_t pace_next(struct pace *p, const vcpu *machine)
{
	uint64_t host = host_ns(), virtual = vcpu_virtual_ns(machine), instructions = vcpu_instructions(machine);
	uint64_t passed = virtual - p->virtual, worked = instructions - p->instructions, took = host - p->host;
	int64_t owed = p->owed + (int64_t)(passed - (worked > took ? worked : took));

	p->virtual = virtual;
	p->instructions = instructions;
	p->owed = owed < 0 || owed >= NAP ? 0 : owed;
	return owed >= NAP ? owed : 0;
}

/* --realtime: how far virtual time is ahead of the host's. Who has fallen behind by more than a second does not run
 * after it. */
static int64_t ahead(uint64_t base[2], const vcpu *machine)
{
	int64_t ns = (int64_t)(vcpu_virtual_ns(machine) - base[0]) - (int64_t)(host_ns() - base[1]);

	if (ns < -1000000000) {
		base[0] = vcpu_virtual_ns(machine);
		base[1] = host_ns();
	}
	return ns > 0 ? ns : 0;
}

/* The guest stands still until there is room. */
static int64_t wait_for_room(struct session *s)
{
	if (!s->full)
		complain("%s; waiting for room", vcpu_error(s->machine));
	s->full = true;
	return 1000000000;
}

static bool is_stdio(const struct run_options *o, enum vcpu_channel channel)
{
	return o->where[channel] && !strcmp(o->where[channel], "stdio");
}

/* Wait up to NS nanoseconds for the network, or for a key, and give the machine what has come. */
static void work_network(struct session *s, int64_t ns)
{
	struct pollfd fds[NET_FDS + CONTROL_FDS];
	unsigned count = net_poll(s->net, fds, NET_FDS, &ns);

	if (count || ns)
		terminal_wait(ns, fds, count + control_fds(fds + count));
	net_deliver(s->net, fds, count, s->machine);
}

/* The same for serial ports that somebody is connected to. */
static void work_ports(struct session *s, int64_t ns)
{
	struct pollfd fds[PORTS + CONTROL_FDS];
	unsigned count = port_fds(fds);

	if (ns)
		terminal_wait(ns, fds, count + control_fds(fds + count));
	port_work(s->machine);
}

/* The same for those who control the run. False: they end it. */
static bool work_control(int64_t ns)
{
	struct pollfd fds[CONTROL_FDS];

	if (ns)
		terminal_wait(ns, fds, control_fds(fds));
	control_work(false);
	return !control_quits();
}

/* One slice of the run, however it is run. */
static struct vcpu_stop run_slice(struct session *s, uint64_t instructions)
{
	uint64_t began = host_ns();
	struct vcpu_stop stop = s->gdb     ? gdb_run(s->gdb, instructions)
			      : s->replay ? vcpu_replay_run(s->replay, s->machine, instructions)
			      : observed() ? observed_run(instructions, &s->magic)
					   : vcpu_run(s->machine, instructions);

	control_ran(began);
	return stop;
}

/* Let gdb have what it wants while the guest stands. False: the run ends. */
static bool serve_gdb(struct session *s)
{
	while (s->gdb) {
		switch (gdb_serve(s->gdb)) {
		case GDB_RUN:
			return true;
		case GDB_GONE: /* a replay under a debugger has nobody else to give it its inputs */
			s->quit = s->replay;
			gdb_close(s->gdb);
			s->gdb = NULL;
			return !s->quit;
		case GDB_KILL:
			s->quit = true;
			return false;
		case GDB_SIGNAL:
			if (terminal_signal())
				return false;
		}
	}
	return true;
}

/* What the main loop of a run has to remember. */
struct loop {
	const struct run_options *o;
	uint64_t slice;                 /* instructions between two looks outside */
	uint64_t realtime[2];           /* virtual and host ns at the beginning */
	struct pace pace;
	bool ports;                     /* there are sockets and pseudo-terminals to wait for */
	bool control;                   /* the same of those who control the run */
	enum vcpu_channel keyboard;     /* which channel the terminal's keys go to */
};

/* The run of a recording. Does it go on? */
static bool replay_goes_on(struct session *s, const struct run_options *o, enum vcpu_stop_reason reason)
{
	if (s->gdb)
		return reason == VCPU_STOP_LIMIT || reason == VCPU_STOP_IDLE || reason == VCPU_STOP_REQUEST;
	if ((reason != VCPU_STOP_LIMIT && reason != VCPU_STOP_REQUEST) || (vcpu_replay_done(s->replay) && !o->live))
		return false;
	if (vcpu_replay_done(s->replay)) {
		s->replay = NULL;
		terminal_open(s->machine, true);
	}
	return true;
}

/* The guest sleeps, and what comes from outside can still be an interrupt. */
static bool may_wake(const struct session *s, const struct loop *l, enum vcpu_stop_reason reason)
{
	return reason == VCPU_STOP_HALT &&
	       (s->face || l->ports || l->control || !terminal_eof() || (s->net && net_connected(s->net))) &&
	       (vcpu_get(s->machine, VCPU_RFLAGS) & 0x200);
}

/* After REASON: false, the run ends; else *WAIT gets the ns to wait for input, -1: until there is some. */
static bool goes_on(struct session *s, struct loop *l, enum vcpu_stop_reason reason, int64_t *wait)
{
	*wait = 0;
	if (reason == VCPU_STOP_HALT && script_waits() && (vcpu_get(s->machine, VCPU_RFLAGS) & 0x200))
		; /* a key of the script can be an interrupt */
	else if (may_wake(s, l, reason))
		*wait = -1;
	else if (reason == VCPU_STOP_DISK_FULL)
		*wait = wait_for_room(s);
	else if (reason == VCPU_STOP_DISK_ERROR && (s->face || terminal_interactive()))
		s->lost = true; /* the guest sees an error and may do what it can, or its user */
	else if (reason != VCPU_STOP_LIMIT && reason != VCPU_STOP_IDLE && reason != VCPU_STOP_REQUEST)
		return false;
	else if (l->o->realtime)
		*wait = ahead(l->realtime, s->machine);
	else if (s->face || l->ports || terminal_interactive() || (s->net && net_connected(s->net)))
		*wait = pace_next(&l->pace, s->machine);
	return true;
}

/* Take in what comes from outside, for WAIT ns at most. False: the user ends the run. */
static bool take_input(struct session *s, const struct loop *l, int64_t wait)
{
	char keys[256];
	size_t len;

	if (s->face && l->control && (wait < 0 || wait > FACE_NAP)) /* a window waits for its own events only */
		wait = FACE_NAP;
	if (s->share)
		share_deliver(s->share, s->machine);
	if (s->net) {
		work_network(s, wait);
		wait = 0;
	}
	if (l->ports) {
		work_ports(s, s->face ? 0 : wait);
		wait = s->face ? wait : 0;
	}
	if (l->control) {
		if (!work_control(s->face ? 0 : wait))
			return false;
		wait = s->face ? wait : 0;
	}
	if (s->face) {
		if (!s->face->step(s->machine, wait))
			return false;
		wait = 0;
	}
	switch (terminal_read(wait, keys, sizeof keys, &len)) {
	case TERMINAL_BYTES:
		if (l->o->text)
			textscreen_keys(s->machine, keys, len);
		else
			vcpu_input(s->machine, l->keyboard, keys, len);
		return true;
	case TERMINAL_QUIT:
		return false;
	default:
		return true;
	}
}

/* Instructions up to the limit, SLICE at most. */
static uint64_t left(const vcpu *machine, uint64_t slice)
{
	uint64_t limit = control_limit(), now = vcpu_instructions(machine);

	return !limit || (limit > now && limit - now > slice) ? slice : limit > now ? limit - now : 0;
}

/* Run until something ends the run. */
static struct vcpu_stop loop(struct session *s, const struct run_options *o)
{
	vcpu *machine = s->machine;
	struct pollfd fds[PORTS], controls[CONTROL_FDS];
	struct loop l = { .o = o, .slice = s->net || s->share ? NET_SLICE : SLICE,
		.realtime = { vcpu_virtual_ns(machine), host_ns() }, .pace = { .host = host_ns() },
		.ports = port_fds(fds), .control = control_fds(controls),
		.keyboard = is_stdio(o, VCPU_CONSOLE) ? VCPU_CONSOLE : VCPU_COM1 };
	struct vcpu_stop stop = { VCPU_STOP_REQUEST, 0 };

	/* A recording that is cut off behind its configuration has nothing to repeat. */
	if (s->replay && !s->gdb && vcpu_replay_done(s->replay) && !replay_goes_on(s, o, VCPU_STOP_LIMIT))
		return (struct vcpu_stop){ VCPU_STOP_LIMIT, 0 };
	while (serve_gdb(s)) {
		int64_t wait;
		bool held = control_holds(&wait);

		terminal_hold(held);
		stop = held ? (struct vcpu_stop){ VCPU_STOP_LIMIT, 0 } : run_slice(s, left(machine, l.slice));
		flush_all(s);
		if (terminal_signal() || s->bad || s->magic ||
		    (stop.reason == VCPU_STOP_LIMIT && !left(machine, l.slice)))
			break;
		if (s->replay) {
			if (!replay_goes_on(s, o, stop.reason))
				break;
			continue;
		}
		if (o->text)
			textscreen_show(machine, host_ns());
		if (!held && ((s->met = script_step(machine)) || !goes_on(s, &l, stop.reason, &wait)))
			break;
		if ((s->quit = !take_input(s, &l, wait)))
			break;
		l.pace.host = host_ns();
	}
	return stop;
}

/* The guest sleeps: WHAT, and why no interrupt comes. */
static void print_sleep(const struct session *s, const char *what, bool for_ever)
{
	vcpu_debug *debug = s->gdb ? NULL : observed_debug(s->machine);
	char text[DIAGNOSIS];

	if (diagnosis_asleep(s->machine, debug, for_ever, text))
		complain("%s: %s", what, text);
	else if (for_ever)
		complain("%s", what);
}

static int status_of(const struct session *s, struct vcpu_stop stop)
{
	if (s->bad) {
		complain("cannot write %s: %s", s->bad->name, strerror(s->bad->error));
		return STATUS_HOST;
	}
	if (s->quit)
		return STATUS_QUIT;
	if (s->magic)
		return STATUS_MAGIC;
	if (script_unmet()) {
		complain("--expect '%s' was not met before the end (%s)", script_unmet(), vcpu_stop_name(stop.reason));
		return STATUS_UNMET;
	}
	if (s->met)
		return STATUS_OK;
	if (s->replay && vcpu_replay_divergence(s->replay)) {
		complain("the run differs from the recording: %s", vcpu_replay_divergence(s->replay));
		return STATUS_DIVERGED;
	}
	if (s->replay && vcpu_replay_done(s->replay) && stop.reason == VCPU_STOP_LIMIT)
		return STATUS_OK;
	if (s->unseen && stop.reason != VCPU_STOP_POWEROFF && stop.reason != VCPU_STOP_DEBUG_EXIT)
		complain("the guest wrote to the screen at B8000h, and there is no display; --display text shows it");
	switch (stop.reason) {
	case VCPU_STOP_DISK_ERROR: /* which VCPU_HOST_LOG has told */
		return STATUS_HOST;
	case VCPU_STOP_POWEROFF:
		return STATUS_OK;
	case VCPU_STOP_DEBUG_EXIT:
		return (int)((stop.code << 1 | 1) & 0xFF);
	case VCPU_STOP_TRIPLE_FAULT:
		print_fault_chain(s->machine);
		return STATUS_TRIPLE_FAULT;
	case VCPU_STOP_LIMIT:
		print_sleep(s, "the guest sleeps", false);
		return STATUS_LIMIT;
	case VCPU_STOP_HALT:
	case VCPU_STOP_IDLE:
		print_sleep(s, "the guest halted, and nothing can wake it", true);
		return STATUS_HALT;
	default:
		complain("%s: %s", vcpu_stop_name(stop.reason), vcpu_error(s->machine));
		return STATUS_HOST;
	}
}

static void print_stats(const vcpu *machine, double seconds, const char *stop)
{
	uint64_t instructions = vcpu_instructions(machine);
	struct vcpu_cache c = vcpu_cache_counts(machine);
	uint64_t blocks = c.blocks_16 + c.blocks_32 + c.blocks_64;
	struct vcpu_memory m = vcpu_memory_counts(machine);

	fprintf(stderr, "{\"instructions\": %" PRIu64 ", \"seconds\": %.6f, \"mips\": %.1f, \"virtual_ns\": %" PRIu64
		", \"state_hash\": \"%016" PRIx64 "\", \"stop\": \"%s\"", instructions, seconds,
		seconds > 0 ? (double)instructions / seconds / 1e6 : 0, vcpu_virtual_ns(machine),
		vcpu_state_hash(machine), stop);
	fprintf(stderr,
		", \"blocks\": {\"16\": %" PRIu64 ", \"32\": %" PRIu64 ", \"64\": %" PRIu64
		", \"operations_each\": %.2f"
		", \"guest_bytes\": %" PRIu64 ", \"single\": %" PRIu64 ", \"stitched\": %" PRIu64
		", \"host_bytes\": %" PRIu64 ", \"links\": %" PRIu64 ", \"stale\": %" PRIu64 ", \"flushes\": %" PRIu64
		"}, \"memory\": {\"own\": %" PRIu64 ", \"shared\": %" PRIu64 ", \"zero\": %" PRIu64 "}}\n",
		c.blocks_16, c.blocks_32, c.blocks_64, blocks ? (double)c.operations / (double)blocks : 0,
		c.guest_bytes, c.single, c.stitched, c.host_bytes, c.links, c.stale, c.flushes, m.own, m.shared, m.zero);
}

static struct session the; /* large, and there is one */

/* A file that is cut when there is something to write. -1, having complained. */
static int open_output(const char *option, const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		complain("%s: cannot write %s: %s", option, name, strerror(errno));
	return fd;
}

static bool open_outputs(struct session *s, const struct run_options *o)
{
	char *error = NULL;
	int fd;

	for (unsigned i = 0; i < VCPU_CHANNELS; i++)
		if (!open_sink(s, i, o->where[i]))
			return false;
	if (o->net || o->pcap) {
		s->net = net_open(o->net ? o->net : "none", o->pcap, &error);
		if (!s->net) {
			complain("network: %s", error ? error : "out of memory");
			free(error);
			return false;
		}
	}
	if (o->share) {
		s->share = share_open(o->share, &error);
		if (!s->share) {
			complain("--share: %s", error ? error : "out of memory");
			free(error);
			return false;
		}
	}
	if (!observed_outputs(o) || !control_open(o))
		return false;
	s->picture = -1;
	if (o->screenshot && (s->picture = open_output("--screenshot", o->screenshot)) < 0)
		return false;
	if (o->record && ((fd = open_output("--record", o->record)) < 0 || !(s->recording = fdopen(fd, "wb"))))
		return false;
	if (o->gdb) {
		s->gdb = gdb_open(o->gdb,
				  &(struct gdb_options){ .files = o->gdb_files, .magic = o->magic, .tell = complain },
				  &error);
		if (!s->gdb) {
			complain("--gdb %s", error ? error : "out of memory");
			free(error);
			return false;
		}
		if (!strncmp(o->gdb, "unix:", 5))
			remove_socket(o->gdb + 5);
	}
	return true;
}

bool run_outputs(const struct run_options *o)
{
	struct sandbox sandbox = { 0 };
	bool ok;

	terminal_signals();
	if (!open_outputs(&the, o))
		return false;
	confine_inputs(&sandbox, o);
	ok = confine(&sandbox, false, o->verbose);
	sandbox_free(&sandbox);
	return ok;
}

/* A machine for S. False, having complained: *STATUS says how the program ends. */
static bool make_machine(struct session *s, const struct run_options *o, int *status)
{
	struct vcpu_config config = o->config;
	char *error = NULL;

	if (s->share)
		config.share = share_tag(s->share);
	config.output = output;
	config.user = s;
	s->replay = o->replay;
	s->machine = o->replay ? vcpu_replay_machine(o->replay, output, s, &error) : vcpu_new(&config, &error);
	if (s->machine) {
		options_limit_time(o, s->machine,
				   o->replay ? vcpu_replay_config(o->replay)->ns_per_instruction_q16
					     : config.ns_per_instruction_q16);
		return true;
	}
	complain(o->replay && error ? "%s (" RECORDING_HINT ")" : "%s", error ? error : "out of memory");
	*status = error ? STATUS_USAGE : STATUS_HOST;
	free(error);
	return false;
}

static bool attach_gdb(struct session *s, const struct run_options *o)
{
	char *error = NULL;

	if (!s->gdb)
		return true;
	if (!gdb_takes_stdio(o->gdb))
		complain("waiting for gdb at %s", o->gdb);
	if (gdb_attach(s->gdb, s->machine, o->replay, &error))
		return true;
	complain("--gdb %s", error ? error : "out of memory");
	free(error);
	gdb_close(s->gdb);
	return false;
}

/* All that must be there before the first instruction. False, having complained. */
static bool get_ready(struct session *s, const struct run_options *o, int *status)
{
	struct sandbox sandbox = { 0 };
	bool ok;

	confine_later(&sandbox, o);
	ok = confine(&sandbox, false, false) && (!o->face || o->face->open(s->machine, o)) &&
	     confine(&sandbox, true, o->verbose);
	sandbox_free(&sandbox);
	*status = ok ? STATUS_USAGE : STATUS_HOST;
	s->face = o->face;
	return ok && start_recording(s, o) && attach_gdb(s, o) && observed_open(o, s->machine);
}

/* The run has ended by STOP: close and finish everything, and say how the program ends. */
static int finish(struct session *s, const struct run_options *o, struct vcpu_stop stop, double seconds)
{
	bool sent = terminal_signal();
	int status;

	control_end();
	terminal_close();
	if (o->text)
		textscreen_end(s->machine);
	end_recording(s, o->record);
	status = sent ? 0 : status_of(s, stop);
	if (s->gdb) {
		gdb_ended(s->gdb, status);
		gdb_close(s->gdb);
	}
	if (o->screenshot && !screenshot(s->machine, s->picture, o->screenshot))
		status = STATUS_HOST;
	if (sent)
		vcpu_stop(s->machine); /* nobody wants to wait for a server now */
	if (vcpu_flush(s->machine)) {
		if (!s->lost && stop.reason != VCPU_STOP_DISK_ERROR)
			complain("%s", vcpu_error(s->machine));
		status = STATUS_HOST;
	}
	if (o->stats)
		print_stats(s->machine, seconds, sent ? "signal" : s->quit ? "quit" : s->magic ? "magic-break" :
			s->met ? "expected" : vcpu_stop_name(stop.reason));
	observed_close();
	share_close(s->share);
	if (s->net && !net_close(s->net)) {
		complain("cannot write %s: %s", o->pcap, strerror(errno));
		status = STATUS_HOST;
	}
	if (s->face)
		s->face->close();
	port_close();
	helper_end();
	return status;
}

int run_machine(const struct run_options *o)
{
	struct session *s = &the;
	struct vcpu_stop stop;
	uint64_t start;
	int status;

	s->verbose = o->verbose;
	if (!o->replays && !run_outputs(o))
		return STATUS_USAGE;
	if (!make_machine(s, o, &status))
		return status;
	if (!get_ready(s, o, &status)) {
		vcpu_free(s->machine);
		return status;
	}
	terminal_open(s->machine, (o->text || is_stdio(o, VCPU_COM1) || is_stdio(o, VCPU_CONSOLE)) && !o->replay);
	control_start(s->machine, o);
	start = host_ns();
	stop = loop(s, o);
	if (stop.reason == VCPU_STOP_TIME) /* which is a limit of ours */
		stop.reason = VCPU_STOP_LIMIT;
	status = finish(s, o, stop, (double)(host_ns() - start) / 1e9);
	vcpu_free(s->machine);
	ending_die();
	return status;
}

int command_run(int argc, char **argv)
{
	struct run_options o;
	int status;

	if (!options_parse(&o, argc, argv, false, &status))
		return status;
	return run_machine(&o);
}
