/* SPDX-License-Identifier: MIT */
/* vcpu explore: one guest under many schedules, until one of them makes it fail; that run is recorded. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "ending.h"
#include "helper.h"
#include "sandbox.h"

static const char help[] =
	"Usage: vcpu explore --seeds=A..B --fail=REGEXP [OPTION]...\n"
	"Run a guest once for each seed until a run fails; record that run.\n"
	"\n"
	"      --seeds=A..B      use the seeds A to B; each is a schedule of timers and processors\n"
	"      --fail=REGEXP     match each line of COM1 and of port E9h with this extended regular\n"
	"                        expression, and a last line with the end of the run:\n"
	"                        \"stop poweroff\", \"stop debug-exit 3\", \"stop triple-fault\",\n"
	"                        \"stop limit\" (--limit, --limit-time), \"stop halt\"\n"
	"      --record=FILE     record the failed run in FILE [explore-SEED.vrr]\n"
	"      --keep-going      run the seeds behind a run that fails, too; record each run that fails\n"
	"      --shard=I/N       run the I-th of every N seeds only, I from 1 to N [1/1]\n"
	"\n"
	"The other options are those of vcpu run. The guest has no input.\n"
	"\n"
	"Exit status: 0 no run failed; 18 a run failed, and FILE repeats it; 2 bad usage or input.\n";

enum { SLICE = 4000000, LINE = 4096 };

struct exploration {
	regex_t fail;
	uint64_t first, last;
	uint64_t shard, shards;  /* the shard-th of every so many seeds, from 1 */
	bool keep_going;
	int record;              /* a file for it; -1: the helper makes one */
};

/* A run, as far as it is of interest: its lines. */
struct lines {
	const regex_t *fail;
	vcpu *machine;
	size_t len[VCPU_CHANNELS];
	char text[VCPU_CHANNELS][LINE]; /* the line that a channel is in */
	char found[LINE];               /* the one that matched */
	bool failed;
};

static void end_line(struct lines *l, char *text, size_t len)
{
	text[len] = 0;
	if (l->failed || regexec(l->fail, text, 0, NULL, 0))
		return;
	l->failed = true;
	strcpy(l->found, text);
	if (l->machine)
		vcpu_stop(l->machine);
}

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	struct lines *l = user;
	char *text = l->text[channel];

	if (channel != VCPU_COM1 && channel != VCPU_DEBUGCON)
		return;
	for (const char *c = data; len--; c++) {
		if (*c == '\n' || l->len[channel] == LINE - 1) {
			end_line(l, text, l->len[channel]);
			l->len[channel] = 0;
		}
		if (*c != '\n' && *c != '\r')
			text[l->len[channel]++] = *c;
	}
}

static bool append(void *user, const void *data, size_t len)
{
	return fwrite(data, 1, len, user) == len;
}

/* Run O's machine to its end, into *L, and, if there is one, into RECORDING. False, having complained. */
static bool run(const struct run_options *o, struct lines *l, FILE *recording)
{
	struct vcpu_recording r = { .write = append, .user = recording, .embed = o->embed };
	struct vcpu_config with = o->config;
	struct vcpu_stop stop;
	char *error = NULL, end[64];
	uint64_t limit = o->limit;
	bool ok = true;

	with.output = output;
	with.user = l;
	l->machine = vcpu_new(&with, &error);
	if (!l->machine) {
		complain("%s", error ? error : "out of memory");
		free(error);
		return false;
	}
	if (recording && vcpu_record(l->machine, &r)) {
		complain("explore: %s", vcpu_error(l->machine));
		vcpu_free(l->machine);
		return false;
	}
	options_limit_time(o, l->machine, with.ns_per_instruction_q16);
	do
		stop = vcpu_run(l->machine, limit && limit - vcpu_instructions(l->machine) < SLICE
						    ? limit - vcpu_instructions(l->machine)
						    : SLICE);
	while (!l->failed && (!limit || vcpu_instructions(l->machine) < limit) &&
	       (stop.reason == VCPU_STOP_LIMIT || stop.reason == VCPU_STOP_IDLE));
	if (stop.reason == VCPU_STOP_TIME) /* a limit of ours */
		stop.reason = VCPU_STOP_LIMIT;
	if (stop.reason == VCPU_STOP_DEBUG_EXIT)
		snprintf(end, sizeof end, "stop %s %" PRIu32, vcpu_stop_name(stop.reason), stop.code);
	else
		snprintf(end, sizeof end, "stop %s", vcpu_stop_name(stop.reason));
	if (stop.reason == VCPU_STOP_HOST || stop.reason == VCPU_STOP_DISK_FULL ||
	    stop.reason == VCPU_STOP_DISK_ERROR) {
		complain("%s: %s", vcpu_stop_name(stop.reason), vcpu_error(l->machine));
		ok = false;
	}
	for (unsigned i = 0; i < VCPU_CHANNELS; i++)
		end_line(l, l->text[i], l->len[i]);
	end_line(l, end, strlen(end));
	if (recording && !vcpu_record_end(l->machine, &error)) {
		complain("%s", error ? error : "out of memory");
		free(error);
		ok = false;
	}
	vcpu_free(l->machine);
	return ok;
}

/* Run the seed that failed once more, for the file. */
static bool keep(const struct exploration *e, const struct run_options *o, struct lines *l, char *name, size_t size)
{
	int fd = e->record >= 0 ? e->record : helper_create(o->config.seed);
	FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
	bool ok, written;

	if (o->record)
		snprintf(name, size, "%s", o->record);
	else
		snprintf(name, size, "explore-%" PRIu64 ".vrr", o->config.seed);
	if (!file) {
		complain("explore: cannot write %s: %s", name, strerror(errno));
		return false;
	}
	if (!ftruncate(fd, 0))
		errno = 0; /* a pipe cannot be cut */
	ok = run(o, l, file);
	written = !ferror(file);
	if (fclose(file) || !written) {
		complain("explore: cannot write %s: %s", name, strerror(errno));
		ok = false;
	}
	return ok;
}

/* How the run of O's seed ended. STATUS_FOUND: it failed, and its recording is written. */
static int try_seed(const struct exploration *e, struct run_options *o)
{
	static struct lines l; /* large */
	char name[4096];

	memset(&l, 0, sizeof l);
	l.fail = &e->fail;
	if (!run(o, &l, NULL))
		return STATUS_USAGE;
	if (!l.failed)
		return STATUS_OK;
	memset(&l, 0, sizeof l);
	l.fail = &e->fail;
	if (!keep(e, o, &l, name, sizeof name))
		return STATUS_HOST;
	printf("seed %" PRIu64 " fails: %s\nvcpu replay %s repeats it\n", o->config.seed, l.found, name);
	fflush(stdout); /* the line is there even if the job is killed at a later seed */
	return STATUS_FOUND;
}

static int explore(const struct exploration *e, struct run_options *o)
{
	uint64_t left = e->last - e->first, failed = 0; /* seeds behind this one */
	char part[64] = "";

	if (e->shards > 1)
		snprintf(part, sizeof part, ", shard %" PRIu64 "/%" PRIu64, e->shard, e->shards);
	o->config.seed = e->first;
	for (uint64_t step = e->shard - 1; left >= step; step = e->shards) {
		int status;

		o->config.seed += step;
		left -= step;
		status = try_seed(e, o);
		if (status != STATUS_OK && (status != STATUS_FOUND || !e->keep_going))
			return status;
		failed += status == STATUS_FOUND;
	}
	if (failed)
		printf("seeds %" PRIu64 " to %" PRIu64 "%s: %" PRIu64 " fail\n", e->first, e->last, part, failed);
	else
		printf("seeds %" PRIu64 " to %" PRIu64 "%s: none fails\n", e->first, e->last, part);
	return failed ? STATUS_FOUND : STATUS_OK;
}

static bool seeds(const char *text, struct exploration *e)
{
	int end = 0;

	if (*text >= '0' && *text <= '9' &&
	    sscanf(text, "%" SCNu64 "..%" SCNu64 "%n", &e->first, &e->last, &end) == 2 && end && !text[end] &&
	    e->first <= e->last)
		return true;
	complain("--seeds %s: not a range, like 1..500", text);
	return false;
}

static bool shard(const char *text, struct exploration *e)
{
	int end = 0;

	if (*text >= '0' && *text <= '9' &&
	    sscanf(text, "%" SCNu64 "/%" SCNu64 "%n", &e->shard, &e->shards, &end) == 2 && end && !text[end] &&
	    e->shard && e->shard <= e->shards)
		return true;
	complain("--shard %s: not a shard, like 2/8, the second of eight", text);
	return false;
}

static bool pattern(const char *text, struct exploration *e)
{
	char why[256];
	int error = regcomp(&e->fail, text, REG_EXTENDED | REG_NOSUB);

	if (!error)
		return true;
	regerror(error, &e->fail, why, sizeof why);
	complain("--fail '%s': %s", text, why);
	return false;
}

/* If ARGV[*I] is --NAME: its value, and *I moves to the last word of it. */
static const char *value_of(const char *name, int argc, char **argv, int *i)
{
	size_t len = strlen(name);

	if (strncmp(argv[*i], "--", 2) || strncmp(argv[*i] + 2, name, len))
		return NULL;
	if (argv[*i][2 + len] == '=')
		return argv[*i] + 3 + len;
	return !argv[*i][2 + len] && *i + 1 < argc ? argv[++*i] : NULL;
}

/* Take our own options out of ARGV; what is left is vcpu run's. False: *STATUS is the program's. */
static bool parse(struct exploration *e, int *argc, char **argv, int *status)
{
	bool have_seeds = false, have_fail = false;
	int n = 0;

	*status = STATUS_USAGE;
	for (int i = 0; i < *argc; i++) {
		const char *value;

		if ((value = value_of("seeds", *argc, argv, &i))) {
			if (!seeds(value, e))
				return false;
			have_seeds = true;
		} else if ((value = value_of("fail", *argc, argv, &i))) {
			if (have_fail)
				regfree(&e->fail);
			have_fail = pattern(value, e);
			if (!have_fail)
				return false;
		} else if ((value = value_of("shard", *argc, argv, &i))) {
			if (!shard(value, e))
				return false;
		} else if (!strcmp(argv[i], "--keep-going")) {
			e->keep_going = true;
		} else if (!strcmp(argv[i], "--help")) {
			fputs(help, stdout);
			*status = STATUS_OK;
			return false;
		} else {
			argv[n++] = argv[i];
		}
	}
	argv[*argc = n] = NULL;
	if (have_seeds && have_fail)
		return true;
	complain("explore needs --seeds A..B and --fail REGEXP (vcpu explore --help lists the options)");
	return false;
}

int command_explore(int argc, char **argv)
{
	struct exploration e = { .shard = 1, .shards = 1 };
	struct sandbox sandbox = { 0 };
	struct run_options o;
	int status;

	if (!parse(&e, &argc, argv, &status) || !options_parse(&o, argc, argv, false, &status))
		return status;
	if (script_waits() || o.net || o.text || o.config.seed) {
		complain("explore: --type, --expect, --net, --display text and --seed are options of vcpu run");
		return STATUS_USAGE;
	}
	if (o.record && e.keep_going) {
		complain("explore: --record names one file; with --keep-going each run that fails has its "
			"explore-SEED.vrr");
		return STATUS_USAGE;
	}
	ending_open(NULL, NULL);
	e.record = o.record ? open(o.record, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
	if (o.record && e.record < 0) {
		complain("explore: cannot write %s: %s", o.record, strerror(errno));
		return STATUS_HOST;
	}
	if (!o.record)
		helper_names("explore-", ".vrr", false);
	confine_inputs(&sandbox, &o);
	if (!confine(&sandbox, false, o.verbose) || !confine(&sandbox, true, o.verbose))
		return STATUS_HOST;
	sandbox_free(&sandbox);
	status = explore(&e, &o);
	regfree(&e.fail);
	return status;
}
