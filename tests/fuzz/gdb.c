/* SPDX-License-Identifier: MIT */
/* What comes from gdb, or from whoever else has connected: packets with strange numbers, packets that are none, noise.
 * The stub must answer or hang up, and never crash.
 *
 *     gdb [SESSIONS [SEED]]
 *
 * Everything follows from SEED: what fails, fails again. Run it in a build with --enable-sanitizers. A session that
 * takes a processor a minute is a hang. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include "frontends/common/gdb.h"

enum { ROOM = 1 << 17 };

static const struct itimerval minute = { .it_value.tv_sec = 60 };
static uint64_t seed;
static unsigned long long packets;
static char session[ROOM];
static size_t have;

static uint64_t next_random(void)
{
	uint64_t r = seed += 0x9e3779b97f4a7c15;

	r = (r ^ r >> 30) * 0xbf58476d1ce4e5b9;
	r = (r ^ r >> 27) * 0x94d049bb133111eb;
	return r ^ r >> 31;
}

static uint64_t below(uint64_t n) { return next_random() % n; }

/* An address, a length, a number of a register. */
static uint64_t number(void)
{
	switch (below(6)) {
	case 0: return below(64);
	case 1: return 0x7c00 + below(16);
	case 2: return below(1 << 20);
	case 3: return next_random() >> below(64);
	case 4: return ~(uint64_t)0 - below(16);
	default: return (uint64_t)1 << below(64);
	}
}

/* %x a number; %h some bytes in hexadecimal; %b bytes as they are; %w a word of those that follow the packets' names.
 * */
static const char *const forms[] = {
	"?", "g", "G%h", "p%x", "P%x=%h", "m%x,%x", "m%x,4", "M%x,%x:%h", "X%x,%x:%b", "Z0,%x,1", "Z1,%x,1", "Z2,%x,%x",
		"Z3,%x,8", "Z4,%x,%x", "z0,%x,1", "z2,%x,%x",
	"Z%x,%x", "c", "c%x", "s", "s", "bc", "bs", "bs", "vCont?", "vCont;c", "vCont;s:%x", "vCont;%b",
	"vMustReplyEmpty", "Hg%x", "Hg-1", "Hc%x", "T%x", "qSupported:%b",
	"QStartNoAckMode", "qXfer:features:read:target.xml:%x,%x", "qXfer:%b", "qfThreadInfo", "qsThreadInfo",
	"qThreadExtraInfo,%x", "qC", "qAttached",
	"qRcmd,%h", "qRcmd,7768656e", "qRcmd,68617368", "qRcmd,706879736963616c20%h", "qRcmd,6c6173742d777269746520%h",
	"D", "k", "vKill;1", "%b", "q%b", "",
};

static void put(char c)
{
	if (have < ROOM)
		session[have++] = c;
}

static void put_form(const char *form)
{
	char text[32];
	uint64_t n;

	for (; *form; form++) {
		if (*form != '%') {
			put(*form);
			continue;
		}
		switch (*++form) {
		case 'x':
			snprintf(text, sizeof text, "%" PRIx64, number());
			for (const char *p = text; *p; p++)
				put(*p);
			break;
		case 'h':
			for (n = below(32) ? 2 * below(20) + below(8) / 7 : below(40000); n-- > 0;)
				put("0123456789abcdef"[below(16)]);
			break;
		default:
			for (n = below(32) ? below(20) : below(40000); n-- > 0;)
				put((char)next_random());
		}
	}
}

static void put_packet(void)
{
	unsigned char sum = 0;
	size_t from;

	packets++;
	if (!below(32)) {
		put_form("%b"); /* noise between packets, or a break */
		return;
	}
	put('$');
	from = have;
	put_form(forms[below(sizeof forms / sizeof *forms)]);
	if (!below(16) && have > from)
		session[from + below(have - from)] = (char)next_random();
	for (size_t i = from; i < have; i++)
		sum = (unsigned char)(sum + (unsigned char)session[i]);
	put('#');
	put("0123456789abcdef"[sum >> 4]);
	put(below(32) ? "0123456789abcdef"[sum & 15] : 'x');
}

/* Standard input is the session, standard output nobody. */
static void connect_session(void)
{
	int file = memfd_create("session", 0);

	if (file < 0 || write(file, session, have) != (ssize_t)have || lseek(file, 0, SEEK_SET) ||
	    dup2(file, STDIN_FILENO) < 0) {
		perror("session");
		exit(2);
	}
	close(file);
}

static vcpu *new_machine(void)
{
	static const unsigned char code[512] = { 0xfe, 0x06, 0x00, 0x06, 0x8e,         0xd8,
						 0x60, 0x61, 0xeb, 0xf6, [510] = 0x55, 0xaa };
	struct vcpu_config config = {
		.memory = 1 << 20, .kernel_data = code, .kernel_size = sizeof code, .processors = 1 + (unsigned)below(2)
	};
	char *error = NULL;
	vcpu *v = vcpu_new(&config, &error);

	if (!v) {
		fprintf(stderr, "%s\n", error);
		exit(2);
	}
	vcpu_run(v, 1000);
	return v;
}

int main(int argc, char **argv)
{
	unsigned long long sessions = argc > 1 ? strtoull(argv[1], NULL, 0) : 300;
	int out = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
	vcpu *machine = NULL;

	seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	if (out < 0 || null < 0 || dup2(null, STDOUT_FILENO) < 0)
		return 2;
	for (unsigned long long i = 0; i < sessions; i++) {
		static const char *const places[] = { "stdio", "stdio,arch=i386", "stdio,arch=x86-64" };
		char *error = NULL;
		struct gdb *g;

		setitimer(ITIMER_PROF, &minute, NULL);
		if (i % 50 == 0) {
			vcpu_free(machine);
			machine = new_machine();
		}
		have = 0;
		for (uint64_t n = 1 + below(60); n-- > 0;)
			put_packet();
		connect_session();
		g = gdb_open(places[below(3)], &(struct gdb_options){ 0 }, &error);
		if (!g || !gdb_attach(g, machine, NULL, &error)) {
			fprintf(stderr, "%s\n", error ? error : "no memory");
			return 1;
		}
		for (unsigned runs = 0; runs < 200 && gdb_serve(g) == GDB_RUN; runs++)
			gdb_run(g, 500);
		gdb_close(g);
	}
	vcpu_free(machine);
	dup2(out, STDOUT_FILENO);
	printf("%llu sessions, %llu packets\n1 passed, 0 failed\n", sessions, packets);
	return 0;
}
