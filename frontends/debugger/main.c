/* SPDX-License-Identifier: MIT */
/* vcpu-dbg: options, and the loop of the prompt. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "mem/base/compat/text.h"
#include "debugger.h"
#include "ending.h"
#include "prompt.h"
#include "standard.h"
#include "start.h"

static struct session session;
static bool json, no_sandbox;
static volatile sig_atomic_t busy; /* with a command */
static struct recording recording;
static FILE *said;               /* json: the guest's output during a command; NULL: it goes to the screen */

static const char usage[] =
	"Usage: vcpu-dbg [OPTION]... RECORDING\n"
	"       vcpu-dbg [OPTION]... RUN-OPTION...\n"
	"       vcpu-dbg [OPTION]... --dump FILE\n"
	"Debug an x86 PC, forwards and backwards: the run of a RECORDING (vcpu run --record), or a new\n"
	"machine. RUN-OPTION is an option of vcpu run (vcpu run --help lists them). Or look into a dump.\n"
	"\n"
	"  -x FILE           execute the commands in FILE first\n"
	"  -e, -ex COMMAND   execute COMMAND, and do not prompt; may repeat\n"
	"  -k, --keep-going  continue after a command that failed; the exit status is still 2\n"
	"  -s FILE           read symbols from FILE: ELF, System.map or a copy of /proc/kallsyms\n"
	"      --dump FILE   show the memory and registers in FILE: a vmcore (an ELF core, or makedumpfile's),\n"
	"                    or a Windows crash dump; --cpu MODEL says of which processor [max]\n"
	"      --no-sandbox  keep the user's rights to write files, to connect and to start programs\n"
	"      --json        print one JSON object for each command, and nothing else\n"
	"      --help        print this text; the command help lists the commands\n"
	"\n"
	"With a RECORDING, whose files are opened for reading only:\n"
	RECORDING_HELP;

void complain(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vcpu-dbg: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

bool script_add(bool expect, const char *text)
{
	(void)expect, (void)text;
	complain("--expect and --type are options of vcpu run; use the commands catch text and type");
	return false;
}

static void output(void *user, enum vcpu_channel channel, const void *data, size_t len)
{
	(void)user;
	if (channel == VCPU_COM1)
		fwrite(data, 1, len, said ? said : json ? stderr : stdout);
	if (channel == VCPU_HOST_LOG)
		complain("%.*s", (int)len, (const char *)data);
}

static void interrupt_command(void)
{
	session.interrupted = true;
	if (session.machine)
		vcpu_stop(session.machine);
}

/* Ctrl-C ends the command that runs. A second one, while the command still runs, ends the program. */
static void interrupt(int n)
{
	if (busy && session.interrupted)
		ending_ask(n);
	interrupt_command();
}

static bool over(void)
{
	return session.quit || ending_signal();
}

/* Call RUN with ARGUMENT. With --json: print its line of JSON, whose command is LINE. */
static bool do_as(const char *line, bool (*run)(struct session *s, const char *text), const char *argument)
{
	bool ok;

	session.interrupted = false;
	busy = true;
	ending_patience(true);
	ok = json ? json_command(&session, stdout, &said, line, run, argument) : run(&session, argument);
	ending_patience(false);
	busy = false;
	return ok;
}

static bool do_line(const char *line) { return do_as(line, command, line); }

static bool read_symbols(struct session *s, const char *path) { return symbols_read(s, path, NULL); }
static bool do_symbols_of(const char *path)
{
	char *line = NULL;
	bool ok = asprintf(&line, "symbols %s", path) >= 0 && do_as(line, read_symbols, path);

	free(line);
	return ok;
}

static const char *complete(const char *line, unsigned start, unsigned i)
{
	const char *word = completion(&session, line, start, i);

	return word == completion_file ? PROMPT_FILE : word;
}

static bool prompt(void)
{
	static char last[1024];
	bool ok = true;
	char *line;

	while (!over() && (line = prompt_line(json ? "" : session.collecting ? "> " : "(vcpu) "))) {
		if (*line)
			snprintf(last, sizeof last, "%s", line);
		ok = do_line(*line || !isatty(STDIN_FILENO) ? line : last); /* an empty line repeats the last command */
		fflush(stdout);
		free(line);
	}
	return ok;
}

static bool do_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;
	bool ok = file != NULL;

	if (!file)
		complain("-x: cannot read %s: %s", path, strerror(errno));
	while (file && (ok || session.keep_going) && !over() && getline(&line, &room, file) >= 0) {
		line[strcspn(line, "\n")] = 0;
		ok &= do_line(line);
	}
	if (file && ferror(file)) {
		complain("-x: cannot read %s: %s", path, strerror(errno));
		ok = false;
	}
	free(line);
	if (file)
		fclose(file);
	return ok;
}

/* Execute the options -s, -x and -e, in this order. */
enum { TODO_MAX = 64 };
static struct { char what; const char *text; } todo[TODO_MAX];
static unsigned ntodo;
static bool ask = true;          /* interactive */

/* Parse the debugger's options. The others, of a machine or a recording, go to REST. False: the program ends with
 * *STATUS. */
static bool options(int argc, char **argv, char **rest, int *nrest, int *status)
{
	for (int i = 1; i < argc; i++) {
		const char *o = argv[i];

		if (!strcmp(o, "--help") || !strcmp(o, "-h")) {
			fputs(usage, stdout);
			*status = STATUS_OK;
			return false;
		}
		if (!strcmp(o, "--no-sandbox")) {
			no_sandbox = true;
		} else if (!strcmp(o, "--json")) {
			json = true;
		} else if (!strcmp(o, "-k") || !strcmp(o, "--keep-going")) {
			session.keep_going = true;
		} else if (o[0] == '-' && o[1] && strchr("xes", o[1]) && (!o[2] || !strcmp(o, "-ex"))) {
			if (i + 1 == argc || ntodo == TODO_MAX) {
				complain("%s: %s", o, i + 1 == argc ? "an argument is missing" : "given too often");
				*status = STATUS_USAGE;
				return false;
			}
			todo[ntodo].what = o[1];
			todo[ntodo++].text = argv[++i];
			if (o[1] == 'x')
				prompt_allow_file(argv[i]);
			else
				prompt_allow(argv[i]);
			ask &= o[1] != 'e';
		} else {
			rest[(*nrest)++] = argv[i];
		}
	}
	return true;
}

static bool do_todo(unsigned i)
{
	return todo[i].what == 's' ? do_symbols_of(todo[i].text) : todo[i].what == 'x' ? do_file(todo[i].text) :
		do_line(todo[i].text);
}

/* STATUS, if what was printed is written. */
static int written(int status)
{
	if (standard_written() || over())
		return status;
	complain("cannot write standard output: %s", strerror(errno));
	return STATUS_HOST;
}

int main(int argc, char **argv)
{
	static char **rest;
	bool ok = true;
	int nrest = 0, status = STATUS_OK;
	static char name[] = "run";

	standard_open();
	rest = needed(calloc((size_t)argc + 1, sizeof *rest));
	rest[nrest++] = name;
	if (!options(argc, argv, rest, &nrest, &status))
		return written(status);
	if (nrest == 1) {
		complain("a recording, a dump or options of vcpu run are needed (--help)");
		return STATUS_USAGE;
	}
	if (!session_print_to(&session, stdout)) {
		complain("out of memory");
		return STATUS_HOST;
	}
	session.create = prompt_create;
	ending_open(interrupt_command, prompt_restore);
	if (!prompt_open(complete, json)) {
		complain("no prompt: %s", strerror(errno));
		return STATUS_HOST;
	}
	if (!session_start(&session, &recording, nrest, rest, no_sandbox, output, &status))
		return status;
	if (ask && isatty(STDIN_FILENO))
		signal(SIGINT, interrupt);
	for (unsigned i = 0; i < ntodo && (ok || session.keep_going) && !over(); i++)
		ok &= do_todo(i);
	if (ask && (ok || session.keep_going) && !over())
		ok &= prompt();
	prompt_close();
	session_end(&session);
	vcpu_debug_free(session.debug);
	status = written(ok ? STATUS_OK : STATUS_USAGE);
	if (over())
		vcpu_stop(session.machine); /* do not wait for a server of a disk */
	if (vcpu_flush(session.machine)) {
		complain("%s", vcpu_error(session.machine));
		status = STATUS_HOST;
	}
	vcpu_free(session.machine);
	free(rest);
	recording_close(&recording);
	ending_die();
	return status;
}
