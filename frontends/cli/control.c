/* SPDX-License-Identifier: MIT */
/* --control: the commands of vcpuctl(1), of which a table has all that there is to say. What changes the guest is input
 * between two instructions (vcpu_input), so that a recording has it. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "mem/base/compat/text.h"
#include "ending.h"

static struct {
	vcpu *machine;               /* NULL: it is not running yet, or no more */
	const struct run_options *options;
	uint64_t limit;              /* instructions; 0: none */
	uint64_t share;              /* of a processor of the host, percent */
	uint64_t rest;               /* host ns until which the guest stands for that */
	bool stopped, quit;
	bool busy;                   /* in the middle of an instruction, whose output nobody takes */
} control = { .share = 100 };

/* ---- keys ---- */

/* Scan codes, set 1; E0h is in bits 15..8. */
static const struct { const char *name; uint16_t code; } keys[] = {
	{ "esc", 0x01 }, { "backspace", 0x0e }, { "tab", 0x0f }, { "ret", 0x1c }, { "ctrl", 0x1d }, { "shift", 0x2a },
	{ "alt", 0x38 }, { "spc", 0x39 }, { "caps_lock", 0x3a }, { "sysrq", 0x54 }, { "f11", 0x57 }, { "f12", 0x58 },
	{ "home", 0xe047 }, { "up", 0xe048 }, { "pgup", 0xe049 }, { "left", 0xe04b }, { "right", 0xe04d },
	{ "end", 0xe04f }, { "down", 0xe050 }, { "pgdn", 0xe051 }, { "insert", 0xe052 }, { "delete", 0xe053 },
};

static unsigned key_code(const char *name)
{
	static const struct { const char *letters; unsigned first; } rows[] = {
		{ "1234567890-=", 0x02 }, { "qwertyuiop", 0x10 }, { "asdfghjkl", 0x1e }, { "zxcvbnm", 0x2c }
	};
	const char *at;
	unsigned n;
	char more;

	for (size_t i = 0; *name && !name[1] && i < sizeof rows / sizeof *rows; i++)
		if ((at = strchr(rows[i].letters, *name)))
			return rows[i].first + (unsigned)(at - rows[i].letters);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!strcmp(keys[i].name, name))
			return keys[i].code;
	return sscanf(name, "f%2u%c", &n, &more) == 1 && n >= 1 && n <= 10 ? 0x3a + n : 0;
}

/* All go down in this order, and up in the other. */
static const char *command_key(char *text)
{
	enum { KEYS = 8 };
	unsigned codes[KEYS], count = 0, len = 0;
	unsigned char bytes[KEYS * 4];

	for (; text && count < KEYS; count++)
		if (!(codes[count] = key_code(strsep(&text, "+"))))
			return "there is no such key; keys are a to z, 0 to 9, ret, ctrl+alt+delete, f1, up and so on";
	if (text)
		return "that are too many keys";
	for (unsigned i = 0; i < 2 * count; i++) {
		unsigned code = i < count ? codes[i] : codes[2 * count - 1 - i];

		if (code >> 8)
			bytes[len++] = (unsigned char)(code >> 8);
		bytes[len++] = (unsigned char)(code | (i < count ? 0 : 0x80));
	}
	return vcpu_input(control.machine, VCPU_KEYBOARD, bytes, len) ? vcpu_error(control.machine) : NULL;
}

/* ---- commands: NULL, or why not ---- */

static const char *command_status(char *text)
{
	(void)text;
	return NULL; /* every answer has it */
}

static const char *command_stop(char *text)
{
	(void)text;
	control.stopped = true;
	vcpu_stop(control.machine);
	return NULL;
}

static const char *command_continue(char *text)
{
	(void)text;
	control.stopped = false;
	return NULL;
}

static const char *command_type(char *text)
{
	return script_type(control.machine, text) ? NULL : vcpu_error(control.machine);
}

static const char *press(enum vcpu_channel button)
{
	return vcpu_input(control.machine, button, NULL, 0) ? vcpu_error(control.machine) : NULL;
}

static const char *command_nmi(char *text) { return (void)text, press(VCPU_NMI); }
static const char *command_reset(char *text) { return (void)text, press(VCPU_RESET); }
static const char *command_powerdown(char *text) { return (void)text, press(VCPU_POWER); }

static const char *command_limit(char *text)
{
	static const char usage[] = "usage: limit instructions=N|none or limit share=1..100";
	char *value = strchr(text, '='), *end;
	bool none = value && !strcmp(value + 1, "none");
	struct run_options o = *control.options;
	unsigned long long n;

	errno = 0;
	n = value && value[1] >= '0' && value[1] <= '9' ? strtoull(value + 1, &end, 10) : 0;
	if (errno || !value || (!none && (!n || *end)))
		return usage;
	*value = 0;
	if (!strcmp(text, "share") && !none && n <= 100) {
		control.share = n;
		return NULL;
	}
	if (strcmp(text, "instructions"))
		return usage;
	control.limit = o.limit = n;
	options_limit_time(&o, control.machine, o.config.ns_per_instruction_q16);
	return NULL;
}

static const char *command_quit(char *text)
{
	(void)text;
	control.quit = true;
	vcpu_stop(control.machine);
	return NULL;
}

static const char *command_force(char *text)
{
	(void)text;
	ending_ask(SIGTERM);
	return NULL;
}

static const struct command {
	const char *name;
	enum control_class class;
	bool argument;
	bool between;     /* needs the machine to stand between two instructions */
	const char *(*run)(char *text);
} commands[] = {
	{ "status", CONTROL_G, false, false, command_status },
	{ "stop", CONTROL_G, false, false, command_stop },
	{ "continue", CONTROL_G, false, false, command_continue },
	{ "key", CONTROL_G, true, true, command_key },
	{ "type", CONTROL_G, true, true, command_type },
	{ "nmi", CONTROL_G, false, true, command_nmi },
	{ "reset", CONTROL_G, false, true, command_reset },
	{ "powerdown", CONTROL_G, false, true, command_powerdown },
	{ "quit", CONTROL_G, false, false, command_quit },
	{ "limit", CONTROL_A, true, true, command_limit },
	{ "force", CONTROL_A, false, false, command_force },
};

static const char *run(const struct control_peer *peer, char *request)
{
	const struct command *c = commands, *end = commands + sizeof commands / sizeof *commands;
	char *text = strchr(request, ' ');

	if (text)
		*text++ = 0;
	while (c < end && strcmp(c->name, request))
		c++;
	if (c == end)
		return "there is no such command";
	if (c->class > peer->class)
		return "that needs class a";
	if (c->argument != (text && *text))
		return c->argument ? "that needs an argument" : "that takes no argument";
	if (!control.machine)
		return "the machine does not run";
	if (c->between && control.busy)
		return "the output of the machine is not read, and the guest waits in an instruction";
	return c->run(text);
}

static void answer(const struct control_peer *peer, char *request, char reply[CONTROL_LINE])
{
	const char *error = run(peer, request);

	if (error) {
		snprintf(reply, CONTROL_LINE, "error %s", error);
		return;
	}
	snprintf(reply, CONTROL_LINE,
		 "ok state=%s class=%c pid=%ld uid=%ld instructions=%" PRIu64 " virtual_ns=%" PRIu64 " limit=%" PRIu64
		 " share=%" PRIu64 " memory=%" PRIu64,
		 control.quit      ? "ending"
		 : control.stopped ? "stopped"
		 : control.busy    ? "blocked"
				   : "running",
		 peer->class == CONTROL_A ? 'a' : 'g', (long)getpid(), (long)geteuid(),
		 vcpu_instructions(control.machine), vcpu_virtual_ns(control.machine), control.limit, control.share,
		 vcpu_memory_counts(control.machine).own);
}

/* ---- the run ---- */

bool control_open(const struct run_options *o)
{
	for (unsigned i = 0; i < o->ncontrols; i++) {
		char *error = control_listen(o->controls[i]);

		if (!error)
			continue;
		complain("--control %s", error);
		free(error);
		return false;
	}
	return true;
}

void control_start(vcpu *machine, const struct run_options *o)
{
	control.machine = machine;
	control.options = o;
	control.limit = o->limit;
}

void control_end(void) { control.machine = NULL; }
uint64_t control_limit(void) { return control.limit; }
bool control_quits(void) { return control.quit; }

bool control_holds(int64_t *ns)
{
	uint64_t now = control.rest ? host_ns() : 0;

	*ns = control.stopped ? -1 : (int64_t)(control.rest - now);
	return control.stopped || now < control.rest;
}

void control_ran(uint64_t since)
{
	uint64_t now = host_ns();

	control.rest = control.share < 100 ? now + (now - since) * (100 - control.share) / control.share : 0;
}

void control_work(bool busy)
{
	control.busy = busy;
	control_serve(answer);
}
