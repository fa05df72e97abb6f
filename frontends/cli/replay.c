/* SPDX-License-Identifier: MIT */
/* vcpu replay: a run that was recorded, once more. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli.h"

enum { O_TO = 256, O_LIMIT_TIME, O_GDB, O_GDB_FILES, O_VERIFY, O_LIVE, O_SERIAL, O_DEBUGCON,
       O_ENGINE, O_STATS, O_VERBOSE, O_NO_SANDBOX, O_HELP };

static const struct option replay_options[] = {
	{ "to", required_argument, NULL, O_TO },
	{ "limit-time", required_argument, NULL, O_LIMIT_TIME },
	{ "gdb", required_argument, NULL, O_GDB },
	{ "gdb-files", no_argument, NULL, O_GDB_FILES },
	{ "verify", no_argument, NULL, O_VERIFY },
	{ "live", no_argument, NULL, O_LIVE },
	{ "serial", required_argument, NULL, O_SERIAL },
	{ "debugcon", required_argument, NULL, O_DEBUGCON },
	{ "engine", required_argument, NULL, O_ENGINE },
	{ "stats", no_argument, NULL, O_STATS },
	{ "verbose", no_argument, NULL, O_VERBOSE },
	RECORDING_OPTIONS,
	{ "no-sandbox", no_argument, NULL, O_NO_SANDBOX },
	{ "help", no_argument, NULL, O_HELP },
	{ 0 },
};

static const char help[] =
	"Usage: vcpu replay [OPTION]... FILE\n"
	"Repeat a run that vcpu run --record has recorded.\n"
	"\n"
	"      --to=N            stop after N instructions, as vcpu run --limit does\n"
	"      --limit-time=T    stop at virtual time T, a number of ns, us, ms, s or m (30s)\n"
	"      --verify          compare the state at every checkpoint; print the first place and\n"
	"                        field that differ\n"
	"      --gdb=WHERE       wait for gdb at unix:PATH, [HOST]:PORT or stdio\n"
	"      --gdb-files       let gdb's monitor commands open files\n"
	"      --live            after the end of the recording, continue with the terminal\n"
	"      --serial=WHERE    connect COM1: stdio, null or file:PATH [stdio]\n"
	"      --debugcon=WHERE  connect port E9h: stdio, null or file:PATH [null]\n"
	"      --engine=NAME     use the engine interpreter or stitched, whichever the recorded run used\n"
	"      --stats           write a JSON object as the last line on stderr\n"
	"      --verbose         log guest errors and unimplemented features on stderr\n"
	RECORDING_HELP
	"      --no-sandbox      keep the rights that a replay does not need\n"
	"      --help            print this text\n"
	"\n"
	"The replay opens regular files that the recording names, for reading, if they have the\n"
	"recorded contents. The guest's writes to disks stay in memory.\n"
	"\n"
	"Exit status: that of the recorded run; 0 at the end of the recording; 14 if the run differs\n"
	"from the recorded one.\n";

static bool parse(struct run_options *o, struct recording *recording, int argc, char **argv, bool *verify, int *status)
{
	char name[] = "vcpu";
	int c;

	argv[0] = name;
	*status = STATUS_USAGE;
	while ((c = getopt_long(argc, argv, "", replay_options, NULL)) != -1) {
		switch (c) {
		case O_TO:
			if (!options_number("to", optarg, &o->limit))
				return false;
			break;
		case O_LIMIT_TIME:
			if (!options_time("limit-time", optarg, &o->limit_time))
				return false;
			break;
		case O_GDB:
			o->gdb = optarg;
			break;
		case O_GDB_FILES:
			o->gdb_files = true;
			break;
		case O_VERIFY:
			*verify = true;
			break;
		case O_LIVE:
			o->live = true;
			break;
		case O_SERIAL:
			if (!options_place("serial", o->where[VCPU_COM1] = optarg))
				return false;
			break;
		case O_DEBUGCON:
			if (!options_place("debugcon", o->where[VCPU_DEBUGCON] = optarg))
				return false;
			break;
		case O_ENGINE:
			if (!options_engine("engine", optarg, &o->config.engine))
				return false;
			break;
		case O_STATS:
			o->stats = true;
			break;
		case O_VERBOSE:
			o->verbose = true;
			break;
		case O_NO_SANDBOX:
			o->no_sandbox = true;
			break;
		case O_HELP:
			fputs(help, stdout);
			*status = STATUS_OK;
			return false;
		default:
			if (!recording_option(recording, c, optarg))
				return false;
		}
	}
	if (optind + 1 != argc) {
		complain("replay needs one FILE (vcpu replay --help lists the options)");
		return false;
	}
	return true;
}

int command_replay(int argc, char **argv)
{
	struct run_options o = { .where[VCPU_COM1] = "stdio", .replays = true };
	struct recording recording = { 0 };
	bool verify = false;
	int status;

	if (!parse(&o, &recording, argc, argv, &verify, &status))
		return status;
	options_stdio(&o);
	o.connects = recording_connects(&recording);
	if (!run_outputs(&o) || !recording_open(&recording, argv[optind]))
		return STATUS_USAGE;
	o.replay = recording.replay;
	vcpu_replay_verify(o.replay, verify);
	vcpu_replay_engine(o.replay, o.config.engine);
	status = run_machine(&o);
	if (vcpu_replay_cut(o.replay))
		complain("%s: %s: replayed up to instruction %" PRIu64, argv[optind], vcpu_replay_cut(o.replay),
			 vcpu_replay_end(o.replay).instructions);
	if (verify && status != STATUS_DIVERGED && status != STATUS_USAGE) /* else nothing has run */
		fprintf(stderr, "vcpu: %u checkpoints compared, all equal\n", vcpu_replay_checked(o.replay));
	recording_close(&recording);
	return status;
}
