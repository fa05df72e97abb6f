/* SPDX-License-Identifier: MIT */
/* What vcpu.js calls beside the functions of <vcpu*.h>, all of which the module exports: a machine from names and values,
 * stops and places as numbers, the debugger's commands, and what happened along a run. An instance of the module has one
 * machine. Text that is returned belongs to the module and is valid until the next call that returns text. */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <vcpu_snapshot.h>

#include "debugger.h"

#define EXPORT(name) __attribute__((export_name(#name))) name
#define IMPORT(name) __attribute__((import_module("vcpu"), import_name(#name))) name

/* vcpu.js: output of the machine, the next bytes of a recording (false: no room), and whether a command may go on. */
void IMPORT(web_output)(int channel, const void *data, size_t len);
bool IMPORT(web_write)(const void *data, size_t len);
bool IMPORT(web_go_on)(void);

static struct vcpu_config config;
static struct vcpu_drive drives[VCPU_DRIVES];
static const char *loads[VCPU_LOADS];
static vcpu *machine;
static vcpu_replay *replay;
static struct session session;
static char *error, *text;
static FILE *said;               /* COM1 during a command; NULL: no command runs */

/* ---- text and errors ---- */

static const char *give(char *t)
{
	free(text);
	text = t;
	return t ? t : "";
}

/* The reason of the last call that failed and has none of vcpu_error. */
const char *EXPORT(web_error)(void)
{
	return error ? error : "";
}

static void forget_error(void)
{
	free(error);
	error = NULL;
}

/* ---- the machine ---- */

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user;
	if (channel == VCPU_COM1 && said)
		fwrite(data, 1, len, said);
	web_output(channel, data, len);
}

enum kind { TEXT, U64, UNSIGNED, FLAG };
static const struct config_member { const char *name; size_t offset; enum kind kind; } members[] = {
#define MEMBER(name, kind) { #name, offsetof(struct vcpu_config, name), kind }
	MEMBER(engine, UNSIGNED),
	MEMBER(memory, U64), MEMBER(cpu, TEXT), MEMBER(bare, FLAG), MEMBER(kernel, TEXT), MEMBER(initrd, TEXT),
	MEMBER(append, TEXT), MEMBER(processors, UNSIGNED), MEMBER(bios, TEXT), MEMBER(vars, TEXT),
	MEMBER(display, TEXT), MEMBER(ide, FLAG), MEMBER(boot, TEXT), MEMBER(nic, TEXT), MEMBER(console, FLAG),
	MEMBER(rng, FLAG), MEMBER(share, TEXT), MEMBER(sound, FLAG), MEMBER(serial_instant, FLAG),
	MEMBER(test_ports, FLAG), MEMBER(no_skip_waiting, FLAG), MEMBER(ns_per_instruction_q16, U64),
	MEMBER(seed, U64), MEMBER(rtc, U64),
#undef MEMBER
};

/* A member of struct vcpu_config: numbers in decimal. False: there is no such member. */
bool EXPORT(web_set)(const char *name, const char *value)
{
	for (const struct config_member *m = members; m < members + sizeof members / sizeof *members; m++) {
		char *at = (char *)&config + m->offset;

		if (strcmp(m->name, name))
			continue;
		switch (m->kind) {
		case TEXT: *(const char **)at = needed(strdup(value)); break;
		case U64: *(uint64_t *)at = strtoull(value, NULL, 10); break;
		case UNSIGNED: *(unsigned *)at = (unsigned)strtoul(value, NULL, 10); break;
		case FLAG: *(bool *)at = strtoul(value, NULL, 10); break;
		}
		return true;
	}
	return false;
}

/* IMAGE "": an empty drive. False: there are too many. */
bool EXPORT(web_drive)(enum vcpu_bus bus, bool cdrom, const char *image)
{
	if (config.drives_count == VCPU_DRIVES)
		return false;
	drives[config.drives_count++] =
		(struct vcpu_drive){ *image ? needed(strdup(image)) : NULL, bus, cdrom };
	config.drives = drives;
	return true;
}

bool EXPORT(web_load)(const char *what)
{
	if (config.loads_count == VCPU_LOADS)
		return false;
	loads[config.loads_count++] = needed(strdup(what));
	config.loads = loads;
	return true;
}

/* Make the machine of what was set. NULL: web_error. */
vcpu *EXPORT(web_new)(void)
{
	forget_error();
	config.output = output;
	return machine = vcpu_new(&config, &error);
}

/* Open a recording; DATA stays the caller's and is kept. NULL: web_error. */
vcpu_replay *EXPORT(web_open)(const void *data, size_t len)
{
	forget_error();
	return replay = vcpu_replay_open(data, len, &error);
}

vcpu *EXPORT(web_replay_new)(void)
{
	forget_error();
	return machine = vcpu_replay_machine(replay, output, NULL, &error);
}

/* Files that the recording names: one a line. */
const char *EXPORT(web_replay_files)(void)
{
	const struct vcpu_config *c = vcpu_replay_config(replay);
	char *names = NULL;
	size_t len;
	FILE *to = needed(open_memstream(&names, &len));

	if (c) {
		const char *const file[] = { c->kernel, c->initrd, c->bios, c->vars };

		for (unsigned i = 0; i < sizeof file / sizeof *file; i++)
			if (file[i])
				fprintf(to, "%s\n", file[i]);
		for (unsigned i = 0; i < c->drives_count; i++)
			if (c->drives[i].image)
				fprintf(to, "%.*s\n", (int)strcspn(c->drives[i].image, ","), c->drives[i].image);
	}
	fclose(to);
	return give(names);
}

/* ---- stops and places: numbers in an array that stays where it is ---- */

static struct { uint64_t reason, code, address, error, instructions, steps, ns; } numbers;

static void *stopped(struct vcpu_stop stop)
{
	struct vcpu_place at = vcpu_where(machine);

	numbers.reason = stop.reason;
	numbers.code = stop.code;
	numbers.address = stop.address;
	numbers.error = stop.error;
	numbers.instructions = at.instructions;
	numbers.steps = at.steps;
	numbers.ns = at.ns;
	return &numbers;
}

void *EXPORT(web_run)(uint64_t instructions)
{
	return stopped(vcpu_run(machine, instructions));
}

void *EXPORT(web_replay_run)(uint64_t instructions)
{
	return stopped(vcpu_replay_run(replay, machine, instructions));
}

void *EXPORT(web_where)(void)
{
	return stopped((struct vcpu_stop){ 0 });
}

void *EXPORT(web_replay_end)(void)
{
	struct vcpu_place end = vcpu_replay_end(replay);

	numbers.instructions = end.instructions;
	numbers.steps = end.steps;
	numbers.ns = end.ns;
	return &numbers;
}

static bool append(void *user, const void *data, size_t len)
{
	(void)user;
	return web_write(data, len);
}

bool EXPORT(web_record)(bool embed, uint64_t interval)
{
	return !vcpu_record(machine,
			    &(struct vcpu_recording){ .write = append, .embed = embed, .interval = interval });
}

bool EXPORT(web_record_end)(void)
{
	forget_error();
	return vcpu_record_end(machine, &error);
}

/* Save the state: its bytes are vcpu_free_state's. */
static void *state;
const void *EXPORT(web_save)(size_t *len)
{
	forget_error();
	free(state);
	state = NULL;
	return vcpu_save(machine, &state, len, &error) ? state : NULL;
}

bool EXPORT(web_restore)(const void *data, size_t len)
{
	forget_error();
	return vcpu_load(machine, data, len, &error);
}

/* ---- the debugger ---- */

static bool go_on(void *user)
{
	(void)user;
	session.interrupted |= !web_go_on();
	return !session.interrupted;
}

static bool stop_wanted(void *user) { return !go_on(user); }

/* Debug the machine, from its present place. False: web_error. */
bool EXPORT(web_debug)(void)
{
	forget_error();
	session.machine = machine;
	session.debug = vcpu_debug_new(machine, replay, &error);
	session.stop_wanted = stop_wanted;
	if (session.debug)
		vcpu_debug_progress(session.debug, go_on, NULL);
	return session.debug && session_print_to(&session, stdout);
}

void EXPORT(web_debug_limits)(uint64_t bytes, uint64_t interval)
{
	vcpu_debug_limits(session.debug, bytes, interval);
}

/* Do a command of vcpu-dbg; the answer is that of vcpu-dbg --json. */
const char *EXPORT(web_command)(const char *line)
{
	char *answer = NULL;
	size_t len;
	FILE *to = needed(open_memstream(&answer, &len));

	session.interrupted = false;
	json_command(&session, to, &said, line, command, line);
	fclose(to);
	return give(answer);
}

/* The completions of the last word of LINE, a line each. */
const char *EXPORT(web_complete)(const char *line)
{
	char *words = NULL;
	const char *word;
	size_t len, start = strlen(line);
	FILE *to = needed(open_memstream(&words, &len));

	while (start && line[start - 1] != ' ')
		start--;
	for (unsigned i = 0; (word = completion(&session, line, (unsigned)start, i)) && word != completion_file; i++)
		fprintf(to, "%s\n", word);
	fclose(to);
	return give(words);
}

/* ---- what happens along a run ---- */

/* A run is cut into stretches of 2^shift instructions. When there are too many, two become one. */
enum { STRETCHES = 2048 };
struct stretch { uint32_t interrupts, faults, traps, switches; };
static struct { uint32_t shift, used; struct stretch stretches[STRETCHES]; } timeline = { .shift = 10 };

static void join(void)
{
	for (unsigned i = 0; i < STRETCHES / 2; i++) {
		const struct stretch *a = &timeline.stretches[2 * i], *b = a + 1;

		timeline.stretches[i] =
			(struct stretch){ a->interrupts + b->interrupts, a->faults + b->faults, a->traps + b->traps,
					  a->switches + b->switches };
	}
	memset(timeline.stretches + STRETCHES / 2, 0, sizeof timeline.stretches / 2);
	timeline.used = (timeline.used + 1) / 2;
	timeline.shift++;
}

static void note(void *user, const struct vcpu_debug_event *e)
{
	struct stretch *s;

	(void)user;
	while (e->instructions >> timeline.shift >= STRETCHES)
		join();
	s = &timeline.stretches[e->instructions >> timeline.shift];
	if (e->kind == VCPU_EVENT_CR3)
		s->switches++;
	else if (e->kind == VCPU_EVENT_INTERRUPT)
		s->interrupts++;
	else if (e->cause == VCPU_CAUSE_FAULT)
		s->faults++;
	else
		s->traps++;
	if (e->instructions >> timeline.shift >= timeline.used)
		timeline.used = (uint32_t)(e->instructions >> timeline.shift) + 1;
}

/* Run on by at most INSTRUCTIONS, and note what happens if the debugger runs there for the first time. */
void *EXPORT(web_explore)(uint64_t instructions)
{
	struct vcpu_debug_stop stop;

	session.interrupted = false;
	vcpu_debug_trace(session.debug, VCPU_EVENT_EXCEPTION | VCPU_EVENT_INTERRUPT | VCPU_EVENT_CR3, note, NULL);
	stop = vcpu_debug_run(session.debug, instructions);
	vcpu_debug_trace(session.debug, 0, NULL, NULL);
	stopped(stop.machine);
	numbers.code = stop.what;
	return &numbers;
}

const void *EXPORT(web_timeline)(void) { return &timeline; }
