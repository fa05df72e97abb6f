/* SPDX-License-Identifier: MIT */
/* The machine of a session, from a command line. */
#define _GNU_SOURCE
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <vcpu_dump.h>

#include "debugger.h"
#include "sandbox.h"
#include "start.h"

/* TAKE each of OPTIONS on the command line. Returns how many words are left, the first of which is *WORD; -1: TAKE or
 * getopt has refused one. */
typedef bool take_option(void *to, int c, char *value);
static int take_options(int argc, char **argv, const struct option *options, take_option *take, void *to,
			const char **word)
{
	char **words = needed(calloc((size_t)argc + 1, sizeof *words)); /* getopt reorders the arguments */
	int c, left;

	if (!words)
		return -1;
	memcpy(words, argv, (size_t)argc * sizeof *words);
	opterr = 0;
	while ((c = getopt_long(argc, words, "", options, NULL)) != -1 && c != '?' && take(to, c, optarg))
		;
	left = c == -1 ? argc - optind : -1;
	*word = left > 0 ? words[optind] : NULL;
	optind = 0; /* getopt starts anew */
	opterr = 1;
	free(words);
	return left;
}

static bool take_recording_option(void *recording, int c, char *value) { return recording_option(recording, c, value); }

/* The name of the recording, if the rest of the command line is one with options for it; else NULL. */
static const char *recording_name(struct recording *recording, int argc, char **argv)
{
	static const struct option options[] = { RECORDING_OPTIONS, { 0 } };
	const char *name;

	return take_options(argc, argv, options, take_recording_option, recording, &name) == 1 ? name : NULL;
}

/* The debugger may read all files that the user may read: sources, symbols, files of a recording. It may write to, and
 * connect to, only the files that O names. */
static bool enter_sandbox(const struct run_options *o)
{
	struct sandbox sandbox = { 0 };
	bool ok;

	confine_inputs(&sandbox, o);
	sandbox_allow(&sandbox, SANDBOX_READ, "/");
	ok = confine(&sandbox, false, o->verbose) && confine(&sandbox, true, o->verbose);
	sandbox_free(&sandbox);
	return ok;
}

struct dump { const char *name, *cpu; };
static bool take_dump_option(void *to, int c, char *value)
{
	struct dump *dump = to;

	*(c == 'd' ? &dump->name : &dump->cpu) = value;
	return true;
}

/* Is the command line --dump FILE, and at most --cpu MODEL beside it? Without FILE it is not. */
static struct dump dump_of(int argc, char **argv)
{
	static const struct option options[] = { { "dump", required_argument, NULL, 'd' },
						 { "cpu", required_argument, NULL, 'c' }, { 0 } };
	struct dump dump = { 0 };
	const char *word;

	return take_options(argc, argv, options, take_dump_option, &dump, &word) ? (struct dump){ 0 } : dump;
}

/* A bare machine with the memory and the registers of DUMP. */
static vcpu *dump_machine(const struct dump *dump, session_output *output, char **error)
{
	const struct vcpu_config config = { .bare = true, .cpu = dump->cpu, .output = output };
	size_t len;
	void *data = recording_read(dump->name, &len);
	vcpu *v = data ? vcpu_new(&config, error) : NULL;

	if (v && !vcpu_dump_load(v, data, len, error)) {
		complain("%s: %s", dump->name, *error ? *error : "out of memory");
		free(*error);
		*error = NULL;
		vcpu_free(v);
		v = NULL;
	}
	free(data);
	return v;
}

bool session_start(struct session *s, struct recording *recording, int argc, char **argv, bool no_sandbox,
		   session_output *output, int *status)
{
	char *error = NULL;
	bool magic = false;
	const struct dump dump = dump_of(argc, argv);
	const char *name;

	*status = STATUS_USAGE;
	for (int i = 1; !dump.name && i < argc; i++)
		if (!strncmp(argv[i], "--dump", 6) && (!argv[i][6] || argv[i][6] == '=')) {
			complain("--dump needs a FILE, and excludes all but --cpu MODEL and the debugger's own options");
			return false;
		}
	name = dump.name ? NULL : recording_name(recording, argc, argv);
	if (dump.name) {
		if (!enter_sandbox(&(struct run_options){ .no_sandbox = no_sandbox }))
			return false;
		s->machine = dump_machine(&dump, output, &error);
		if (!s->machine && !error) /* having complained */
			return false;
	} else if (name) {
		if (!enter_sandbox(&(struct run_options){ .no_sandbox = no_sandbox,
							  .connects = recording_connects(recording) }) ||
		    !recording_open(recording, name))
			return false;
		s->machine = vcpu_replay_machine(recording->replay, output, NULL, &error);
		if (s->machine && vcpu_replay_cut(recording->replay))
			complain("%s: %s: known up to instruction %" PRIu64, name, vcpu_replay_cut(recording->replay),
				 vcpu_replay_end(recording->replay).instructions);
	} else {
		struct run_options o;

		if (!options_parse(&o, argc, argv, false, status))
			return false;
		if (o.log) {
			complain("--log is an option of vcpu run; use the commands trace and catch");
			return false;
		}
		o.config.output = output;
		o.no_sandbox |= no_sandbox;
		if (!enter_sandbox(&o))
			return false;
		s->machine = vcpu_new(&o.config, &error);
		magic = o.magic;
	}
	if (s->machine)
		s->debug = vcpu_debug_new(s->machine, recording->replay, &error);
	if (!s->debug)
		complain(recording->replay && !s->machine && error ? "%s (" RECORDING_HINT ")" : "%s",
			 error ? error : "out of memory");
	free(error);
	return s->debug && (!magic || do_magic(s, ""));
}
